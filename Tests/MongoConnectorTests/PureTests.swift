import NebulaFormats
import Testing

@testable import MongoConnector
@testable import NebulaCore

@Suite struct StreamMachineTests {
  let none: (Range<UInt64>) -> UInt64 = { $0.upperBound - 1 }
  let network = MongoFailure(origin: .network, message: "closed")
  func server(_ code: Int32, _ labels: String...) -> MongoFailure {
    MongoFailure(origin: .server, code: code, message: "said", labels: Set(labels))
  }
  func opened() -> StreamMachine {
    var machine = StreamMachine(from: .token([1]), batchSize: 100)
    machine.opened(at: nil)
    return machine
  }

  @Test func readsInBatchesAfterOpening() {
    var machine = StreamMachine(from: .now, batchSize: 100)
    #expect(machine.step == .open(.now, skim: false, after: .zero))
    machine.opened(at: .token([7]))
    #expect(machine.step == .more(batchSize: 100))
    machine.received(events: 3, through: .token([8]), isClosed: false)
    #expect(machine.start == .token([8]))
  }

  @Test func oneAttemptAtOnceThenBackOffThenTheEnd() {
    var machine = opened()
    var waits: [Duration] = []
    while machine.failed(network, random: none) == .again {
      guard case .open(.token([1]), false, let after) = machine.step else { return #expect(Bool(false)) }
      waits.append(after)
      machine.opened(at: nil)  // opening works, reading does not: that is no progress
    }
    #expect(waits.count == Patience.attempts - 1)
    #expect(waits[0] == .zero)
    #expect(zip(waits, waits.dropFirst()).allSatisfy { $0 < $1 })
  }

  @Test func anAnswerRestoresPatience() {
    var machine = opened()
    for _ in 0..<50 {
      #expect(machine.failed(network, random: none) == .again)
      machine.opened(at: nil)
      machine.received(events: 0, through: nil, isClosed: false)
    }
  }

  @Test func resumableByLabelOrCode() {
    for code: Int32 in [
      6, 7, 63, 89, 91, 133, 134, 150, 189, 234, 262, 9001, 10107, 11600, 11602, 13388, 13435, 13436, 43,
    ] {
      #expect(server(code).isResumable, "\(code)")
      #expect(!server(code, "NonResumableChangeStreamError").isResumable || code == 0, "\(code)")
    }
    #expect(server(4711, "ResumableChangeStreamError").isResumable)
    for code: Int32 in [13, 18, 20, 40415, 40573, 4711, 286, 280, 260, 10334] {
      #expect(!server(code).isResumable, "\(code)")
    }
    #expect(!MongoFailure(origin: .authentication, message: "").isResumable)
    #expect(!MongoFailure(origin: .selection, message: "certificate verify failed").isResumable)
  }

  @Test func lostPositionsAreNeverTriedAgain() {
    for code: Int32 in [286, 280, 260] {
      var machine = opened()
      #expect(machine.failed(server(code, "NonResumableChangeStreamError"), random: none) == .lost)
    }
    var machine = opened()
    #expect(machine.failed(server(4711), random: none) == .stop)
  }

  @Test func aLargeEventIsFoundOneByOneAndSkipped() {
    var machine = opened()
    #expect(machine.failed(server(10334), random: none) == .again)
    machine.opened(at: nil)
    #expect(machine.step == .more(batchSize: 1))
    machine.received(events: 1, through: .token([2]), isClosed: false)
    #expect(machine.step == .more(batchSize: 1))
    #expect(machine.failed(server(10334), random: none) == .again)
    #expect(machine.step == .open(.token([2]), skim: true, after: .zero))
    machine.opened(at: .token([9]))
    #expect(machine.start == .token([2]))
    #expect(machine.step == .more(batchSize: 1))
    machine.skimmed(through: .token([3]))
    #expect(machine.step == .open(.token([3]), skim: false, after: .zero))
    machine.opened(at: nil)
    #expect(machine.step == .more(batchSize: 100))
  }

  @Test func aLargeEventNeverLoops() {
    var machine = opened()
    var steps = 0
    while machine.failed(server(10334), random: none) == .again {
      machine.opened(at: nil)
      if machine.mode == .skim { machine.skimmedNothing() }
      steps += 1
      guard steps < 100 else { break }
    }
    #expect(steps < 20)
  }

  @Test func oneByOneEndsWhenNothingIsTooLargeAnyMore() {
    var machine = opened()
    _ = machine.failed(server(10334), random: none)
    machine.opened(at: nil)
    machine.received(events: 0, through: nil, isClosed: false)
    #expect(machine.step == .more(batchSize: 100))
  }

  @Test func aClosedCursorIsOpenedAgainAfterItsToken() {
    var machine = opened()
    machine.received(events: 1, through: .token([5]), isClosed: true)
    #expect(machine.step == .open(.token([5]), skim: false, after: .zero))
  }
}

@Suite struct PositionTests {
  let position: MongoPosition = {
    var position = MongoPosition(
      cluster: ClusterIdentity(setName: "rs0", hosts: ["a:1", "b:2"]),
      t0: .token(BSONBuilder { $0.append("_data", "82ABCDEF0100000002") }.document),
      snapshot: ChangeSequence(clusterTime: 5, index: 0), copyStart: ChangeSequence(clusterTime: 4, index: 0),
      stream: .time(77),
      sequence: SequenceState(clusterTime: 6, next: 9))
    position.ranges[3] = SnapshotRange(namespace: Namespace(database: "d", collection: "c.x"))
    position.ranges[7] = SnapshotRange(
      namespace: Namespace(database: "d", collection: "e"), lower: BSONBuilder { $0.append("_id", "a") }.document,
      upper: BSONBuilder { $0.append(null: "_id") }.document,
      cursor: BSONBuilder { $0.append("_id", Int32(4)) }.document)
    return position
  }()

  @Test func comesBackAsItWas() throws {
    #expect(try MongoPosition(position.encoded()) == position)
    var copied = position
    copied.ranges = [:]
    copied.stream = copied.t0
    #expect(try MongoPosition(copied.encoded()) == copied)
  }

  /// As version 1 was written on 2026-11-21; it must be readable for ever.
  @Test func versionOneStaysReadable() throws {
    let bytes = try extendedJSON(
      #"""
      {"v": 1, "set": "rs0", "hosts": ["a:1", "b:2"], "t0": {"_data": "82ABCDEF0100000002"},
       "at": {"$timestamp": {"t": 0, "i": 5}}, "stream": {"$timestamp": {"t": 0, "i": 77}},
       "time": {"$timestamp": {"t": 0, "i": 6}}, "next": {"$numberLong": "9"},
       "ranges": [{"n": 3, "db": "d", "coll": "c.x"},
         {"n": 7, "db": "d", "coll": "e", "lower": {"_id": "a"}, "upper": {"_id": null}, "cursor": {"_id": 4}}]}
      """#)
    var expected = position
    // Nothing says where that copy began, so nothing is older.
    expected.copyStart = MongoPosition.beginning
    #expect(try MongoPosition(Position(bytes)) == expected)
  }

  @Test func newerAndDamagedOnesAreRefused() throws {
    let newer = try extendedJSON(#"{"v": 2}"#)
    let refused = #expect(throws: NebulaError.self) { try MongoPosition(Position(newer)) }
    #expect(refused?.code == "mongo.position_unreadable")
    #expect(refused?.message.contains("version 2") == true)
    let bytes = position.encoded().bytes
    for cut in 0..<bytes.count {
      #expect(throws: NebulaError.self) { try MongoPosition(Position(Array(bytes[..<cut]))) }
    }
  }

  @Test func membersMayBeExchangedOneByOne() {
    let one = ClusterIdentity(setName: "rs0", hosts: ["a:1", "b:1"])
    #expect(one.isSame(as: ClusterIdentity(setName: "rs0", hosts: ["b:1", "c:1"])))
    #expect(!one.isSame(as: ClusterIdentity(setName: "rs1", hosts: ["a:1", "b:1"])))
    #expect(!one.isSame(as: ClusterIdentity(setName: "rs0", hosts: ["x:1"])))
  }

  @Test func sequenceCountsWithinATimeAndNeverGoesBack() {
    var state = SequenceState.after(ChangeSequence(clusterTime: 10, index: 0))
    let taken = [10, 10, 11, 9, nil, 12].map { state.take($0.map(UInt64.init)) }
    #expect(taken.map(\.clusterTime) == [10, 10, 11, 11, 11, 12])
    #expect(taken.map(\.index) == [1, 2, 0, 1, 2, 0])
    #expect(taken == taken.sorted())
  }

  @Test func tokensGiveAHint() {
    #expect(position.t0.timeHint == 0xABCDEF0100000002)
    #expect(StreamStart.token(BSONBuilder { $0.append("_data", "xyz") }.document).timeHint == nil)
  }
}

@Suite struct FragmentTests {
  func fragment(_ number: Int, of total: Int, _ fields: String) throws -> [UInt8] {
    try extendedJSON(
      #"{"_id": {"_data": "T\#(number)"}, "splitEvent": {"fragment": \#(number), "of": \#(total)}, \#(fields)}"#)
  }

  @Test func areMergedWithTheLastToken() throws {
    var assembler = FragmentAssembler()
    let parts = [#""operationType": "update", "ns": {"db": "d"}"#, #""fullDocument": {"_id": 1}"#, #""x": 1"#]
    var whole: [UInt8]?
    for (index, part) in parts.enumerated() {
      #expect(whole == nil)
      whole = try fragment(index + 1, of: 3, part).withUnsafeBytes { bytes in
        try assembler.add(bytes, number: index + 1, of: 3)
      }
      #expect(assembler.isPending == (index < 2))
    }
    let expected = try extendedJSON(
      #"{"operationType": "update", "ns": {"db": "d"}, "fullDocument": {"_id": 1}, "_id": {"_data": "T3"}, "x": 1}"#)
    #expect(whole == expected)
  }

  @Test func theRestOfADeliveredEventIsLeftOut() throws {
    var assembler = FragmentAssembler()
    let part = try fragment(3, of: 4, #""a": 1"#)
    for number in [3, 4] {
      let whole = try part.withUnsafeBytes { bytes in try assembler.add(bytes, number: number, of: 4) }
      #expect(whole == nil && !assembler.isPending)
    }
    _ = try part.withUnsafeBytes { bytes in try assembler.add(bytes, number: 1, of: 2) }
    #expect(assembler.isPending)
  }

  @Test func outOfOrderIsAnError() throws {
    var assembler = FragmentAssembler()
    assembler.pass()
    let one = try fragment(1, of: 3, #""a": 1"#)
    for (number, total) in [(2, 3), (0, 3), (4, 3)] {
      #expect(throws: MongoFailure.self) {
        try one.withUnsafeBytes { bytes in try assembler.add(bytes, number: number, of: total) }
      }
    }
    _ = try one.withUnsafeBytes { bytes in try assembler.add(bytes, number: 1, of: 3) }
    #expect(throws: MongoFailure.self) {
      try one.withUnsafeBytes { bytes in try assembler.add(bytes, number: 2, of: 4) }
    }
    #expect(!assembler.isPending)
  }
}

@Suite struct PlannerTests {
  let namespace = Namespace(database: "d", collection: "c")
  func keys(_ count: Int) -> [[UInt8]] {
    (0..<count).map { number in BSONBuilder { $0.append("_id", Int32(number)) }.document }
  }

  @Test func rangesTouchAndCoverAll() {
    for (samples, count) in [(0, 4), (1, 4), (3, 4), (80, 4), (7, 2), (5, 64)] {
      let ranges = SnapshotPlanner.split(namespace, sorted: keys(samples), into: count)
      #expect(ranges.first?.lower == nil && ranges.last?.upper == nil)
      #expect(ranges.count <= max(count, 1))
      for (one, next) in zip(ranges, ranges.dropFirst()) { #expect(one.upper == next.lower && one.upper != nil) }
    }
    #expect(SnapshotPlanner.split(namespace, sorted: keys(80), into: 4).count == 4)
  }

  @Test func equalSamplesGiveNoEmptyRange() {
    let same = Array(repeating: keys(1)[0], count: 40)
    #expect(SnapshotPlanner.split(namespace, sorted: same, into: 8).count == 2)
  }

  @Test func theStreamGetsItsShareAndWhatTheCopyLeaves() {
    var turns = Turns()
    let busy = (0..<8).map { _ in turns.next(stream: true, copy: true) }
    #expect(busy == [false, false, false, true, false, false, false, true])
    #expect(turns.next(stream: true, copy: false) == true)
    #expect(turns.next(stream: false, copy: true) == false)
    #expect(turns.next(stream: false, copy: false) == nil)
  }

  @Test func splittingIsForServersThatCan() {
    let facts = ServerFacts()
    for (version, splits) in [
      ([7, 0, 0], true), ([6, 0, 9], true), ([6, 0, 8], false), ([5, 0, 30], false), ([8, 1], true), ([], false),
      ([6, 1, 0], false), ([6, 3, 2], false), ([6, 3, 12], false), ([6], false),
    ] {
      #expect(Capabilities(version: version, facts).splits == splits, "\(version)")
    }
  }
}

@Suite struct OptionsTests {
  func options(_ set: (inout MongoOptions) -> Void) -> MongoOptions {
    var options = MongoOptions()
    options.uri = "mongodb://localhost/?replicaSet=rs0"
    set(&options)
    return options
  }
  func refused(_ set: (inout MongoOptions) -> Void) -> NebulaError? {
    do { try options(set).validate() } catch { return error }
    return nil
  }

  @Test func scopeFollowsFromTheNames() {
    #expect(options { _ in }.derivedScope == .deployment)
    #expect(options { $0.database = "a" }.derivedScope == .database)
    #expect(options { ($0.database, $0.collection) = ("a", "b") }.derivedScope == .collection)
  }

  @Test func contradictionsAreRefused() {
    #expect(refused { $0.database = "shop" } == nil)
    #expect(refused { $0.collection = "b" }?.place?.path == "database")
    #expect(refused { ($0.database, $0.scope) = ("a", .collection) }?.place?.path == "scope")
    #expect(refused { $0.database = "local" }?.place?.path == "database")
    #expect(refused { $0.start = .timestamp }?.place?.path == "start_timestamp")
    #expect(refused { $0.startTimestamp = "2026-01-01T00:00:00Z" }?.place?.path == "start_timestamp")
    #expect(refused { ($0.start, $0.startTimestamp) = (.timestamp, "yesterday") }?.place?.path == "start_timestamp")
    #expect(refused { ($0.database, $0.collection, $0.collections) = ("a", "b", ["c"]) }?.place?.path == "collections")
    #expect(refused { $0.collections = ["c"] }?.place?.path == "collections")
    #expect(refused { $0.uri = "postgres://x" }?.place?.path == "uri")
    for text in ["[1]", "{", #"[{"match": 1}]"#, #"[{"$changeStream": {}}]"#] {
      #expect(refused { $0.pipeline = .scalar(text, at: .init(path: "p")) }?.place?.path == "pipeline", "\(text)")
    }
  }

  @Test func times() {
    #expect(clusterTime("1700000000") == 1_700_000_000 << 32)
    #expect(clusterTime("1700000000:7") == 1_700_000_000 << 32 | 7)
    #expect(clusterTime("1970-01-01T00:00:00Z") == 0)
    #expect(clusterTime("2024-02-29T12:34:56Z") == 1_709_210_096 << 32)
    for bad in ["", "x", "1:2:3", "2024-13-01T00:00:00Z", "2024-01-01 00:00:00", "-1"] {
      #expect(clusterTime(bad) == nil, "\(bad)")
    }
  }

  @Test func aPipelineIsTextOrStructure() throws {
    let place = NebulaError.Place(path: "pipeline")
    let structure = PropertyValue.list(
      [
        .map(
          [
            .init(
              name: "$match",
              value: .map(
                [
                  .init(name: "n", value: .scalar("5", at: place)), .init(name: "s", value: .scalar("a\"b", at: place)),
                ], at: place))
          ], at: place)
      ], at: place)
    let text = PropertyValue.scalar(#"[{"$match": {"n": 5, "s": "a\"b"}}]"#, at: place)
    #expect(try options { $0.pipeline = structure }.stages() == options { $0.pipeline = text }.stages())
  }

  @Test func listedCollectionsKeepTheEndOfTheStreamVisible() throws {
    let stages = try options { ($0.database, $0.collections) = ("shop", ["a", "b"]) }.stages()
    let expected = try extendedJSON(
      #"""
      {"$match": {"$or": [{"ns.db": "shop", "ns.coll": {"$in": ["a", "b"]}},
        {"to.db": "shop", "to.coll": {"$in": ["a", "b"]}},
        {"operationType": {"$in": ["invalidate", "dropDatabase"]}}]}}
      """#)
    #expect(stages == [expected])
    let deployment = try options { $0.collections = ["x.a"] }.stages()
    let wanted = try extendedJSON(
      #"""
      {"$match": {"$or": [{"ns.db": "x", "ns.coll": "a"}, {"to.db": "x", "to.coll": "a"},
        {"operationType": {"$in": ["invalidate", "dropDatabase"]}}]}}
      """#)
    #expect(deployment == [wanted])
  }

  @Test func thePasswordIsNeverShown() throws {
    for uri in ["mongodb://me:s3cr%zzet@h:1/", "mongodb://me:s3cret@h:1/?tls=perhaps", "mongodb://me:s3cret@"] {
      let error = refused { $0.uri = uri }
      #expect(error != nil)
      #expect(error?.description.contains("s3cr") == false, "\(String(describing: error))")
    }
    let connection = try ConnectionString("mongodb://me:s3cret@h1:1,h2:2/?replicaSet=rs0")
    #expect(connection.redacted("could not use mongodb://me:s3cret@h1:1 with s3cret").contains("s3cret") == false)
    #expect(connection.shown == "h1:1,h2:2")
  }

  @Test func theSpecificationIsWhole() throws {
    let specification = Connector.mongo.specification
    #expect(specification.name == "mongo")
    #expect(specification.properties.first { $0.name == "uri" }?.isSecret == true)
    #expect(
      Set(specification.properties.filter(\.isIdentity).map(\.name)) == [
        "database", "collection", "collections", "pipeline",
      ])
    let decoded = try MongoOptions(
      decoding: Properties([
        "uri": "mongodb://h", "database": "d", "fullDocument": "required", "on_position_lost": "from_now",
      ]))
    #expect(decoded.fullDocument == .required && decoded.onPositionLost == .fromNow)
    #expect(throws: NebulaError.self) {
      try MongoOptions(decoding: Properties(["uri": "mongodb://h", "max_await_time_ms": "2000"]))
    }
  }
}
