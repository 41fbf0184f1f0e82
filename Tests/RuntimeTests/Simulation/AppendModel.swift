import NebulaCore

/// Files that grow: ranges are appended at offsets and become visible by a flush, under a lease.
final class AppendModel: ModelDestination, Destination, @unchecked Sendable {
  /// What was appended and not flushed: the ends of each epoch's ranges, by file.
  private var uncommitted: [EpochID: [Int: Int]] = [:]
  /// The lease's id: another one for every session and every recovery, so that a flush or an append of an earlier try
  /// that is still on its way is refused, and can't publish what a later epoch put at the same place.
  private var lease: UInt64 = 0
  private var attempts: UInt64 = 0
  private var leases: [Int: UInt64] = [:]
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
      try await take(unit)
      try await clear(unit)
    }
  }
  private func take(_ unit: Int) async throws {
    attempts += 1
    if rules.leaseChangesByAttempt || lease >> 16 != generation { lease = generation << 16 + attempts }
    let lease = lease
    try await sim.idempotent(process) { [self] () throws -> Outcome<Void> in
      guard lease >> 16 >= world.files[unit].lease >> 16 else { throw fenced }
      world.files[unit].lease = lease
      return .value(())
    }
    leases[unit] = lease
  }
  private func length(_ unit: Int) async throws -> Int {
    try await sim.idempotent(process) { [world] in .value(world.files[unit].committed.count) }
  }
  /// Throws away what was appended and not flushed.
  private func clear(_ unit: Int) async throws {
    let length = try await length(unit)
    let lease = leases[unit]
    _ = try await sim.idempotent(process) { [self] in .value(try flush(unit, to: length, lease)) }
  }
  private func flush(_ unit: Int, to end: Int, _ lease: UInt64?, retaining: Bool = false) throws -> Flush {
    guard world.files[unit].lease == lease else { throw fenced }
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
      let end = rules.appending == .behindAppended ? uncommitted.values.compactMap { $0[unit] }.max() ?? 0 : 0
      let offset = max(try await length(unit), end)
      offsets[unit] = offset
      let lease = leases[unit]
      try await sim.idempotent(process) { [self] () throws -> Outcome<Void> in
        guard world.files[unit].lease == lease else { throw fenced }
        if offset >= world.files[unit].committed.count { world.files[unit].pending[offset] = rows }
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
      let lease = leases[unit.unit]
      while true {
        do {
          let flushed = try await sim.effect(process) { [self] in
            .value(try flush(unit.unit, to: end, lease, retaining: rules.flushRetains))
          }
          if case .done = flushed { break }
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
      try await take(unit.unit)
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
