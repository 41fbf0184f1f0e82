import Foundation
import NebulaCore
import NebulaFormats
import NebulaObjectStores
import Synchronization

@testable import SnowflakeConnector

/// A destination with everything it is given from outside.
struct Rig: Sendable {
  let destination: SnowflakeDestination
  let letters = Letters()
  let log = Lines()
  let metrics = Metrics()
  let folder: String
  let budget: MemoryBudget

  init(
    _ standIn: StandIn, pipeline: String = "orders", budget: Int = 128 << 20, spoolBytes: Int = 4 << 30,
    crash: CrashPoints = .none, clock: Timekeeper = .quick,
    uploads: @Sendable (inout ObjectStoreContext) -> Void = { _ in },
    _ changes: KeyValuePairs<String, String> = [:]
  ) throws {
    folder = NSTemporaryDirectory() + "nebula-rig-\(UUID().uuidString)"
    for name in ["state", "spool"] {
      try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
    }
    var properties: Properties = [
      "account": "acme-eu1", "host": standIn.url, "user": "LOADER", "password": "secret-of-the-test", "database": "RAW",
      "schema": "SHOP", "table": "ORDERS", "warehouse": "LOAD_WH", "lock_timeout": "5s",
    ]
    for (name, text) in changes { properties[name] = text.isEmpty ? nil : .scalar(text, at: .init(path: name)) }
    self.budget = MemoryBudget(bytes: budget)
    let log = log
    let context = ConnectorContext(
      pipeline: pipeline, clock: clock, log: Logger { log.add("\($0) \($1)") }, metrics: metrics, budget: self.budget,
      deadLetters: letters, paths: Paths(state: folder + "/state", spool: folder + "/spool", maxSpoolBytes: spoolBytes),
      crash: crash)
    destination = try SnowflakeDestination(try SnowflakeOptions(decoding: properties), context, uploads: uploads)
  }

  func open(_ generation: UInt64 = 1) async throws {
    try await destination.open(Lease(pipeline: "orders", generation: generation))
  }

  /// Writes batches as one epoch and prepares it.
  func prepare(_ id: EpochID, _ batches: [RecordBatch]) async throws -> PreparedEpoch {
    try await destination.begin(id, pin: nil)
    for batch in batches { try await destination.write(batch, to: id) }
    return try await destination.prepare(id)
  }

  func commit(_ prepared: PreparedEpoch) async throws -> CommitReceipt {
    guard case .committed(let receipt) = try await destination.commit(prepared) else { fatalError("replaced") }
    return receipt
  }

  func close() async {
    await destination.close()
    try? FileManager.default.removeItem(atPath: folder)
  }
}

extension Timekeeper {
  /// Real time, except that waits are short: retries don't hold tests up.
  static let quick = Timekeeper(
    monotonic: {
      var now = timespec()
      clock_gettime(CLOCK_MONOTONIC, &now)
      return .seconds(now.tv_sec) + .nanoseconds(now.tv_nsec)
    },
    wall: { Int64(Date().timeIntervalSince1970 * 1000) },
    sleep: { try await Task.sleep(for: min($0, .milliseconds(200))) })
}

final class Letters: DeadLetterSink {
  private let records = Mutex<[RejectedRecord]>([])
  func append(_ more: [RejectedRecord], to epoch: EpochID) async throws { records.withLock { $0 += more } }
  var all: [RejectedRecord] { records.withLock { $0 } }
}

final class Lines: Sendable {
  private let lines = Mutex<[String]>([])
  func add(_ line: String) { lines.withLock { $0.append(line) } }
  var all: [String] { lines.withLock { $0 } }
}

extension EpochID {
  static func at(_ generation: UInt64, _ sequence: UInt64) -> EpochID {
    EpochID(generation: generation, sequence: sequence)
  }
}
