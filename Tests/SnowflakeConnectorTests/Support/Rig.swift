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
  let health = HealthBoard()
  let folder: String
  let budget: MemoryBudget

  init(
    _ standIn: StandIn, pipeline: String = "orders", budget: Int = 128 << 20, spoolBytes: Int = 4 << 30,
    crash: CrashPoints = .none, clock: Timekeeper = .quick,
    uploads: @Sendable (inout ObjectStoreContext) -> Void = { _ in },
    _ changes: KeyValuePairs<String, String> = [:], properties more: [String: String] = [:], onError: String? = nil
  ) throws {
    try self.init(
      url: standIn.url, pipeline: pipeline, budget: budget, spoolBytes: spoolBytes, crash: crash, clock: clock,
      uploads: uploads, changes.map { ($0.key, $0.value) } + more.map { ($0.key, $0.value) }, onError: onError)
  }

  /// The same with any server that speaks Snowflake's protocol.
  init(
    url: String, pipeline: String = "orders", budget: Int = 128 << 20, spoolBytes: Int = 4 << 30,
    crash: CrashPoints = .none, clock: Timekeeper = .quick,
    uploads: @Sendable (inout ObjectStoreContext) -> Void = { _ in }, _ changes: [(String, String)] = [],
    onError: String? = nil
  ) throws {
    folder = NSTemporaryDirectory() + "nebula-rig-\(UUID().uuidString)"
    for name in ["state", "spool"] {
      try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
    }
    var properties: Properties = [
      "account": "acme-eu1", "host": url, "user": "LOADER", "password": "secret-of-the-test", "database": "RAW",
      "schema": "SHOP", "table": "ORDERS", "warehouse": "LOAD_WH", "lock_timeout": "5s",
    ]
    for (name, text) in changes {
      if text.first == "[" {
        let list = text.dropFirst().dropLast().split(separator: ",").map { String($0.drop { $0 == " " }) }
        properties[name] = .list(list.map { .scalar($0, at: .init(path: name)) }, at: .init(path: name))
        continue
      }
      if text.first == "{", text.contains(":") {
        let pairs = text.dropFirst().dropLast().split(separator: ";").map { $0.split(separator: ":", maxSplits: 1) }
        var map = Properties()
        for pair in pairs {
          map[String(pair[0].drop { $0 == " " })] = .scalar(
            pair[1].filter { $0 != "'" && $0 != " " }, at: .init(path: name))
        }
        properties[name] = .map(map.entries, at: .init(path: name))
        continue
      }
      properties[name] = text.isEmpty ? nil : .scalar(text, at: .init(path: name))
    }
    if let onError {
      properties["copy_options"] = .map(
        Properties(["ON_ERROR": onError]).entries, at: .init(path: "copy_options"))
    }
    self.budget = MemoryBudget(bytes: budget)
    let log = log
    let context = ConnectorContext(
      pipeline: pipeline, clock: clock, log: Logger { log.add("\($0) \($1)") }, metrics: metrics, health: health,
      budget: self.budget,
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

  /// Commits as the runtime does: an error goes to `recover`, and what it says is obeyed.
  func commitWithRecovery(_ prepared: PreparedEpoch, failed: () async -> Void = {}) async throws -> CommitReceipt {
    for _ in 0..<8 {
      do { return try await commit(prepared) } catch let error as NebulaError where error.isRetryable {
        await failed()
        switch try await destination.recover(prepared) {
        case .committed(let receipt): return receipt
        case .ready: continue
        case let other: throw NebulaError("test.fate", "\(other)", remedy: "")
        }
      }
    }
    throw NebulaError("test.fate", "never committed", remedy: "")
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
