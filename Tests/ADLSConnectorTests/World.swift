import Foundation
import NebulaCore
import NebulaRuntime
import Synchronization

@testable import ADLSConnector

/// A state store in memory, by the rules of the real one.
final class MemoryState: StateStore, Sendable {
  struct Content: Sendable {
    var generation: UInt64 = 0
    var state = PipelineState()
  }
  let content: Shared
  /// The process that uses it; what is dead changes nothing.
  let process: ProcessLake
  final class Shared: Sendable { let value = Mutex(Content()) }

  init(_ content: Shared, _ process: ProcessLake) {
    self.content = content
    self.process = process
  }

  private func change<Value: Sendable>(
    _ lease: Lease?, _ body: @escaping @Sendable (inout Content) throws -> Value
  ) throws -> Value {
    try process.effect { [content] _ in
      try content.value.withLock { content in
        if let lease, lease.generation != content.generation { throw fencedError }
        return try body(&content)
      }
    }
  }
  func acquire(_ pipeline: String, identity: PipelineIdentity) async throws -> Lease {
    try change(nil) { content in
      content.generation += 1
      return Lease(pipeline: pipeline, generation: content.generation)
    }
  }
  func load(_ lease: Lease) async throws -> PipelineState { try change(lease) { $0.state } }
  func store(_ intent: Intent, under lease: Lease) async throws {
    try change(lease) { content in
      guard content.state.tail == intent.predecessor else { throw fencedError }
      content.state.intents.append(intent)
      content.state.pin = nil
    }
  }
  func store(_ checkpoint: Checkpoint, under lease: Lease) async throws -> DurablePosition {
    try change(lease) { content in
      guard content.state.last?.receipt.id == checkpoint.intent.predecessor else { throw fencedError }
      content.state.last = checkpoint
      content.state.intents.removeAll { $0.id == checkpoint.receipt.id }
    }
    return DurablePosition(storing: checkpoint)
  }
  func replace(_ intent: Intent, under lease: Lease) async throws {}
  func drop(from id: EpochID, pin: Pin?, under lease: Lease) async throws {
    try change(lease) { content in
      guard let index = content.state.intents.firstIndex(where: { $0.id == id }) else { return }
      content.state.intents.removeSubrange(index...)
      if let pin { content.state.pin = pin }
    }
  }
  func renew(_ lease: Lease) async throws {}
  func release(_ lease: Lease) async throws {}
}
private let fencedError = NebulaError("state.fenced", "A newer writer holds the pipeline.", remedy: "")

/// No record of these tests is rejected.
struct NoLetters: DeadLetterStore {
  func append(_ records: [RejectedRecord], to epoch: EpochID) async throws {}
  func seal(_ epoch: EpochID) async throws -> DeadLetterFile? { nil }
  func publish(_ file: DeadLetterFile) async throws {}
  func publishAgain(_ file: DeadLetterFile) async throws {}
  func discard(_ epoch: EpochID) async throws {}
  func sweep(keeping files: [DeadLetterFile], through generation: UInt64) async throws {}
}

/// A source whose events go to several partitions, and that can be read again exactly.
struct EventSource: Source {
  let batches: Int
  var traits: SourceTraits { SourceTraits(resume: .exact, rereadsExactly: true, hasKeys: true, isBounded: true) }
  func check() async throws -> [Finding] { [] }
  func open(from position: Position?, through: Position?) async throws -> sending any RecordStream {
    Stream(at: position.map { Int($0.bytes[0]) } ?? 0, end: batches)
  }
  func acknowledge(through position: DurablePosition) async throws {}
  func close() async {}

  struct Stream: RecordStream {
    var at: Int
    let end: Int
    mutating func next() async throws -> RecordBatch? {
      guard at < end else { return nil }
      at += 1
      return EventSource.batch(at - 1, position: Position([UInt8(at)]))
    }
  }

  static let perBatch = 6
  /// 2023-09-12T06:26:40Z, and an hour later.
  static let times: [Int64] = [1_694_500_000_000, 1_694_503_600_000]
  static let collections = ["a", "b"]

  /// Where event `number` belongs, and its document.
  static func place(_ number: Int) -> (collection: String, time: Int64) {
    (collections[number % 2], times[number / 3 % 2])
  }
  static func batch(_ index: Int, position: Position?, padding: Int = 0) -> RecordBatch {
    var bytes: [UInt8] = []
    var records: [ByteRange] = []
    var changes = ChangeColumns()
    for number in index * perBatch..<(index + 1) * perBatch {
      func add(_ text: String) -> ByteRange {
        let start = UInt32(bytes.count)
        bytes += Array(text.utf8)
        return ByteRange(start, UInt32(bytes.count))
      }
      let place = place(number)
      let document = add("{\"_id\":\(number),\"text\":\"\(String(repeating: "x", count: padding + number % 40))\"}")
      records.append(document)
      changes.operations.append(.insert)
      changes.namespaces.append(UInt32(collections.firstIndex(of: place.collection) ?? 0))
      changes.eventTimes.append(place.time)
      changes.sequences.append(ChangeSequence(clusterTime: UInt64(place.time / 1000) << 32, index: UInt32(number)))
      changes.tokens.append(add("token\(number)"))
      changes.keys.append(add("{\"_id\":\(number)}"))
      changes.documents.append(document)
      changes.befores.append(.absent)
      changes.updates.append(.absent)
    }
    return RecordBatch(
      bytes: SharedBytes(copying: bytes), records: records, format: .json,
      namespaces: collections.map { Namespace(database: "shop", collection: $0) }, changes: changes, position: position)
  }

  /// The ids that each partition owes, in their order.
  static func owed(_ batches: Int) -> [String: [Int]] {
    var owed: [String: [Int]] = [:]
    for number in 0..<batches * perBatch {
      let place = place(number)
      let hour = place.time == times[0] ? "06" : "07"
      let base = "shop/\(place.collection)/year=2023/month=09/day=12/hour=\(hour)/events-20230912-\(hour)"
      owed[base, default: []].append(number)
    }
    return owed
  }
}

/// One lake and one state, and the processes that run against them one after the other.
final class World: Sendable {
  let lake = MemoryLake()
  let state = MemoryState.Shared()
  let folder: String
  let batches: Int
  let settings: @Sendable (inout ADLSOptions) -> Void

  init(batches: Int = 6, _ settings: @escaping @Sendable (inout ADLSOptions) -> Void = { _ in }) throws {
    self.batches = batches
    self.settings = settings
    folder = NSTemporaryDirectory() + "nebula-adls-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func context(_ process: ProcessLake, wall: Int64, mode: RunMode, crash: CrashPoints = .none) -> ConnectorContext {
    ConnectorContext(
      pipeline: "p", mode: mode, clock: Self.clock(process, wall: wall), budget: MemoryBudget(bytes: 8 << 20),
      deadLetters: NoLetters(), paths: Paths(state: folder, spool: folder), crash: crash)
  }

  /// Time stands still; waiting ends at once for the dead, and never for who waits to close files.
  static func clock(_ process: ProcessLake, wall: Int64) -> Timekeeper {
    Timekeeper(
      monotonic: { .zero }, wall: { wall },
      sleep: { duration in
        if process.isDead { throw CancellationError() }
        guard duration >= .seconds(5) else { return await Task.yield() }
        try await Watched(false).wait { $0 ? () : nil }
      })
  }

  func destination(
    _ process: ProcessLake, wall: Int64 = 1_700_000_000_000, mode: RunMode = .continuous, crash: CrashPoints = .none
  ) throws -> ADLSDestination {
    var options = ADLSOptions()
    settings(&options)
    return try ADLSDestination(options, context(process, wall: wall, mode: mode, crash: crash), store: process)
  }

  /// Runs one process to its end or its death.
  @discardableResult
  func run(
    _ death: ProcessLake.Death? = nil, wall: Int64 = 1_700_000_000_000, mode: RunMode = .continuous
  ) async throws -> (process: ProcessLake, result: Result<Void, any Error>) {
    let process = ProcessLake(lake, death: death)
    var limits = PipelineSettings()
    limits.epoch = EpochLimits(records: UInt64(2 * EventSource.perBatch))
    limits.retryFor = .zero
    let pipeline = Pipeline(
      Pipeline.Parts(
        name: "p",
        identity: PipelineIdentity(source: "s", sourceIdentity: [:], destination: "adls", destinationIdentity: [:]),
        source: EventSource(batches: batches), destination: try destination(process, wall: wall, mode: mode),
        store: MemoryState(state, process), deadLetters: NoLetters(), settings: limits,
        clock: Self.clock(process, wall: wall)))
    do {
      try await pipeline.run()
      return (process, .success(()))
    } catch { return (process, .failure(error)) }
  }

  /// Nil when every event lies in its partition once, in order.
  func verdict() -> String? {
    let owed = EventSource.owed(batches)
    let found = lake.lines.mapValues { lines in
      lines.map { line in
        line.firstRange(of: "\"resumeToken\":\"token").map { Int(line[$0.upperBound...].prefix { $0 != "\"" }) ?? -1 }
          ?? -2
      }
    }
    for (base, ids) in owed where found[base] ?? [] != ids { return "\(base): \(found[base] ?? []), not \(ids)" }
    return found.count == owed.count ? nil : "partitions that nobody asked for: \(found.keys.sorted())"
  }
}
