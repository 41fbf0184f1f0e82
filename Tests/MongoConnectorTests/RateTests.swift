import Foundation
import NebulaCore
import Testing

@testable import MongoConnector

/// `NEBULA_MONGO_RATE=1000000 swift test -c release -Xswiftc -enable-testing --filter RateTests` prints events/s of the
/// source alone. The stand-in shares the machine, so this is a lower bound.
@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["NEBULA_MONGO_RATE"] != nil)) struct RateTests {
  let count = Int(ProcessInfo.processInfo.environment["NEBULA_MONGO_RATE"] ?? "") ?? 0

  @Test func events() async throws {
    let standin = try Standin("--generate", "\(count)")
    defer { standin.stop() }
    try await measure("events", standin) {
      ($0.start, $0.startTimestamp, $0.fullDocument) = (.timestamp, "1000", .default)
    }
  }

  @Test func copiedDocuments() async throws {
    let standin = try Standin("--documents", "\(count)")
    defer { standin.stop() }
    try await measure("copied documents", standin) { _ in }
  }

  func measure(_ what: String, _ standin: Standin, _ set: (inout MongoOptions) -> Void) async throws {
    var stream = try await source(standin, context(.untilCaughtUp), set).open(from: nil, through: nil)
    let start = ContinuousClock.now
    let cpu = clock()
    var (rows, bytes) = (0, 0)
    while rows < count, let batch = try await stream.next() {
      rows += batch.count
      bytes += batch.records.reduce(0) { $0 + $1.count }
    }
    let seconds = (ContinuousClock.now - start).seconds
    let used = Double(clock() - cpu) / Double(CLOCKS_PER_SEC)
    print(
      "\(what): \(rows) of \(bytes / max(rows, 1)) bytes, \(Int(Double(rows) / seconds))/s, \(used / Double(max(rows, 1)) * 1e6) us of CPU each"
    )
    #expect(rows == count)
  }
}
