import Glibc
import NebulaCore
import NebulaFormats
import Testing

/// BSON by hand.
enum Make {
  static func bytes<T: BitwiseCopyable>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
  static func document(_ elements: [UInt8]...) -> [UInt8] {
    let body = elements.flatMap { $0 }
    return bytes(Int32(body.count + 5)) + body + [0]
  }
  static func element(_ type: UInt8, _ name: String, _ value: [UInt8]) -> [UInt8] {
    [type] + Array(name.utf8) + [0] + value
  }
  static func text(_ value: String) -> [UInt8] { bytes(Int32(value.utf8.count + 1)) + Array(value.utf8) + [0] }
  static func scoped(_ code: String, _ scope: [UInt8]) -> [UInt8] {
    let rest = text(code) + scope
    return bytes(Int32(rest.count + 4)) + rest
  }
  static func nested(_ depth: Int, type: UInt8 = 3) -> [UInt8] {
    (1..<depth).reduce(document()) { inner, _ in document(element(type, "d", inner)) }
  }
}

@Suite("BSON")
struct BSONTests {
  static let sample = Make.document(
    Make.element(0x10, "i", Make.bytes(Int32(-7))), Make.element(0x12, "l", Make.bytes(Int64.max)),
    Make.element(0x01, "d", Make.bytes(0.1)), Make.element(0x02, "s", Make.text("a\"é\0")),
    Make.element(0x07, "o", [UInt8](1...12)), Make.element(0x09, "t", Make.bytes(Int64(1_700_000_000_123))),
    Make.element(0x11, "ts", Make.bytes(UInt64(5) << 32 | 6)), Make.element(0x08, "b", [1]),
    Make.element(0x0A, "n", []),
    Make.element(0x03, "x", Make.document(Make.element(0x10, "y", Make.bytes(Int32(1))))),
    Make.element(0x05, "u", Make.bytes(Int32(3)) + [0, 1, 2, 3]))

  @Test func elementsAreRead() throws {
    try Self.sample.withUnsafeBytes { bytes in
      #expect(BSON.validate(bytes) == nil)
      #expect(BSON.find("i", in: bytes)?.int32 == -7)
      #expect(BSON.find("i", in: bytes)?.integer == -7)
      #expect(BSON.find("i", in: bytes)?.int64 == nil)
      #expect(BSON.find("l", in: bytes)?.int64 == .max)
      #expect(BSON.find("d", in: bytes)?.double == 0.1)
      #expect(BSON.find("s", in: bytes)?.stringText == "a\"é\0")
      #expect(BSON.find("o", in: bytes)?.objectID.map { Array($0) } == [UInt8](1...12))
      #expect(BSON.find("t", in: bytes)?.date == 1_700_000_000_123)
      let stamp: UInt64 = 0x5_0000_0006
      #expect(BSON.find("ts", in: bytes)?.timestamp == stamp)
      #expect(BSON.find("b", in: bytes)?.bool == true)
      #expect(BSON.find("n", in: bytes)?.type == .null)
      #expect(BSON.find("u", in: bytes)?.binary.map { Array($0.bytes) } == [1, 2, 3])
      #expect(BSON.find("x", in: bytes)?.subdocument.flatMap { BSON.find("y", in: $0)?.int32 } == 1)
      #expect(BSON.find("missing", in: bytes) == nil)
      var reader = try BSONReader(bytes)
      var names = [String]()
      while let element = try reader.next() { names.append(element.nameText) }
      #expect(names == ["i", "l", "d", "s", "o", "t", "ts", "b", "n", "x", "u"])
    }
  }

  @Test func plainJSON() throws {
    let json = try output { buffer in
      try Self.sample.withUnsafeBytes { try BSONToJSON(.plain).append(document: $0, to: buffer) }
    }
    #expect(
      json.text
        == #"{"i":-7,"l":9223372036854775807,"d":0.1,"s":"a\"é\u0000","o":"0102030405060708090a0b0c","t":"2023-11-14T22:13:20.123Z","ts":{"t":5,"i":6},"b":true,"n":null,"x":{"y":1},"u":"AQID"}"#
    )
  }

  @Test func malformedLeavesTheOutputAsItWas() {
    var bad = Self.sample
    bad[4] = 0x55
    let buffer = OutputBuffer()
    buffer.append("before")
    bad.withUnsafeBytes { bytes in
      _ = #expect(throws: NebulaError.self) { try BSONToJSON(.plain).append(document: bytes, to: buffer) }
    }
    #expect(buffer.array.text == "before")
  }

  @Test(arguments: [UInt8(3), 4]) func depth(_ type: UInt8) {
    Make.nested(250, type: type).withUnsafeBytes { #expect(BSON.validate($0) == nil) }
    Make.nested(251, type: type).withUnsafeBytes { #expect(BSON.validate($0)?.reason == "nested deeper than 250") }
  }

  /// A quarter of what a thread has by default; the address sanitizer's frames fit too.
  @Test func deepestDocumentFitsASmallStack() {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, 2 << 20)
    var thread = pthread_t()
    let started = pthread_create(
      &thread, &attributes,
      { _ in
        let document = Make.nested(250)
        let buffer = OutputBuffer()
        let fine = document.withUnsafeBytes { bytes in
          BSON.validate(bytes) == nil && (try? BSONToJSON(.canonical).append(document: bytes, to: buffer)) != nil
        }
        return fine ? UnsafeMutableRawPointer(bitPattern: 1) : nil
      }, nil)
    #expect(started == 0)
    var result: UnsafeMutableRawPointer?
    pthread_join(thread, &result)
    #expect(result != nil)
  }

  @Test func cutAtEveryByteIsAnError() {
    for count in 0..<Self.sample.count {
      Array(Self.sample.prefix(count)).withUnsafeBytes { #expect(BSON.validate($0) != nil) }
    }
  }

  @Test func everyByteChangedNeverCrashes() {
    let buffer = OutputBuffer()
    for at in Self.sample.indices {
      for byte: UInt8 in [0, 1, 2, 0x7F, 0x80, 0xFF] {
        var bad = Self.sample
        bad[at] = byte
        bad.withUnsafeBytes { bytes in
          buffer.removeAll()
          let written = (try? BSONToJSON(.plain).append(document: bytes, to: buffer)) != nil
          #expect(written == (BSON.validate(bytes) == nil))
          if written { buffer.withBytes { #expect(JSONText.validate($0) == nil) } }
        }
      }
    }
  }

  /// What is found good must be written, what is not must not: a document is looked over once by each.
  @Test(arguments: [UInt64(1), 2, 3]) func damagedDocumentsAreJudgedAlike(_ seed: UInt64) {
    var random = Seeded(seed)
    let buffer = OutputBuffer()
    Self.everyType.withUnsafeBytes { #expect(BSON.validate($0) == nil) }
    var (good, bad) = (0, 0)
    for _ in 0..<30_000 {
      var document = Self.everyType
      for _ in 0..<Int.random(in: 1...2, using: &random) {
        let at = Int.random(in: 0..<document.count, using: &random)
        let bytes = [0, 1, 2, 5, 0x7F, 0x80, 0xC3, 0xFF, document[at] &+ 1, document[at] &- 1]
        document[at] = bytes.randomElement(using: &random) ?? 0
      }
      buffer.removeAll()
      let isWritten = document.withUnsafeBytes { bytes in
        (try? BSONToJSON(.canonical).append(document: bytes, to: buffer)) != nil
      }
      #expect(document.withUnsafeBytes { BSON.validate($0) == nil } == isWritten, "\(document)")
      if isWritten { good += 1 } else { bad += 1 }
    }
    #expect(good > 1000 && bad > 1000)
  }
  static let everyType = Make.document(
    Array(sample[4..<sample.count - 1]),
    Make.element(0x02, "a name of over sixteen bytes, ü", Make.text("ö, longer than 16")),
    Make.element(0x04, "a", Make.document(Make.element(0x02, "0", Make.text("x")), Make.element(0x0A, "1", []))),
    Make.element(0x06, "v", []), Make.element(0x0B, "r", Array("a+\0im\0".utf8)),
    Make.element(0x0C, "p", Make.text("shop.é") + [UInt8](1...12)), Make.element(0x0D, "c", Make.text("f(1)")),
    Make.element(0x0E, "y", Make.text("sym")),
    Make.element(0x0F, "w", Make.scoped("f()", Make.document(Make.element(0x02, "é", Make.text("1"))))),
    Make.element(0x05, "o", Make.bytes(Int32(7)) + [2] + Make.bytes(Int32(3)) + [1, 2, 3]),
    Make.element(0x13, "m", [UInt8](repeating: 0, count: 14) + [0x40, 0x30]), Make.element(0x7F, "hi", []),
    Make.element(0xFF, "lo", []))

  /// Longer than the pieces in which a text is escaped, with sequences across their edges.
  @Test func longTexts() throws {
    for padding in 0..<4 {
      let text = String(repeating: "a", count: (64 << 10) - 2 + padding) + String(repeating: "😀é", count: 30_000)
      let document = Make.document(Make.element(2, "s", Make.text(text)))
      let json = try output { buffer in
        try document.withUnsafeBytes { try BSONToJSON(.plain).append(document: $0, to: buffer) }
      }
      #expect(json == Array("{\"s\":\"\(text)\"}"))
      var bad = document
      bad[bad.count - 4] = 0xFF
      bad.withUnsafeBytes { bytes in
        _ = #expect(throws: NebulaError.self) { try BSONToJSON(.plain).append(document: bytes, to: OutputBuffer()) }
      }
    }
  }
}
