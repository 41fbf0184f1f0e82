import Foundation
import NebulaFormats
import Testing

@testable import FileConnector
@testable import NebulaCore

@Suite("file source")
struct FileSourceTests {
  let scratch: Scratch
  init() throws { scratch = try Scratch() }

  @Test("JSON Lines: CRLF, blank lines, a byte order mark, no newline at the end")
  func jsonLines() async throws {
    let file = try scratch.write("a.jsonl", "\u{FEFF}{\"a\":1}\r\n\n  \n[2]\n12345678901234567890.10\n\"é\"")
    let got = try await read(makeSource(testContext(scratch), ["path": file]))
    #expect(got.records == ["{\"a\":1}", "[2]", "12345678901234567890.10", "\"é\""])
    #expect(got.rejected.isEmpty)
    #expect(got.namespaces == ["a"])
  }

  @Test("bad lines are rejected with file, line and reason, and nothing else is")
  func badLines() async throws {
    var bytes = Array("{\"a\":1}\n{bad\n".utf8)
    bytes += [0x22, 0xFF, 0x22, 0x0A]
    bytes += Array("{\"a\":2}\n\"\(String(repeating: "x", count: 200))\"\n{\"a\":3}\n".utf8)
    let file = try scratch.write("a.jsonl", bytes)
    let got = try await read(makeSource(testContext(scratch), ["path": file, "max_line_bytes": "100"]))
    #expect(got.records == ["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"])
    #expect(got.rejected.map(\.error.place?.line) == [2, 3, 5])
    #expect(got.rejected.map(\.error.code.rawValue) == ["file.bad_line", "file.bad_line", "file.line_too_long"])
    #expect(got.rejected.allSatisfy { $0.error.place?.path == file && $0.error.disposition == .reject })
    #expect(got.rejected[1].payload == [0x22, 0xFF, 0x22])
  }

  @Test("a line longer than the buffer and the limit is passed over without being held", arguments: [64, 100, 4096])
  func longLines(buffer: Int) async throws {
    let long = "\"" + String(repeating: "y", count: 50_000) + "\""
    let file = try scratch.write("a.jsonl", "1\n\(long)\n2\n\(long)")
    let options: Properties = ["path": file, "max_line_bytes": "1000", "batch_bytes": "\(buffer)"]
    let got = try await read(makeSource(testContext(scratch, budget: 1 << 20), options))
    #expect(got.records == ["1", "2"])
    #expect(got.rejected.map(\.error.place?.line) == [2, 4])
  }

  @Test("a record of 16 MiB passes through a batch of 1 MiB and a budget of 8 MiB")
  func hugeRecord() async throws {
    let huge = "\"" + String(repeating: "z", count: 16 << 20) + "\""
    let file = try scratch.write("a.jsonl", "1\n\(huge)\n2\n")
    let got = try await read(makeSource(testContext(scratch, budget: 8 << 20), ["path": file]))
    #expect(got.records.map(\.utf8.count) == [1, (16 << 20) + 2, 1])
  }

  @Test("CSV: quoted newlines, other widths, no quote end, invalid UTF-8; the header is no record")
  func csv() async throws {
    var bytes = Array("id,name\r\n1,\"two\nlines, \"\"q\"\"\"\r\n2\r\n\n3,x,y\n4,ok\n".utf8)
    bytes += [0x35, 0x2C, 0xFF, 0x0A]
    bytes += Array("6,\"a\"b\n7,\"open\n8,fine\n9,end".utf8)
    let file = try scratch.write("a.csv", bytes)
    let got = try await read(makeSource(testContext(scratch), ["path": file]))
    #expect(got.records == ["1,\"two\nlines, \"\"q\"\"\"", "4,ok", "8,fine", "9,end"])
    #expect(got.rejected.map(\.error.place?.line) == [4, 6, 8, 9, 10])
    #expect(
      got.rejected.map(\.error.code.rawValue)
        == ["file.wrong_width", "file.wrong_width", "file.bad_line", "file.bad_line", "file.bad_line"])
  }

  @Test("CSV: every buffer size gives the same rows", arguments: [16, 17, 23, 64, 1000])
  func csvBuffers(size: Int) async throws {
    let rows = (0..<100).map { "\($0),\"a\n\($0)\",\"\"\"\"" }
    let file = try scratch.write("a.csv", "x,y,z\n" + rows.joined(separator: "\n"))
    let got = try await read(makeSource(testContext(scratch), ["path": file, "batch_bytes": "\(size)"]))
    #expect(got.records == rows)
    #expect(got.rejected.isEmpty)
  }

  @Test("declared types are checked where they enter")
  func types() async throws {
    let file = try scratch.write(
      "a.csv",
      "i;n;b;d;t;j\n1;1.5;true;2024-02-29;2024-01-01T00:00:00Z;{}\n;;;;;\nx;1;true;2024-01-01;2024-01-01 00:00:00;1\n"
        + "1;NaN;true;2024-01-01;2024-01-01 00:00:00;1\n1;1;yes;2024-01-01;2024-01-01 00:00:00;1\n"
        + "1;1;true;2023-02-29;2024-01-01 00:00:00;1\n1;1;true;2024-01-01;noon;1\n1;1;true;2024-01-01;2024-01-01 00:00:00;{\n"
    )
    var properties: Properties = ["path": file, "delimiter": ";"]
    let types = ["i": "integer", "n": "number", "b": "boolean", "d": "date", "t": "timestamp", "j": "json"]
    properties["columns"] = .map(
      types.map { .init(name: $0.key, value: .scalar($0.value, at: .init(path: "columns"))) },
      at: .init(path: "columns"))
    let make = try #require(Connector.fileSource.makeSource)
    let got = try await read(try make(properties, testContext(scratch)))
    #expect(got.records.count == 2)
    #expect(got.rejected.map(\.error.place?.line) == [4, 5, 6, 7, 8, 9])
    #expect(got.rejected.allSatisfy { $0.error.code.rawValue == "file.bad_value" })
  }

  @Test("a header that names a column twice stops with its place")
  func badHeader() async throws {
    let file = try scratch.write("a.csv", "a,a\n1,2\n")
    let source = try makeSource(testContext(scratch), ["path": file])
    let error = await #expect(throws: NebulaError.self) { try await read(source) }
    #expect(error?.code.rawValue == "file.bad_header")
    #expect(error?.place?.path == file)
  }

  @Test("empty files, header only, a folder without files, a glob without matches: nothing, and no error")
  func empty() async throws {
    for (name, text) in [("e.jsonl", ""), ("e.csv", ""), ("h.csv", "a,b"), ("n.jsonl", "\n\n")] {
      try scratch.write(name, text)
    }
    for path in [scratch.input, "\(scratch.input)/*.nothing", "\(scratch.path)/spool"] {
      let got = try await read(makeSource(testContext(scratch), ["path": path]))
      #expect(got.records.isEmpty && got.rejected.isEmpty)
    }
    let missing = try makeSource(testContext(scratch), ["path": "\(scratch.input)/none.jsonl"])
    let error = await #expect(throws: NebulaError.self) { try await read(missing) }
    #expect(error?.code.rawValue == "file.not_found")
    #expect(error?.exit == .environment)
  }

  @Test("a folder is read in the order of its names; schemas and namespaces go by the file")
  func folder() async throws {
    try scratch.write("b.csv", "x\n1\n")
    try scratch.write("a.jsonl.gz", compressed("1\n", .gzip) + compressed("2", .gzip))
    try scratch.write("c.tsv.zst", compressed("x\ty\n", .zstd) + compressed("1\t2\n", .zstd))
    try scratch.write("_d.jsonl", "3\n")
    try scratch.write("readme.txt", "no records")
    var stream = try await makeSource(testContext(scratch), ["path": scratch.input]).open(from: nil, through: nil)
    var seen: [String] = []
    while let batch = try await stream.next() {
      guard batch.count > 0 else { continue }
      seen.append("\(batch.namespaces[0]) \(batch.format) \(batch.count) \(batch.schema?.columns.map(\.name) ?? [])")
    }
    #expect(seen == ["a json 2 []", "b csv 1 [\"x\"]", "c csv 1 [\"x\", \"y\"]"])
  }

  @Test(
    "every position gives exactly the rest", arguments: ["jsonl", "jsonl.gz", "jsonl.zst", "csv", "csv.gz"],
    [16, 57, 4096])
  func resume(kind: String, size: Int) async throws {
    for file in 0..<3 {
      var text = kind.hasPrefix("csv") ? "id,text\n" : ""
      for line in 0..<40 {
        if kind.hasPrefix("csv") {
          text += line == 7 ? "7\n" : "\(file * 100 + line),\"l\(line)\nx\"\n"
        } else {
          text += line == 7 ? "{broken\n" : "{\"f\":\(file),\"l\":\(line)}\n"
        }
      }
      let codec = Codec.detect(path: kind)
      let half = text.index(text.startIndex, offsetBy: 150)
      let bytes =
        codec == .none
        ? Array(text.utf8) : try compressed(String(text[..<half]), codec) + compressed(String(text[half...]), codec)
      try scratch.write("f\(file).\(kind)", bytes)
    }
    let options: Properties = ["path": scratch.input, "batch_bytes": "\(size)"]
    let whole = try await read(makeSource(testContext(scratch), options))
    #expect(whole.records.count == 117)
    #expect(whole.rejected.count == 3)
    for (count, position) in whole.marks {
      let rest = try await read(makeSource(testContext(scratch), options), from: position)
      let done = try await read(makeSource(testContext(scratch), options), through: position)
      #expect(done.records + rest.records == whole.records)
      #expect(done.rejected + rest.rejected == whole.rejected)
      #expect(done.records.count + done.rejected.count == count)
      #expect(done.marks.last?.position == position)
    }
  }

  @Test("behind a re-read up to a position comes the rest")
  func rereadAndRest() async throws {
    let lines = (0..<40).map { "{\"n\":\($0)}" }
    for name in ["a.jsonl", "b.jsonl.gz"] {
      let text = lines.map { "\($0)\n" }.joined()
      try scratch.write(name, Codec.detect(path: name) == .none ? Array(text.utf8) : compressed(text, .gzip))
    }
    let options: Properties = ["path": scratch.input, "batch_bytes": "64"]
    let whole = try await read(makeSource(testContext(scratch), options))
    #expect(whole.records == lines + lines)
    for (_, position) in whole.marks {
      let source = try makeSource(testContext(scratch), options)
      var stream = try await source.open(from: nil, through: position)
      var reading = Reading()
      while let batch = try await stream.next() { reading.add(batch) }
      await source.close()
      #expect(reading.records == whole.records)
      #expect(reading.marks.contains { $0.position == position })
    }
  }

  @Test("a pipe, a device or a socket is no file: an error where it is named, passed over in a folder")
  func notRegular() async throws {
    let pipe = "\(scratch.input)/p.jsonl"
    #expect(mkfifo(pipe, 0o600) == 0)
    let held = open(pipe, O_RDWR | O_NONBLOCK)
    defer { close(held) }
    for path in ["/dev/null", pipe, "\(scratch.input)/*.jsonl"] {
      let source = try makeSource(testContext(scratch), ["path": path, "format": "jsonl"])
      let error = await #expect(throws: NebulaError.self) { try await read(source) }
      #expect(error?.code.rawValue == "file.not_regular")
      #expect(try await source.check().allSatisfy { $0.error == error })
    }
    try scratch.write("a.jsonl", "1\n")
    #expect(try await read(makeSource(testContext(scratch), ["path": scratch.input])).records == ["1"])
  }

  @Test("links to other folders are followed; one that leads to a folder that is read anyway is an error")
  func folderLinks() async throws {
    let manager = FileManager.default
    for folder in ["in/sub", "elsewhere"] {
      try manager.createDirectory(atPath: "\(scratch.path)/\(folder)", withIntermediateDirectories: true)
    }
    try scratch.write("a.jsonl", "1\n")
    try scratch.write("sub/b.jsonl", "2\n")
    try scratch.write("../elsewhere/c.jsonl", "3\n")
    try manager.createSymbolicLink(atPath: "\(scratch.input)/z", withDestinationPath: "../elsewhere")
    let options: Properties = ["path": scratch.input]
    #expect(try await read(makeSource(testContext(scratch), options)).records == ["1", "2", "3"])
    for (link, target) in [("sub/back", ".."), ("beside", "sub"), ("sub/self", ".")] {
      try manager.createSymbolicLink(atPath: "\(scratch.input)/\(link)", withDestinationPath: target)
      let source = try makeSource(testContext(scratch), options)
      let error = await #expect(throws: NebulaError.self) { try await read(source) }
      #expect(error?.code.rawValue == "file.folder_twice")
      #expect(error?.message.contains("\(scratch.input)/\(link)") == true)
      try manager.removeItem(atPath: "\(scratch.input)/\(link)")
    }
  }

  @Test(
    "a declared column that the file lacks is an error",
    arguments: [("true", "pirce", "price"), ("false", "column_3", "column_1")])
  func unknownColumn(header: String, declared: String, meant: String) async throws {
    let file = try scratch.write("a.csv", "id,price\n1,2.5\n")
    var options: Properties = ["path": file, "header": header]
    options["columns"] = .map(
      [.init(name: declared, value: .scalar("number", at: .init(path: "columns")))], at: .init(path: "columns"))
    let make = try #require(Connector.fileSource.makeSource)
    let source = try make(options, testContext(scratch))
    let error = await #expect(throws: NebulaError.self) { try await read(source) }
    #expect(error?.code.rawValue == "file.unknown_column" && error?.exit == .configuration)
    #expect(error?.message.contains(declared) == true && error?.remedy.contains("Did you mean '\(meant)'?") == true)
  }

  @Test("a folder of many files makes no large position, and resumes from its journal")
  func manyFiles() async throws {
    for number in 0..<400 { try scratch.write("f\(1000 + number).jsonl", "\(number)\n") }
    let source = try makeSource(testContext(scratch), ["path": scratch.input])
    let whole = try await read(source)
    #expect(whole.records == (0..<400).map(String.init))
    #expect(whole.marks.allSatisfy { $0.position.bytes.count < 16_384 })
    for index in stride(from: 0, to: whole.marks.count, by: 37) {
      let rest = try await read(
        makeSource(testContext(scratch), ["path": scratch.input]), from: whole.marks[index].position)
      #expect(rest.records == Array(whole.records[whole.marks[index].count...]))
    }
    let last = try #require(whole.marks.last).position
    try scratch.write("a-new.jsonl", "\"new\"\n")  // sorts before all that was read
    let more = try await read(makeSource(testContext(scratch), ["path": scratch.input]), from: last)
    #expect(more.records == ["\"new\""])
    for name in try FileManager.default.contentsOfDirectory(atPath: "\(scratch.path)/state") {
      try FileManager.default.removeItem(atPath: "\(scratch.path)/state/\(name)")
    }
    let lost = try makeSource(testContext(scratch), ["path": scratch.input])
    let error = await #expect(throws: NebulaError.self) { try await read(lost, from: last) }
    #expect(error?.code.rawValue == "file.bad_position")
  }

  @Test("a file that was replaced, cut or changed is an error, never a guess")
  func changed() async throws {
    let text = (0..<50).map { "{\"n\":\($0)}\n" }.joined()
    let file = try scratch.write("a.jsonl", text)
    let options: Properties = ["path": file, "batch_bytes": "100"]
    let whole = try await read(makeSource(testContext(scratch), options))
    let position = whole.marks[3].position
    for other in [String(text.prefix(20)), text.replacingOccurrences(of: "{\"n\":1}", with: "{\"n\":9}")] {
      try FileManager.default.removeItem(atPath: file)
      try scratch.write("a.jsonl", other)
      let source = try makeSource(testContext(scratch), options)
      let error = await #expect(throws: NebulaError.self) { try await read(source, from: position) }
      #expect(error?.code.rawValue == "file.changed")
    }
    try FileManager.default.removeItem(atPath: file)
    try scratch.write("a.jsonl", text)  // a copy with the same content is the same file
    let rest = try await read(makeSource(testContext(scratch), options), from: position)
    #expect(rest.records == Array(whole.records[whole.marks[3].count...]))
  }

  @Test("a grown file gives what was added; a last line that went on is an error")
  func grown() async throws {
    let file = try scratch.write("a.jsonl", "1\n2")
    let first = try await read(makeSource(testContext(scratch), ["path": file]))
    #expect(first.records == ["1", "2"])
    let end = try #require(first.marks.last).position
    try scratch.append("a.jsonl", "\n3\n")
    let more = try await read(makeSource(testContext(scratch), ["path": file]), from: end)
    #expect(more.records == ["3"])
    try scratch.write("a.jsonl", "1\n23\n")
    let source = try makeSource(testContext(scratch), ["path": file])
    let error = await #expect(throws: NebulaError.self) { try await read(source, from: end) }
    #expect(error?.code.rawValue == "file.changed")
  }

  @Test("a damaged or truncated compressed file stops with its place")
  func damaged() async throws {
    let bytes = try compressed((0..<1000).map { "\($0)\n" }.joined(), .gzip)
    let file = try scratch.write("a.jsonl.gz", Array(bytes.dropLast(10)))
    let source = try makeSource(testContext(scratch), ["path": file])
    let error = await #expect(throws: NebulaError.self) { try await read(source) }
    #expect(error?.place?.path == file)
  }

  @Test("input memory is given back: a budget of two batches reads any number")
  func budget() async throws {
    let file = try scratch.write("a.jsonl", (0..<20_000).map { "{\"n\":\($0)}\n" }.joined())
    let context = testContext(scratch, budget: 16_384)
    let got = try await read(makeSource(context, ["path": file, "batch_bytes": "4096"]))
    #expect(got.records.count == 20_000)
    #expect(context.budget.inFlight == 0)
  }

  @Test("positions of another version or damaged ones are refused")
  func badPositions() async throws {
    let file = try scratch.write("a.jsonl", "1\n")
    for bytes in [[], [9], [1, 0, 1, 200], [1, 1, 3, 97]] as [[UInt8]] {
      let source = try makeSource(testContext(scratch), ["path": file])
      let error = await #expect(throws: NebulaError.self) { try await read(source, from: Position(bytes)) }
      #expect(error?.code.rawValue == "file.bad_position")
    }
  }

  @Test("a quote that is the delimiter of its file is refused", arguments: [",", "\\t", "tab"])
  func quoteIsDelimiter(quote: String) throws {
    var properties: Properties = ["path": "x"]
    properties["quote"] = .scalar(quote, at: .init(path: "quote"))
    let make = try #require(Connector.fileSource.makeSource)
    let error = #expect(throws: NebulaError.self) { try make(properties, testContext(scratch)) }
    #expect(error?.place?.path == "quote")
    properties["delimiter"] = .scalar(";", at: .init(path: "delimiter"))
    _ = try make(properties, testContext(scratch))
  }

  @Test(
    "what can't be meant is refused",
    arguments: [("delimiter", "ab"), ("quote", ","), ("format", "xml"), ("max_line_bytes", "0")])
  func options(name: String, value: String) throws {
    var properties: Properties = ["path": "x", "delimiter": ","]
    properties[name] = .scalar(value, at: .init(path: name))
    let make = try #require(Connector.fileSource.makeSource)
    #expect(throws: NebulaError.self) { try make(properties, testContext(scratch)) }
  }
}
