import Foundation
import NebulaCore
import NebulaHTTP
import Synchronization
import Testing

@testable import SnowflakeConnector

/// Which staged files nobody needs any more.
@Suite struct StageSweepTests {
  private func entry(_ path: String, _ age: Int64 = 0, folder: String = "nebula/orders") -> StagedEntry? {
    StagedEntry(path, below: folder, modified: HTTPDate(seconds: Int(1_700_000_000 - age)).text)
  }
  private let now: Int64 = 1_700_000_000_000

  @Test func onlyWhatLiesRightInATablesFolderIsOurs() throws {
    let file = "0000000001-0000000002-000001.json.zst"
    for stage in ["nebula_stage", "s3://bucket/base", "azure://a.blob.core.windows.net/c", "nebula/orders"] {
      let found = try #require(entry("\(stage)/nebula/orders/T/\(file)"), "\(stage)")
      #expect(found.table == "T" && found.name == file && found.epoch == .at(1, 2))
    }
    for other in [
      "st/nebula/orders2/T/\(file)", "st/nebula/my-orders/T/\(file)", "st/nebula/orders/T/deep/\(file)",
      "st/nebula/orders/\(file)", "st/nebulaorders/T/\(file)", "st/other/orders/T/\(file)", "nebula/orders/T/\(file)",
      "st/nebula/orders//\(file)", "",
    ] { #expect(entry(other) == nil, "\(other)") }
    for name in ["readme.txt", "1-2-3.csv", "0000000001-x-1.csv", "0000000001-0000000002"] {
      #expect(try #require(entry("st/nebula/orders/T/\(name)")).epoch == nil, "\(name)")
    }
    #expect(entry("st/p/T/\(file)", folder: "p") != nil && entry("p/T/\(file)", folder: "p") == nil)
  }

  @Test func onlyWhatTheStateNoLongerNeedsIsStale() {
    var sweep = StageSweep(generation: 3, retention: .zero)
    let files = [
      "T/0000000002-0000000001-000001.csv", "T/0000000002-0000000002-000001.csv", "U/0000000002-0000000002-000001.csv",
      "T/0000000003-0000000001-000001.csv", "T/0000000003-0000000002-000001.csv", "T/0000000003-0000000003-000001.csv",
      "T/0000000004-0000000001-000001.csv", "T/notes.txt",
    ].compactMap { entry("st/nebula/orders/\($0)") }
    #expect(files.count == 8)
    #expect(sweep.stale(files, now: now) == ["T/0000000002-", "U/0000000002-"])
    sweep.settled = .at(3, 2)
    #expect(
      sweep.stale(files, now: now) == [
        "T/0000000002-", "T/0000000003-0000000001-", "T/0000000003-0000000002-", "U/0000000002-",
      ])
    // A receipt of an older generation says nothing of this one's epochs.
    sweep.settled = .at(2, 9)
    #expect(sweep.stale(files, now: now) == ["T/0000000002-", "U/0000000002-"])
  }

  @Test func filesAreKeptForTheirTime() {
    let sweep = StageSweep(generation: 3, settled: .at(3, 1), retention: .seconds(100))
    let files = [
      entry("st/nebula/orders/T/0000000002-0000000001-000001.csv", 500),
      entry("st/nebula/orders/T/0000000002-0000000002-000001.csv", 100),
      entry("st/nebula/orders/T/0000000002-0000000003-000001.csv", 100),
      entry("st/nebula/orders/T/0000000002-0000000003-000002.csv", 99),
      entry("st/nebula/orders/T/0000000003-0000000001-000001.csv", 101),
      entry("st/nebula/orders/T/0000000003-0000000002-000001.csv", 500),
    ].compactMap(\.self)
    #expect(
      sweep.stale(files, now: now) == [
        "T/0000000002-0000000001-", "T/0000000002-0000000002-", "T/0000000003-0000000001-",
      ])
    let undated = [StagedEntry("st/nebula/orders/T/0000000001-0000000001-000001.csv", below: "nebula/orders")]
    #expect(sweep.stale(undated.compactMap(\.self), now: now) == [])
    #expect(StageSweep(generation: 1, retention: .seconds(10)).pause == .seconds(60))
    #expect(StageSweep(generation: 1, retention: .seconds(86_400 * 7)).pause == .seconds(3600))
  }
}

/// What stays in the stage and what goes, and that nothing is asked without need.
@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct StageHygieneTests {
  @Test func twoPipelinesOfPrefixLikeNamesShareAStage() async throws {
    let standIn = try StandIn()
    var others: [Rig] = []
    for name in ["orders2", "my-orders", "order"] {
      let rig = try Rig(standIn, pipeline: name, ["table": "ORDERS", "stage_retention": "1h"])
      try await rig.open(1)
      let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(3)])
      _ = try await rig.destination.settled(try await rig.commit(prepared), prepared)
      _ = try await rig.prepare(.at(1, 2), [ChangeBatch.orders(3)])
      others.append(rig)
    }
    let theirs = try await standIn.stagedFiles()
    #expect(theirs.count == 6)
    let dead = try Rig(standIn)
    try await dead.open(1)
    _ = try await dead.prepare(.at(1, 1), [ChangeBatch.orders(3)])
    #expect(try await standIn.stagedFiles().count == 7)
    let ours = try Rig(standIn)
    try await ours.open(2)
    let prepared = try await ours.prepare(.at(2, 1), [ChangeBatch.orders(3)])
    try await ours.destination.settled(try await ours.commit(prepared), prepared)
    #expect(try await standIn.stagedFiles() == theirs)
    for rig in others + [dead, ours] { await rig.close() }
  }

  @Test func loadedFilesAreKeptAndThenRemovedAlsoByTheNextRun() async throws {
    // A place without signatures, which know the time as well.
    let standIn = try StandIn(["--location", "LOCAL_FS"])
    let ahead = Atomic<Int64>(0)
    let quick = Timekeeper.quick
    let clock = Timekeeper(
      monotonic: { quick.monotonic() + .milliseconds(ahead.load(ordering: .relaxed)) },
      wall: { quick.wall() + ahead.load(ordering: .relaxed) }, sleep: quick.sleep)
    func rig(_ generation: UInt64) async throws -> Rig {
      let rig = try Rig(standIn, clock: clock, ["stage_retention": "1h"])
      try await rig.open(generation)
      return rig
    }
    func load(_ rig: Rig, _ id: EpochID) async throws {
      let prepared = try await rig.prepare(id, [ChangeBatch.orders(3)])
      try await rig.destination.settled(try await rig.commit(prepared), prepared)
    }
    let first = try await rig(1)
    try await load(first, .at(1, 1))
    try await load(first, .at(1, 2))
    #expect(try await standIn.stagedFiles().count == 2)
    ahead.store(30 * 60 * 1000, ordering: .relaxed)
    try await load(first, .at(1, 3))
    #expect(try await standIn.stagedFiles().count == 3)
    // The same run removes what is old enough, and keeps what is not.
    ahead.store(61 * 60 * 1000, ordering: .relaxed)
    _ = try await first.prepare(.at(1, 4), [ChangeBatch.orders(3)])
    try await load(first, .at(1, 5))
    #expect(try await standIn.stagedFiles().allSatisfy { $0.contains("-0000000004-") || $0.contains("-0000000005-") })
    await first.close()
    // So does the next one, for what nobody loaded as well.
    let second = try await rig(2)
    ahead.store(200 * 60 * 1000, ordering: .relaxed)
    try await second.destination.begin(.at(2, 1), pin: nil)
    #expect(try await standIn.stagedFiles().isEmpty)
    await second.close()
  }

  @Test func aStageThatCannotBeSweptStopsNothing() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["stage_retention": "1s"])
    try await rig.open(1)
    try await standIn.faults(
      ["sql": "^LIST", "action": "fail", "code": "003001", "sqlstate": "42501", "message": "no right", "times": 0])
    let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(3)])
    #expect(try await rig.commit(prepared).rows == 3)
    #expect(rig.log.all.contains { $0.contains("could not be swept") })
    let health = rig.health.verdict(at: Timekeeper.quick.monotonic())
    #expect(health.state == .degraded)
    #expect(
      health.reasons.first?.hasPrefix("loaded files stay in the stage: snowflake.not_permitted") == true, "\(health)")
    await rig.close()
  }

  /// What needs no warehouse is asked by SHOW and LIST.
  @Test func openingReadsNoTable() async throws {
    let standIn = try StandIn()
    let first = try Rig(standIn)
    try await first.open(1)
    await first.close()
    let before = try await standIn.statements().count
    let rig = try Rig(standIn)
    try await rig.open(2)
    let words = try await standIn.statements().dropFirst(before).map { String($0.prefix { $0 != " " }) }
    #expect(words == ["LIST", "SHOW", "SHOW", "SHOW", "BEGIN", "UPDATE", "COMMIT"])
    // And nothing at all is sent for a batch without records, or while nothing comes.
    let count = try await standIn.statements().count
    try await rig.destination.write(Plain.json([]), to: .at(2, 1))
    #expect(try await standIn.statements().count == count)
    await rig.close()
  }

  /// Whatever fails inside a commit, its transaction is ended.
  @Test(arguments: ["^UPDATE", "^SELECT .EPOCH", "^COPY", "^INSERT", "^COMMIT"], ["fail", "close", "truncate"])
  func aFailureLeavesNoTransactionOpen(_ sql: String, _ action: String) async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(3)])
    try await standIn.faults(
      ["sql": .string(sql), "action": .string(action), "times": 8, "code": "000904", "sqlstate": "42000", "keep": 5])
    await #expect(throws: NebulaError.self) { try await rig.commit(prepared) }
    try await standIn.until { try await standIn.control("transactions", method: "GET")["transactions"] == [] }
    await rig.close()
  }
}
