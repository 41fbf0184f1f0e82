import NebulaCore
import NebulaFormats
import NebulaObjectStores
import Testing

@testable import ADLSConnector

@Suite struct PureTests {
  // MARK: names

  @Test func partsAreNamedAndFound() {
    let name = PartName(base: "a/b/events-1", fileExtension: ".jsonl.gz")
    #expect(name.key(1) == "a/b/events-1.jsonl.gz")
    #expect(name.key(12) == "a/b/events-1-part-12.jsonl.gz")
    #expect(name.folder == "a/b")
    #expect(name.part(of: "a/b/events-1.jsonl.gz") == 1)
    #expect(name.part(of: "a/b/events-1-part-7.jsonl.gz") == 7)
    for other in [
      "a/b/events-1-part-.jsonl.gz", "a/b/events-1-part-x.jsonl.gz", "a/b/events-10.jsonl.gz", "a/b/events-1.jsonl",
      "a/b/events-1-part-0.jsonl.gz",
    ] { #expect(name.part(of: other) == nil, "\(other)") }
    #expect(name.highest(in: ["a/b/events-1.jsonl.gz", "a/b/events-1-part-3.jsonl.gz", "a/b/x"]) == 3)
    #expect(name.highest(in: ["a/b/x"]) == 0)
  }

  @Test func templatesMakePaths() throws {
    var options = ADLSOptions()
    let orders = Namespace(database: "shop", collection: "or/ders")
    let time: Int64 = 1_694_500_000_000
    let rolling = try LakeTemplate(options)
    #expect(
      rolling.base(orders, time: time, pipeline: "p")
        == "shop/or%2Fders/year=2023/month=09/day=12/hour=06/events-20230912-06")
    #expect(
      rolling.base(Namespace(collection: "file"), time: time, pipeline: "p")
        == "file/year=2023/month=09/day=12/hour=06/events-20230912-06")
    #expect(rolling.end(of: time) == 1_694_502_000_000)
    options.path = "raw/{pipeline}/dt={yyyy}-{mm}-{dd}"
    options.fileName = "{namespace}"
    let own = try LakeTemplate(options)
    #expect(own.base(orders, time: time, pipeline: "p 1") == "raw/p%201/dt=2023-09-12/shop.or%2Fders")
    #expect(own.end(of: time) == 1_694_563_200_000)
    options.path = "raw"
    #expect(try LakeTemplate(options).end(of: time) == nil)
  }

  @Test(arguments: [
    ("../x", "e"), ("/x", "e"), ("a//b", "e"), ("a/./b", "e"), ("_nebula", "e"), ("a/{op}", "e"), ("a", "x/y"),
    ("a", ""),
    ("a", "{nothing}"), ("a", "x{"), ("a\u{7}", "e"), ("a\\b", "e"), ("{db}/{db}/{db}/{db}/{db}/{db}/{db}", "e"),
    (String(repeating: "a", count: 201), "e"),
  ])
  func badTemplatesAreRefused(_ path: String, _ name: String) {
    var options = ADLSOptions()
    (options.path, options.fileName) = (path, name)
    #expect(throws: NebulaError.self) { try options.validate() }
  }

  @Test func perEventNeedsTheEvent() {
    var options = ADLSOptions()
    (options.layout, options.fileName) = (.perEvent, "{op}-{id}")
    #expect(throws: NebulaError.self) { try options.validate() }
  }

  @Test func csvNeedsCompleteFiles() {
    var options = ADLSOptions()
    options.format = .csv
    #expect(throws: NebulaError.self) { try options.validate() }
  }

  // MARK: decisions

  @Test func filesRoll() {
    let rule = RollRule(maxBytes: 100, maxAppends: 3)
    #expect(!rule.rolls(end: 0, appends: 0, adding: 1000))
    #expect(!rule.rolls(end: 60, appends: 1, adding: 40))
    #expect(rule.rolls(end: 60, appends: 1, adding: 41))
    #expect(rule.rolls(end: 6, appends: 3, adding: 1))
  }

  @Test func filesCloseWhenTheirHourAndSomeTimeHavePassed() {
    let rule = CloseRule(after: 10)
    #expect(!rule.isDue(until: 100, lastUse: 0, now: 99))
    #expect(rule.isDue(until: 100, lastUse: 0, now: 100))
    #expect(!rule.isDue(until: 100, lastUse: 95, now: 104))
    #expect(rule.isDue(until: 100, lastUse: 95, now: 105))
    #expect(!rule.isDue(until: nil, lastUse: 0, now: .max / 2))
  }

  @Test func recoveryCarriesForwardOrClears() {
    let file = FileRecovery(from: 10, to: 30)
    #expect(file.step(length: 30) == .done(.committed))
    #expect(file.step(length: 10) == .carryForward)
    #expect(file.refused == .clear)
    #expect(file.cleared(length: 10) == .gone)
    for length in [0, 9, 11, 29, 31] {
      guard case .done(.unknown) = file.step(length: length) else {
        Issue.record("\(length) bytes are neither old nor new")
        continue
      }
    }
    guard case .done(.unknown) = file.step(length: nil) else { return #expect(Bool(false), "it had bytes") }
    #expect(FileRecovery(from: 0, to: 5).step(length: nil) == .done(.gone))
  }

  @Test func leasesAreChangedWhenTheirIdIsKnown() {
    var taking = LeaseTaking(known: ["old"])
    #expect(taking.step == .acquire)
    taking.answered(.heldByOther)
    #expect(taking.step == .change(from: "old"))
    taking.answered(.held)
    #expect(taking.step == .held)
  }

  @Test func leasesAreBrokenOnlyBehindTheFence() {
    var taking = LeaseTaking(known: [])
    taking.answered(.heldByOther)
    #expect(taking.step == .askFence)
    taking.fenceIsOurs()
    #expect(taking.step == .breakLease)
    taking.broken()
    #expect(taking.step == .acquire)
    taking.answered(.held)
    #expect(taking.step == .askFence)
    taking.fenceIsOurs()
    #expect(taking.step == .held)
    var contested = LeaseTaking(known: [])
    contested.answered(.heldByOther)
    contested.fenceIsOurs()
    contested.broken()
    contested.answered(.heldByOther)
    #expect(contested.step == .refused)
  }

  @Test func leaseNamesDifferByGenerationAndSession() {
    func name(_ pipeline: String, _ generation: UInt64, _ session: UInt64) -> String {
      LeaseName(pipeline: pipeline, generation: generation, session: session).id
    }
    #expect(Set([name("p", 1, 0), name("p", 1, 1), name("p", 2, 0), name("q", 1, 0)]).count == 4)
    #expect(name("p", 1, 0) == name("p", 1, 0))
    let groups = name("p", 1, 0).split(separator: "-").map(\.count)
    #expect(groups == [8, 4, 4, 4, 12])
  }

  @Test func theFenceKnowsOlderAndNewerWriters() throws {
    let lease = Lease(pipeline: "p", generation: 5)
    func opening(_ fence: Fence?, known: EpochID? = nil) -> Fence.Opening {
      Fence.opening(fence, as: lease, writer: "me", known: known)
    }
    let (old, new) = (EpochID(generation: 4, sequence: 9), EpochID(generation: 4, sequence: 10))
    #expect(opening(nil) == .take(Fence(generation: 5, writer: "me")))
    #expect(
      opening(Fence(generation: 4, writer: "x", last: old), known: old)
        == .take(Fence(generation: 5, writer: "me", last: old)))
    for behind in [
      opening(Fence(generation: 6, writer: "x")), opening(Fence(generation: 5, writer: "x")),
      opening(Fence(generation: 4, writer: "x", last: new), known: old),
      opening(Fence(generation: 4, writer: "x", last: new)),
    ] {
      guard case .behind = behind else {
        Issue.record("a writer that the state does not know: \(behind)")
        continue
      }
    }
    let fence = Fence(generation: 7, writer: "w", last: old, done: new)
    #expect(try Fence(fence.encoded, at: "f") == fence)
    #expect(throws: NebulaError.self) { try Fence(Array("{}".utf8), at: "f") }
  }

  @Test func manifestsAreReadBack() throws {
    let manifest = Manifest(
      layout: .rolling, lease: "l", template: "rolling \"x\"", time: 5,
      units: [
        .init(
          base: "a/ü",
          files: [
            .init(key: "a/ü.jsonl", from: 3, to: 9, rows: 2, closes: true, tail: .init(bytes: 4, sha256: "ab")),
            .init(key: "a/ü-part-2.jsonl", staged: "s", from: 0, to: 1, rows: 1),
          ])
      ])
    let id = EpochID(generation: 1, sequence: 2)
    let prepared = PreparedEpoch(id, counts: RecordCounts(committed: 3), version: 1, manifest: manifest.encoded)
    #expect(try Manifest(prepared) == manifest)
    #expect(manifest.rows == 3)
    #expect(manifest.bytes == 7)
    #expect(throws: NebulaError.self) {
      try Manifest(PreparedEpoch(id, counts: RecordCounts(), version: 2, manifest: manifest.encoded))
    }
  }

  // MARK: lines

  @Test(arguments: [1, 7, 20, 21, 50, 1000])
  func linesAreCutAtRecords(_ most: Int) {
    var queue = LineQueue(Partition("p", until: nil))
    var chunks: [Chunk] = []
    var lines: [String] = []
    for run in 0..<5 {
      let texts = (0..<4).map { "run \(run) line \($0) \(String(repeating: "x", count: run * 3))\n" }
      lines += texts
      var end: UInt32 = 0
      let ends = texts.map { text in
        end += UInt32(text.utf8.count)
        return end
      }
      let slice = EncodedSlice(
        bytes: SharedBytes(copying: Array(texts.joined().utf8)), ends: ends, runs: [], header: [], rejected: [])
      // Its records may come as one run or as several.
      for records in run % 2 == 0 ? [0..<4] : [0..<1, 1..<4] {
        chunks += queue.add(EncodedRun(partition: queue.partition, records: records), of: slice, most: most)
      }
    }
    chunks.append(queue.take())
    for chunk in chunks { #expect(chunk.bytes <= most || chunk.records == 1) }
    let text = chunks.flatMap(\.blocks).map { String(decoding: $0, as: UTF8.self) }
    #expect(text.joined() == lines.joined())
    #expect(chunks.reduce(0) { $0 + $1.records } == lines.count)
  }

  @Test func chunksAreKeptInBlocks() {
    var chunk = Chunk()
    let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    for start in stride(from: 0, to: bytes.count, by: 777) {
      bytes[start..<min(bytes.count, start + 777)].withUnsafeBytes { chunk.add($0, records: 1) }
    }
    #expect(chunk.blocks.flatMap(\.self) == bytes && chunk.bytes == bytes.count && chunk.records == 387)
    #expect(chunk.blocks.map(\.count).prefix(7) == [2048, 4096, 8192, 16_384, 32_768, 65_536, 65_536])
  }

  @Test func aKeysObjectIDHasATime() {
    let key: [UInt8] = [22, 0, 0, 0, 7, 0x5F, 0x69, 0x64, 0, 0x65, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0]
    key.withUnsafeBytes {
      let time = EventTime.objectIDTime(ByteRange(0, 22), $0)
      #expect(time == 1_694_498_816_000)
      #expect(EventTime.objectIDTime(ByteRange(0, 21), $0) == nil)
    }
  }
}
