import NebulaCore

/// Files that grow: ranges are appended at offsets and become visible by a flush, under a lease.
final class AppendModel: ModelDestination, Destination, @unchecked Sendable {
  /// What was appended and not flushed: the ends of each epoch's ranges, by file.
  private var uncommitted: [EpochID: [Int: Int]] = [:]
  var traits: DestinationTraits { DestinationTraits(hasFence: true) }
  func check() async throws -> [Finding] { [] }
  func guarantee(from source: SourceTraits) throws -> Guarantee { .exactlyOnce(because: "model") }
  func close() async {}
  private var fenced: NebulaError { NebulaError("state.fenced", "The lease is another's.", remedy: "") }
  private enum Flush: Sendable { case done, refused }

  func open(_ lease: Lease) async throws {
    generation = lease.generation
    uncommitted = [:]
    for unit in 0..<rules.units {
      try await sim.idempotent(process) { [self] () throws -> Outcome<Void> in
        if lease.generation > world.files[unit].lease { world.files[unit].lease = lease.generation }
        guard world.files[unit].lease == lease.generation else { throw fenced }
        return .value(())
      }
      try await clear(unit)
    }
  }
  private func length(_ unit: Int) async throws -> Int {
    try await sim.idempotent(process) { [world] in .value(world.files[unit].committed.count) }
  }
  /// Throws away what was appended and not flushed.
  private func clear(_ unit: Int) async throws {
    let length = try await length(unit)
    _ = try await sim.idempotent(process) { [self] in .value(try flush(unit, to: length, retaining: false)) }
  }
  private func flush(_ unit: Int, to end: Int, retaining: Bool) throws -> Flush {
    guard world.files[unit].lease == generation else { throw fenced }
    var content = world.files[unit].committed
    while content.count < end, let next = world.files[unit].pending[content.count] { content += next }
    guard content.count == end, end >= world.files[unit].committed.count else { return .refused }
    world.files[unit].committed = content
    world.files[unit].pending = retaining ? world.files[unit].pending.filter { $0.key >= end } : [:]
    return .done
  }

  func begin(_ epoch: EpochID, pin: Pin?) async throws { take(epoch, pin) }
  func write(_ batch: RecordBatch, to epoch: EpochID) async throws { take(batch, epoch) }

  func prepare(_ epoch: EpochID) async throws -> PreparedEpoch {
    while rules.appending == .afterFlush, !uncommitted.isEmpty {
      try await sim.yield(process)
      try Task.checkCancellation()
    }
    let units = open[epoch] ?? [:]
    var offsets: [Int: Int] = [:]
    for (unit, rows) in units.sorted(by: { $0.key < $1.key }) {
      var offset = try await length(unit)
      if rules.appending == .behindAppended {
        offset = max(offset, uncommitted.values.compactMap { $0[unit] }.max() ?? 0)
      }
      let start = offset
      offsets[unit] = start
      try await sim.idempotent(process) { [self] () throws -> Outcome<Void> in
        guard world.files[unit].lease == generation else { throw fenced }
        if start >= world.files[unit].committed.count { world.files[unit].pending[start] = rows }
        return .value(())
      }
    }
    try maybeFail()
    let prepared = prepared(epoch, Manifest(units, offsets: offsets))
    if !prepared.isEmpty {
      uncommitted[epoch] = units.reduce(into: offsets) { $0[$1.key, default: 0] += $1.value.count }
    }
    return prepared
  }

  func commit(_ epoch: PreparedEpoch) async throws -> CommitOutcome {
    for unit in Manifest(epoch).units {
      let end = unit.offset + unit.count
      while true {
        do {
          if case .done = try await sim.effect(
            process,
            { [self] in
              .value(try flush(unit.unit, to: end, retaining: rules.flushRetains))
            })
          {
            break
          }
        } catch is Lost {}
        let length = try await length(unit.unit)
        if length == end { break }
        if length != unit.offset {
          throw NebulaError("model.length", "Length \(length) is neither old nor new.", remedy: "")
        }
        throw sim.unreachable
      }
    }
    uncommitted[epoch.id] = nil
    forget(epoch.id)
    return .committed(receipt(epoch))
  }

  func recover(_ epoch: PreparedEpoch) async throws -> EpochFate {
    let units = Manifest(epoch).units
    var done: [Manifest.Unit] = []
    for unit in units {
      try await clear(unit.unit)
      switch try await length(unit.unit) {
      case unit.offset + unit.count: done.append(unit)
      case unit.offset: continue
      // What was appended behind an epoch that is gone is gone with it.
      case ..<unit.offset where rules.appending == .behindAppended: continue
      case let length: return .unknown("file \(unit.unit) has \(length) bytes")
      }
    }
    uncommitted[epoch.id] = nil
    return done.count == units.count ? .committed(receipt(epoch)) : partial(done, epoch)
  }

  func abort(_ epoch: EpochID, _ prepared: PreparedEpoch?) async throws {
    for unit in (prepared.map(Manifest.init) ?? Manifest(open[epoch] ?? [:])).units { try await clear(unit.unit) }
    uncommitted[epoch] = nil
    forget(epoch)
  }
}
