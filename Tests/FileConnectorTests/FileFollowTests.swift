import Foundation
import NebulaCore
import NebulaFormats
import Testing

@testable import FileConnector

@Suite("file source that follows")
struct FileFollowTests {
  let scratch: Scratch
  init() throws { scratch = try Scratch() }

  private func batches(_ source: any Source, from: Position? = nil, until count: Int) async throws -> Reading {
    var stream = try await source.open(from: from, through: nil)
    var reading = Reading()
    var idle = 0
    while reading.records.count < count, idle < 50, let batch = try await stream.next() {
      reading.add(batch)
      idle = batch.count == 0 ? idle + 1 : 0
    }
    await source.close()
    return reading
  }

  @Test("new lines and new files come; half a line waits")
  func tail() async throws {
    let clock = TestClock()
    try scratch.write("a.jsonl", "1\n\"ha")
    clock.whileSleeping { [scratch] count in
      switch count {
      case 2: try? scratch.append("a.jsonl", "lf\"\n2\n")
      case 4: _ = try? scratch.write("b.jsonl", "3\n")
      case 6: try? scratch.append("a.jsonl", "4\n")
      default: break
      }
    }
    let context = testContext(scratch, clock: clock)
    let got = try await batches(makeSource(context, ["path": scratch.input, "follow": "true"]), until: 5)
    #expect(got.records == ["1", "\"half\"", "2", "3", "4"])
    for (count, position) in got.marks {
      let later = try await batches(
        makeSource(testContext(scratch), ["path": scratch.input, "follow": "true"]), from: position, until: 5 - count)
      #expect(later.records.sorted() == got.records[count...].sorted())
    }
  }

  @Test("what is added to a file after it was listed comes without waiting for the next change")
  func addedWhileReading() async throws {
    try scratch.write("a.jsonl", "1\n")
    try scratch.write("b.jsonl", "2\n")
    let source = try makeSource(testContext(scratch), ["path": scratch.input, "follow": "true"])
    var stream = try await source.open(from: nil, through: nil)
    try scratch.append("a.jsonl", "3\n")
    var reading = Reading()
    for _ in 0..<50 where reading.records.count < 3 { if let batch = try await stream.next() { reading.add(batch) } }
    await source.close()
    #expect(reading.records == ["1", "2", "3"])
  }

  @Test("a line may go on behind the end of a gzip member or zstd frame", arguments: [Codec.none, .gzip, .zstd])
  func linesAcrossMembers(codec: Codec) async throws {
    let clock = TestClock()
    let long = String(repeating: "x", count: 5000)
    let parts = [("a.jsonl", "1\n{\"a\":", "1}\n12", "34\n"), ("b.csv", "id,na", "me\n1,", "two\n")]
    let tooLong = [("c.jsonl", "5\n\"\(long)", "\(long)", "\"\n6\n")]
    for (name, first, _, _) in parts + tooLong {
      try scratch.write(name + codec.fileExtension, compressed(first, codec))
    }
    clock.whileSleeping { [scratch] count in
      for (name, _, second, third) in parts + tooLong where count == 2 || count == 4 {
        guard let more = try? compressed(count == 2 ? second : third, codec) else { return }
        try? scratch.append(name + codec.fileExtension, more)
      }
    }
    let options: Properties = [
      "path": scratch.input, "follow": "true", "max_line_bytes": "1000", "batch_bytes": "64",
    ]
    let got = try await batches(makeSource(testContext(scratch, clock: clock), options), until: 6)
    #expect(got.records.sorted() == ["1", "1,two", "1234", "5", "6", "{\"a\":1}"])
    #expect(got.rejected.map(\.error.code.rawValue) == ["file.line_too_long"])
  }

  @Test("a renamed file is read to its end, then the new one of its name", arguments: ["a.jsonl", "*.jsonl*"])
  func rotation(pattern: String) async throws {
    let clock = TestClock()
    let path = "\(scratch.input)/a.jsonl"
    try scratch.write("a.jsonl", "1\n")
    clock.whileSleeping { [scratch] count in
      guard count == 2 else { return }
      try? scratch.append("a.jsonl", "2\n")
      try? FileManager.default.moveItem(atPath: path, toPath: "\(scratch.input)/a.jsonl.1")
      _ = try? scratch.write("a.jsonl", "3\n")
    }
    let options: Properties = ["path": "\(scratch.input)/\(pattern)", "follow": "true", "format": "jsonl"]
    let got = try await batches(makeSource(testContext(scratch, clock: clock), options), until: 3)
    #expect(got.records == ["1", "2", "3"])
    for (count, position) in got.marks where count > 0 {
      let later = try await batches(makeSource(testContext(scratch), options), from: position, until: 4 - count)
      #expect(later.records == Array(got.records[count...]))
    }
  }

  @Test("the open last line of a compressed file counts once its name is another's")
  func rotatedGzip() async throws {
    let clock = TestClock()
    let path = try scratch.write("a.jsonl.gz", compressed("1\n2", .gzip))
    clock.whileSleeping { [scratch] count in
      guard count == 2, let next = try? compressed("3\n", .gzip) else { return }
      try? FileManager.default.moveItem(atPath: path, toPath: "\(path).1")
      _ = try? scratch.write("a.jsonl.gz", next)
    }
    let source = try makeSource(testContext(scratch, clock: clock), ["path": path, "follow": "true"])
    #expect(try await batches(source, until: 3).records == ["1", "2", "3"])
  }

  @Test("a file that gets shorter is an error")
  func truncated() async throws {
    let clock = TestClock()
    try scratch.write("a.jsonl", "1\n2\n3\n")
    clock.whileSleeping { [scratch] count in
      if count == 2 { _ = truncate("\(scratch.input)/a.jsonl", 2) }
    }
    let source = try makeSource(testContext(scratch, clock: clock), ["path": scratch.input, "follow": "true"])
    let error = await #expect(throws: NebulaError.self) { try await batches(source, until: 4) }
    #expect(error?.code.rawValue == "file.changed")
    await source.close()
  }

  @Test("until caught up: names and sizes are fixed at the start")
  func caughtUp() async throws {
    try scratch.write("a.jsonl", "1\n2\n3\n\"ha")
    let context = testContext(scratch, mode: .untilCaughtUp)
    let source = try makeSource(context, ["path": scratch.input, "follow": "true", "batch_bytes": "16"])
    #expect(source.traits.isBounded)
    var stream = try await source.open(from: nil, through: nil)
    try scratch.append("a.jsonl", "lf\"\n4\n")
    try scratch.write("b.jsonl", "5\n")
    var got = Reading()
    while let batch = try await stream.next() { got.add(batch) }
    #expect(got.records == ["1", "2", "3"])
    await source.close()
    let rest = try await read(source, from: got.marks.last?.position)
    #expect(rest.records == ["\"half\"", "4", "5"])
  }

  @Test("an idle source gives idle batches, and ends soon when it is closed or cancelled")
  func idle() async throws {
    try scratch.write("a.jsonl", "1\n")
    let source = try makeSource(testContext(scratch), ["path": scratch.input, "follow": "true"])
    var stream = try await source.open(from: nil, through: nil)
    var got = Reading()
    for _ in 0..<5 { if let batch = try await stream.next() { got.add(batch) } }
    #expect(got.records == ["1"])
    #expect(got.marks.count == 5)
    await source.close()
    await #expect(throws: CancellationError.self) { try await stream.next() }
  }

  @Test("a compressed file that is still being written is read on when it has grown")
  func growingGzip() async throws {
    let clock = TestClock()
    let whole = try compressed((0..<5000).map { "\($0)\n" }.joined(), .gzip)
    try scratch.write("a.jsonl.gz", Array(whole.prefix(whole.count / 2)))
    clock.whileSleeping { [scratch] count in
      if count == 3 { _ = try? scratch.write("b.tmp", whole) }
      if count == 3, let handle = FileHandle(forWritingAtPath: "\(scratch.input)/a.jsonl.gz") {
        handle.seekToEndOfFile()
        handle.write(Data(whole.suffix(whole.count - whole.count / 2)))
      }
    }
    let context = testContext(scratch, clock: clock)
    let got = try await batches(makeSource(context, ["path": scratch.input, "follow": "true"]), until: 5000)
    #expect(got.records == (0..<5000).map(String.init))
  }
}
