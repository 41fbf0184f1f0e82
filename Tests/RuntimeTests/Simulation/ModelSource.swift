import NebulaCore

/// Reads the world's log in batches of random size, some of which end where no safe boundary lies, and some of which
/// are empty: the position moves over what is nobody's record, or nothing has happened at all.
struct ModelSource: Source {
  let world: ModelWorld
  let process: SimulatedProcess
  let generation: @Sendable () -> UInt64
  var traits: SourceTraits { SourceTraits(rereadsExactly: true, isBounded: true) }
  func check() async throws -> [Finding] { [] }
  func open(from position: Position?, through: Position?) async throws -> sending any RecordStream {
    let at = Int(position?.bytes.first ?? 0)
    try await world.sim.effect(process, remote: false) { () throws -> Outcome<Void> in
      if at < world.acknowledged, generation() == world.generation {
        world.defects.append("resumed at \(at), but upstream forgot up to \(world.acknowledged)")
      }
      return .value(())
    }
    return Stream(source: self, at: at, through: through.map { Int($0.bytes[0]) })
  }
  func acknowledge(through position: DurablePosition) async throws {
    try await process.receipts.follow(world) { [world, process] in
      try await world.sim.idempotent(process) { () throws -> Outcome<Void> in
        world.acknowledged = max(world.acknowledged, Int(position.position.bytes[0]))
        return .value(())
      }
    }
  }
  func close() async {}

  struct Stream: RecordStream {
    let source: ModelSource
    var at: Int
    let through: Int?
    private var isBoundary = true
    init(source: ModelSource, at: Int, through: Int?) { (self.source, self.at, self.through) = (source, at, through) }

    mutating func next() async throws -> RecordBatch? {
      let world = source.world
      let end = min(through.map { $0 > at ? $0 : world.log.count } ?? world.log.count, world.log.count)
      guard at < world.log.count else { return nil }
      try await world.sim.effect(source.process, remote: false) { .value(()) }
      if world.log[at] == .elsewhere || world.sim.random.chance(0.1) { return try await idle(until: end) }
      let most = min(Int.random(in: 1...3, using: &world.sim.random), end - at)
      let range = at..<(at + world.log[at..<(at + most)].prefix { $0 != .elsewhere }.count)
      at = range.upperBound
      isBoundary = at == end || world.sim.random.chance(0.8)
      return Stream.batch(range, world.log, position: isBoundary ? Position([UInt8(at)]) : nil)
    }
    private mutating func idle(until end: Int) async throws -> RecordBatch {
      let world = source.world
      while at < end, world.log[at] == .elsewhere { (at, isBoundary) = (at + 1, true) }
      guard isBoundary else { return .idle(at: nil) }
      let token = Position([UInt8(at)])
      if !world.rules.idleTokensQueue {
        try await world.sim.effect(source.process, remote: false) { [generation = source.generation] in
          .value(world.storeIdleToken(token, generation: generation()))
        }
      }
      return .idle(at: token)
    }
    static func batch(_ range: Range<Int>, _ log: [ModelWorld.Entry], position: Position?) -> RecordBatch {
      let bytes = range.filter { log[$0] == .record }.map { UInt8($0) }
      let rejected = range.filter { log[$0] == .rejected }.map {
        RejectedRecord(NebulaError("model.bad", "Bad.", remedy: ""), payload: [UInt8($0)], format: .json)
      }
      return RecordBatch(
        bytes: SharedBytes(copying: bytes), records: bytes.indices.map { ByteRange(UInt32($0), UInt32($0 + 1)) },
        format: .json, namespaces: [Namespace(collection: "log")], rejected: rejected,
        filtered: range.count { log[$0] == .filtered }, position: position)
    }
  }
}
