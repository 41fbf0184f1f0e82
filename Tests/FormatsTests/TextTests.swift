import NebulaCore
import NebulaFormats
import Testing

@Suite("CSV and JSON text")
struct TextTests {
  @Test func fieldsOfAnyBytesRoundTrip() throws {
    var random = Seeded(1)
    let alphabet: [UInt8] = Array("ab ,;\t\"'\r\n\u{1}") + [0, 0xFF, 0xC3]
    for dialect in [
      CSVDialect(), CSVDialect(delimiter: 9), CSVDialect(delimiter: 1), CSVDialect(delimiter: 59, quote: 39),
    ] {
      for _ in 0..<300 {
        let rows = (0..<Int.random(in: 1..<5, using: &random)).map { _ in
          (0..<Int.random(in: 1..<5, using: &random)).map { _ in
            random.bytes(Int.random(in: 0..<30, using: &random), from: alphabet)
          }
        }
        let text = output { buffer in
          for row in rows {
            for (index, field) in row.enumerated() {
              if index > 0 { buffer.append(dialect.delimiter) }
              field.withUnsafeBytes { CSVText.appendField($0, dialect: dialect, to: buffer) }
            }
            buffer.append("\n")
          }
        }
        #expect(Self.read(text, dialect) == rows)
      }
    }
  }

  static func read(_ text: [UInt8], _ dialect: CSVDialect) -> [[[UInt8]]] {
    var scanner = CSVRowScanner(dialect)
    return text.withUnsafeBytes { bytes in
      var rows = [[[UInt8]]]()
      while let row = scanner.next(in: bytes) {
        rows.append(fields(UnsafeRawBufferPointer(rebasing: bytes[row]), dialect))
      }
      return rows
    }
  }
  static func fields(_ row: UnsafeRawBufferPointer, _ dialect: CSVDialect) -> [[UInt8]] {
    var walk = CSVFields(row, dialect: dialect)
    var fields = [[UInt8]]()
    while let field = walk.next() {
      let inside = UnsafeRawBufferPointer(rebasing: row[field.range])
      fields.append(
        field.needsUnquoting ? output { CSVText.unquote(inside, dialect: dialect, into: $0) } : Array(inside))
    }
    return walk.problem == nil ? fields : []
  }

  @Test func malformedQuotingIsReported() {
    func problem(_ row: String) -> CSVProblem? {
      Array(row).withUnsafeBytes { bytes in
        var walk = CSVFields(bytes, dialect: CSVDialect())
        while walk.next() != nil {}
        return walk.problem
      }
    }
    #expect(problem("a,\"b")?.offset == 2)
    #expect(problem("a,\"b\"c,d")?.offset == 5)
    #expect(problem("a,b\"c,\"\"") == nil)
    #expect(problem("") == nil)
    #expect(problem("\"a\",\"")?.error().disposition == .reject)
  }

  @Test func quotedEmptyDiffersFromNothing() {
    Array("\"\",,x").withUnsafeBytes { bytes in
      var walk = CSVFields(bytes, dialect: CSVDialect())
      #expect(walk.next()?.isQuoted == true && walk.next()?.isQuoted == false && walk.next()?.range == 4..<5)
      #expect(walk.next() == nil)
    }
    #expect(
      output {
        CSVText.appendField(
          UnsafeRawBufferPointer(start: nil, count: 0), dialect: CSVDialect(), to: $0, alwaysQuote: true)
      } == Array("\"\""))
  }

  @Test func flatJSONToCSV() throws {
    var csv = FlatJSONToCSV(columns: ["a", "b", "é"], nullMarker: "\\N")
    func row(_ text: String) throws -> String {
      try output { buffer in try Array(text).withUnsafeBytes { try csv.append($0, to: buffer) } }.text
    }
    #expect(try row(#"{"a":1,"b":"x","é":true}"#) == "1,x,true\n")
    #expect(try row(#"{"\u00e9":"q\"","zz":0,"a":null}"#) == "\\N,,\"q\"\"\"\n")
    #expect(try row(#" { "b" : [1, {"c":"d,e"}] , "a" : "\\N" } "#) == "\"\\N\",\"[1, {\"\"c\"\":\"\"d,e\"\"}]\",\n")
    #expect(try row(#"{"a":1,"a":2}"#) == "2,,\n")
    #expect(try row(#"{"a":""}"#) == "\"\",,\n")
    #expect(try row("{}") == ",,\n")
    #expect(try row("{" + (0..<200).map { "\"k\($0)\":\($0)" }.joined(separator: ",") + ",\"b\":7}") == ",7,\n")
    #expect(csv.unknownMembers == 201)
    for bad in ["[1]", "", "{\"a\":}", "1", "null", "{\"a\":1}{"] {
      #expect(throws: NebulaError.self) { try row(bad) }
    }
    #expect(output { csv.appendHeader(to: $0) }.text == "a,b,é\n")
  }

  @Test func oneColumnHasNoBlankLines() throws {
    for (marker, null) in [("", "\"\""), ("NULL", "NULL")] {
      var csv = FlatJSONToCSV(columns: ["a"], nullMarker: marker)
      func row(_ text: String) throws -> String {
        try output { buffer in try Array(text).withUnsafeBytes { try csv.append($0, to: buffer) } }.text
      }
      #expect(try row(#"{"a":null}"#) == null + "\n")
      #expect(try row(#"{"b":1}"#) == null + "\n")
      #expect(try row(#"{"a":""}"#) == "\"\"\n")
      #expect(try row(#"{"a":"x"}"#) == "x\n")
    }
    #expect(output { FlatJSONToCSV(columns: [""]).appendHeader(to: $0) }.text == "\"\"\n")
  }

  @Test func copiedRowIDs() throws {
    func id(_ namespace: String, _ key: [UInt8], _ format: PayloadFormat) throws -> String {
      try output { buffer in
        try key.withUnsafeBytes { key in
          try Array("82AB").withUnsafeBytes {
            try CopiedRowID().append(token: $0, namespace: Array(namespace.utf8), key: key, format, to: buffer)
          }
        }
      }.text
    }
    let number: [UInt8] = [14, 0, 0, 0, 0x10, 0x5F, 0x69, 0x64, 0, 1, 0, 0, 0, 0]
    #expect(try id("shop.orders", number, .bson) == #"82AB/shop.orders/{"_id":{"$numberInt":"1"}}"#)
    #expect(try id("shop.a/b", Array(#"{"_id":1}"#), .json) == #"82AB/shop.a/b/{"_id":1}"#)
    #expect(throws: NebulaError.self) { try id("shop.orders", [1, 2], .bson) }
  }

  @Test func jsonLines() throws {
    let buffer = OutputBuffer()
    var writer = JSONLineWriter(buffer)
    let (a, b, c) = (JSONLineWriter.Name("a"), JSONLineWriter.Name("quo\"te"), JSONLineWriter.Name("c"))
    writer.begin()
    Array("[1]").withUnsafeBytes { writer.json(a, $0) }
    writer.text(b, "x\ny")
    writer.integer(c, -5)
    #expect(writer.end() == 33)
    writer.begin()
    writer.null(a)
    writer.abandon()
    writer.begin()
    writer.time(c, milliseconds: 0)
    writer.end()
    #expect(buffer.array.text == "{\"a\":[1],\"quo\\\"te\":\"x\\ny\",\"c\":-5}\n{\"c\":\"1970-01-01T00:00:00.000Z\"}\n")
  }

  @Test func membersOfAnObject() throws {
    let text = Array(#" {"a" : {"x":[1,"]}"]} , "b\n":"c\"d","":null, "n":-1.5e3 } "#)
    try text.withUnsafeBytes { bytes in
      var reader = try #require(JSONObjectReader(bytes))
      var found = [(String, String, JSONKind)]()
      while let member = reader.next() {
        let key = JSONObjectReader.unescape(UnsafeRawBufferPointer(rebasing: bytes[member.key]))
        found.append((key, String(decoding: bytes[member.value], as: UTF8.self), member.kind))
      }
      #expect(found.map(\.0) == ["a", "b\n", "", "n"])
      #expect(found.map(\.1) == [#"{"x":[1,"]}"]}"#, #""c\"d""#, "null", "-1.5e3"])
      #expect(found.map(\.2) == [.object, .string, .null, .number])
    }
    Array("[1]").withUnsafeBytes { #expect(JSONObjectReader($0) == nil) }
  }

  /// On text that nobody validated the reader may be wrong, but it stays inside the bytes and ends.
  @Test func objectReaderSurvivesAnything() {
    var random = Seeded(9)
    for _ in 0..<5000 {
      let text = Array("{") + random.bytes(Int.random(in: 0..<40, using: &random), from: Array("{}[]\"\\,:a1 \n"))
      text.withUnsafeBytes { bytes in
        guard var reader = JSONObjectReader(bytes) else { return }
        while let member = reader.next() { #expect(member.value.upperBound <= bytes.count) }
      }
    }
  }

  @Test func halfSurrogatesBecomeTheReplacementCharacter() {
    func unescape(_ text: String) -> String { Array(text).withUnsafeBytes { JSONObjectReader.unescape($0) } }
    #expect(unescape(#"\ud83d\ude00"#) == "😀")
    #expect(unescape(#"\ud83dx"#) == "\u{FFFD}x")
    #expect(unescape(#"\ude00"#) == "\u{FFFD}")
    #expect(unescape(#"\ud83d\ud83d\ude00"#) == "\u{FFFD}😀")
    #expect(unescape(#"a\/\b\f\n\r\t\"\\\u0041"#) == "a/\u{8}\u{C}\n\r\t\"\\A")
  }
}
