import Foundation
import NebulaCore
import NebulaFormats
import Synchronization
import Testing

@testable import FileConnector

/// A folder of a test's own, removed with it.
final class Scratch: Sendable {
  let path: String
  init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("nebula-file-\(UUID().uuidString)").path
    for folder in ["in", "state", "spool"] {
      try FileManager.default.createDirectory(atPath: "\(path)/\(folder)", withIntermediateDirectories: true)
    }
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  var input: String { "\(path)/in" }
  var output: String { "\(path)/out" }

  @discardableResult
  func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }
  @discardableResult
  func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    let file = "\(input)/\(name)"
    try Data(bytes).write(to: URL(fileURLWithPath: file))
    return file
  }
  func append(_ name: String, _ text: String) throws { try append(name, Array(text.utf8)) }
  func append(_ name: String, _ bytes: [UInt8]) throws {
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(input)/\(name)"))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data(bytes))
    try handle.close()
  }

  /// Paths below `folder`, sorted, without the destination's own folders.
  func files(in folder: String) -> [String] {
    let all = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
    return all.filter { path in
      var isFolder: ObjCBool = false
      return FileManager.default.fileExists(atPath: "\(folder)/\(path)", isDirectory: &isFolder)
        && !isFolder.boolValue && !path.hasPrefix("_")
    }.sorted()
  }

  /// All published text, file by file in order, decompressed.
  func published() throws -> String {
    try files(in: output).map { try text(of: "\(output)/\($0)") }.joined()
  }
  func text(of file: String) throws -> String {
    let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: file)))
    return String(decoding: try decompressed(bytes, Codec.detect(path: file)), as: UTF8.self)
  }
}

func compressed(_ text: String, _ codec: Codec) throws -> [UInt8] {
  let (compressor, output) = (try Compressor(codec), OutputBuffer())
  try Array(text.utf8).withUnsafeBytes { try compressor.write($0, into: output) }
  try compressor.finish(into: output)
  return output.array
}

func decompressed(_ bytes: [UInt8], _ codec: Codec) throws -> [UInt8] {
  guard codec != .none else { return bytes }
  let (decompressor, output) = (Decompressor(codec), OutputBuffer())
  try bytes.withUnsafeBytes { try decompressor.write($0, into: output) }
  try decompressor.finish()
  return output.array
}

/// Time that only passes when someone sleeps; `onSleep` is what happens meanwhile.
final class TestClock: Sendable {
  private let now = Mutex(Duration.zero)
  private let onSleep = Mutex<(@Sendable (Int) -> Void)?>(nil)
  private let sleeps = Mutex(0)
  func whileSleeping(_ body: @escaping @Sendable (Int) -> Void) { onSleep.withLock { $0 = body } }
  var keeper: Timekeeper {
    Timekeeper(
      monotonic: { self.now.withLock { $0 } },
      wall: { 1_700_000_000_000 + self.now.withLock { $0 }.wholeMilliseconds },
      sleep: { duration in
        try Task.checkCancellation()
        self.now.withLock { $0 += duration }
        let count = self.sleeps.withLock { count in
          count += 1
          return count
        }
        self.onSleep.withLock { $0 }?(count)
        await Task.yield()
      })
  }
}

/// Dead letters in memory.
final class Letters: DeadLetterSink {
  private let kept = Mutex<[RejectedRecord]>([])
  var all: [RejectedRecord] { kept.withLock { $0 } }
  func append(_ records: [RejectedRecord], to epoch: EpochID) async throws { kept.withLock { $0 += records } }
}

func testContext(
  _ scratch: Scratch, clock: TestClock = TestClock(), mode: RunMode = .continuous, letters: Letters = Letters(),
  budget: Int = 64 << 20, crash: CrashPoints = .none, pipeline: String = "test"
) -> ConnectorContext {
  ConnectorContext(
    pipeline: pipeline, mode: mode, clock: clock.keeper, budget: MemoryBudget(bytes: budget), deadLetters: letters,
    paths: Paths(state: "\(scratch.path)/state", spool: "\(scratch.path)/spool"), crash: crash)
}

func makeSource(_ context: ConnectorContext, _ properties: Properties) throws -> any Source {
  let make = try #require(Connector.fileSource.makeSource)
  return try make(properties, context)
}
func makeDestination(
  _ context: ConnectorContext, _ properties: Properties
) throws -> any Destination {
  let make = try #require(Connector.fileDestination.makeDestination)
  return try make(properties, context)
}

/// What a stream gave: records with the position behind each batch.
struct Reading {
  var records: [String] = []
  var rejected: [RejectedRecord] = []
  var namespaces: [String] = []
  /// For each batch: how many records were read up to and with it, and its position.
  var marks: [(count: Int, position: Position)] = []

  mutating func add(_ batch: RecordBatch) {
    batch.withBytes { bytes in
      for range in batch.records {
        records.append(String(decoding: bytes[Int(range.start)..<Int(range.end)], as: UTF8.self))
      }
    }
    if let name = batch.namespaces.first?.description, namespaces.last != name { namespaces.append(name) }
    rejected += batch.rejected
    if let position = batch.position { marks.append((records.count + rejected.count, position)) }
  }
}

/// Reads a bounded source to its end, or until `limit` batches came.
func read(
  _ source: any Source, from position: Position? = nil, through: Position? = nil, limit: Int = .max
) async throws -> Reading {
  var stream = try await source.open(from: position, through: through)
  var reading = Reading()
  var batches = 0
  while batches < limit, let batch = try await stream.next() {
    reading.add(batch)
    batches += 1
    if let through, batch.position == through { break }
  }
  await source.close()
  return reading
}

func batch(
  _ lines: [String], format: PayloadFormat = .json, namespace: String = "t", schema: RecordSchema? = nil
) -> RecordBatch {
  var bytes: [UInt8] = []
  var ranges: [ByteRange] = []
  for line in lines {
    let start = UInt32(bytes.count)
    bytes += line.utf8
    ranges.append(ByteRange(start, UInt32(bytes.count)))
  }
  return RecordBatch(
    bytes: SharedBytes(copying: bytes), records: ranges, format: format, namespaces: [Namespace(collection: namespace)],
    schema: schema, position: nil)
}

func id(_ sequence: UInt64, _ generation: UInt64 = 1) -> EpochID { EpochID(generation: generation, sequence: sequence) }
