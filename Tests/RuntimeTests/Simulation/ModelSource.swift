import NebulaCore

/// Reads the world's log in batches of random size, some of which end where no safe boundary lies.
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
    try await world.sim.idempotent(process) { () throws -> Outcome<Void> in
      world.acknowledged = max(world.acknowledged, Int(position.position.bytes[0]))
      return .value(())
    }
  }
  func close() async {}

  struct Stream: RecordStream {
    let source: ModelSource
    var at: Int
    let through: Int?
    mutating func next() async throws -> RecordBatch? {
      let world = source.world
      let end = min(through.map { $0 > at ? $0 : world.log.count } ?? world.log.count, world.log.count)
      guard at < world.log.count else { return nil }
      let count = min(Int.random(in: 1...3, using: &world.sim.random), end - at)
      let range = at..<(at + count)
      try await world.sim.effect(source.process, remote: false) { .value(()) }
      at = range.upperBound
      let isBoundary = at == end || world.sim.random.chance(0.8)
      return Stream.batch(range, world.log, position: isBoundary ? Position([UInt8(at)]) : nil)
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
