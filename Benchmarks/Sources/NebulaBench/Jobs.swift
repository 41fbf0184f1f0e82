import NebulaCore
import NebulaFormats

@testable import FileConnector
@testable import MongoConnector
@testable import SnowflakeConnector

/// One kind of work: how its input is written, turned into batches and checked. All in between is the program's own:
/// the source's part that makes batches, and the loader's `FileWriter`, which encodes, compresses, hashes and encrypts.
protocol Job: Sendable {
  var name: String { get }
  var fileName: String { get }
  var compression: Compression { get }
  /// True when a JSON parser's first stage belongs to the limit.
  var readsJSON: Bool { get }
  /// One record as it is read; its size is what is reported.
  func record(_ order: Order) -> [UInt8]
  /// Records as they lie in the input file.
  func frame(_ records: [[UInt8]]) -> [UInt8]
  /// The staged row for an order, with its line end.
  func expected(_ order: Order) -> String
  /// How many bytes of the input are whole frames.
  var wholeFrames: @Sendable (UnsafeRawBufferPointer) -> Int { get }
  /// Validates whole frames and does nothing else.
  func validate(_ frames: UnsafeRawBufferPointer)
  /// A worker's own reader.
  func makeReader() -> any BatchReader
  /// What a new table's rows are staged as.
  func layout(_ first: RecordBatch) throws -> TableLayout
  /// Splits decompressed output into rows (with their ends) and finds each row's id.
  func rows(_ output: UnsafeRawBufferPointer, _ body: (Int, UnsafeRawBufferPointer) -> Void)
}

/// The source's part: whole frames become batches over the same bytes.
protocol BatchReader: AnyObject {
  func batches(_ frames: UnsafeRawBufferPointer) throws -> [RecordBatch]
}

/// The bytes stay where they are, and must live as long as the batch.
private func borrowed(_ bytes: UnsafeRawBufferPointer) -> SharedBytes { SharedBytes(adopting: bytes) {} }

/// Flat JSON objects, validated and written as rows of a new table's CSV.
struct JSONLinesToCSV: Job {
  let name = "JSON Lines → staged CSV.gz"
  let fileName = "records.jsonl"
  let compression = Compression.gzip
  let readsJSON = true
  var wholeFrames: @Sendable (UnsafeRawBufferPointer) -> Int { wholeLines }
  func record(_ order: Order) -> [UInt8] { Array(order.jsonLine.utf8) + [10] }
  func frame(_ records: [[UInt8]]) -> [UInt8] { Array(records.joined()) }
  func expected(_ order: Order) -> String { order.csvRow + "\n" }
  func makeReader() -> any BatchReader { LineReader() }
  func layout(_ first: RecordBatch) throws -> TableLayout { .csv(try ObservedFields(first).columns()) }
  func validate(_ records: UnsafeRawBufferPointer) {
    var splitter = LineSplitter()
    while let line = splitter.next(in: records) {
      if let problem = JSONText.validate(UnsafeRawBufferPointer(rebasing: records[line])) { fail("\(problem)") }
    }
  }

  func rows(_ output: UnsafeRawBufferPointer, _ body: (Int, UnsafeRawBufferPointer) -> Void) {
    var scanner = CSVRowScanner(CSVDialect())
    while let row = scanner.next(in: output) {
      let bytes = UnsafeRawBufferPointer(rebasing: output[row.lowerBound..<row.upperBound + 1])
      body(leadingNumber(bytes), bytes)
    }
  }
}

private final class LineReader: BatchReader {
  func batches(_ lines: UnsafeRawBufferPointer) throws -> [RecordBatch] {
    var cutter = LineCutter(CutRecords(path: "records.jsonl", lines: 0), limit: 16 << 20)
    cutter.scan(lines, ended: true)
    if !cutter.found.rejected.isEmpty || cutter.found.consumed != lines.count { fail("a line was refused") }
    return [
      RecordBatch(
        bytes: borrowed(lines), records: cutter.found.records, format: .json,
        namespaces: [Namespace(collection: "records")], position: nil)
    ]
  }
}

/// A server's answers full of change events, taken apart into slices and written as rows of the landing table.
struct EventsToJSON: Job {
  let name = "BSON events → staged JSON.zst"
  let fileName = "answers.bson"
  let compression = Compression.zstd
  let readsJSON = false
  var wholeFrames: @Sendable (UnsafeRawBufferPointer) -> Int { wholeDocuments }
  func record(_ order: Order) -> [UInt8] { Event(order).bson }
  func frame(_ records: [[UInt8]]) -> [UInt8] { Event.answer(records) }
  func expected(_ order: Order) -> String { Event(order).landingLine + "\n" }
  func makeReader() -> any BatchReader { AnswerReader() }
  func layout(_ first: RecordBatch) throws -> TableLayout { .documents }
  func validate(_ answers: UnsafeRawBufferPointer) {
    for list in eventLists(answers) {
      for event in elements(of: UnsafeRawBufferPointer(rebasing: answers[list])) {
        if let problem = event.subdocument.flatMap(BSON.validate) { fail("\(problem)") }
      }
    }
  }

  func rows(_ output: UnsafeRawBufferPointer, _ body: (Int, UnsafeRawBufferPointer) -> Void) {
    var splitter = LineSplitter()
    let mark = Array("\"id\":\"82".utf8)
    while let line = splitter.next(in: output) {
      let bytes = UnsafeRawBufferPointer(rebasing: output[line.lowerBound..<line.upperBound + 1])
      // The order's number stands in its token, behind 24 hex digits.
      let start = (0..<200).first { bytes[$0...].starts(with: mark) }.map { $0 + mark.count + 24 }
      body(start.map { leadingNumber(UnsafeRawBufferPointer(rebasing: bytes[$0..<$0 + 16])) } ?? -1, bytes)
    }
  }
}

private final class AnswerReader: BatchReader {
  private var events = EventReader(
    scope: Namespace(database: "shop", collection: "orders"), from: .now,
    sequence: SequenceState(clusterTime: 0, next: 0))

  func batches(_ answers: UnsafeRawBufferPointer) throws -> [RecordBatch] {
    let bytes = borrowed(answers)
    var batches: [RecordBatch] = []
    for list in eventLists(answers) {
      for run in try events.read(bytes, list, end: nil, nil).runs {
        if !run.draft.rejected.isEmpty { fail("an event was refused") }
        batches.append(run.draft.batch(at: nil, lag: RecordBatch.Lag(), copy: .none))
      }
    }
    return batches
  }
}

/// Where the arrays of events lie in a run of answers.
private func eventLists(_ answers: UnsafeRawBufferPointer) -> [Range<Int>] {
  guard let base = answers.baseAddress else { return [] }
  var lists: [Range<Int>] = []
  var at = 0
  while at < answers.count {
    let length = Int(answers.loadUnaligned(fromByteOffset: at, as: Int32.self))
    let answer = UnsafeRawBufferPointer(rebasing: answers[at..<at + length])
    let cursor = BSON.find("cursor", in: answer)?.subdocument
    guard let list = cursor.flatMap({ BSON.find("nextBatch", in: $0)?.subdocument }), let start = list.baseAddress
    else { fail("an answer has no batch") }
    lists.append(start - base..<start - base + list.count)
    at += length
  }
  return lists
}

func leadingNumber(_ bytes: UnsafeRawBufferPointer) -> Int {
  var number = 0
  for byte in bytes {
    guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { break }
    number = number * 10 + Int(byte - UInt8(ascii: "0"))
  }
  return number
}
