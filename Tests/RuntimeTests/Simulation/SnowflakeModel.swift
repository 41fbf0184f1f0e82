import NebulaCore

/// Stage, COPY and a ledger row in one transaction under the fence lock.
final class SnowflakeModel: ModelDestination, Destination, @unchecked Sendable {
  var traits: DestinationTraits { DestinationTraits(hasFence: rules.fence) }
  func check() async throws -> [Finding] { [] }
  func guarantee(from source: SourceTraits) throws -> Guarantee { .exactlyOnce(because: "model") }
  func close() async {}
  private var fenced: NebulaError { NebulaError("state.fenced", "The fence is higher.", remedy: "") }

  func open(_ lease: Lease) async throws {
    generation = lease.generation
    guard rules.fence, rules.fenceAtOpen else { return }
    try await sim.idempotent(process) { [self] () throws -> Outcome<Void> in
      if world.lock != nil { return .blocked }
      if world.fence.generation < lease.generation { world.fence.generation = lease.generation }
      if world.fence.generation != lease.generation { throw fenced }
      return .value(())
    }
  }
  func begin(_ epoch: EpochID, pin: Pin?) async throws { take(epoch, pin) }
  func write(_ batch: RecordBatch, to epoch: EpochID) async throws { take(batch, epoch) }

  func prepare(_ epoch: EpochID) async throws -> PreparedEpoch { try await stage(epoch) }

  func commit(_ epoch: PreparedEpoch) async throws -> CommitOutcome {
    let manifest = Manifest(epoch)
    let label = label(epoch.id, manifest)
    let groups = rules.oneTransaction ? [manifest.units] : manifest.units.map { [$0] }
    for group in groups {
      while try await transaction(epoch, label, group) == false {}
    }
    forget(epoch.id)
    return .committed(receipt(epoch))
  }

  /// One transaction; false when the answer of its COMMIT was lost.
  private func transaction(_ epoch: PreparedEpoch, _ label: String, _ units: [Manifest.Unit]) async throws -> Bool {
    world.nextSession += 1
    let session = world.nextSession
    guard try await beginTransaction(session, epoch, label, units) else { return true }
    for unit in units {
      try await sim.idempotent(process) { [self] () throws -> Outcome<Void> in
        try copy("\(label)/\(unit.unit)", session)
        return .value(())
      }
    }
    do {
      return try await sim.effect(process) { [self] in .value(commitTransaction(session, epoch, label, units)) }
    } catch is Lost {
      if sim.random.chance(0.3) { throw sim.unreachable }
      return false
    }
  }

  /// False when the ledger already has the epoch.
  private func beginTransaction(
    _ session: Int, _ epoch: PreparedEpoch, _ label: String, _ units: [Manifest.Unit]
  ) async throws -> Bool {
    let key = "\(label)/\(units[0].unit)"
    return try await sim.idempotent(process) { [self] in
      if let answered = world.begun[session] { return .value(answered) }
      if rules.fence, world.lock != nil, world.lock != session { return .blocked }
      if world.ledger.contains(key) { return .value(answer(false, session)) }
      if rules.fence {
        if rules.fenceAtOpen, world.fence.generation != generation { throw fenced }
        if rules.oneTransaction, !idIsLaterThan(epoch.id, world.fence.last) {
          throw NebulaError("model.chain", "An older epoch came after a newer one.", remedy: "")
        }
        world.lock = session
      }
      world.transactions[session] = []
      return .value(answer(true, session))
    }
  }
  /// A request that comes twice is carried out once: one that was late does not open a transaction again that was ended.
  private func answer(_ first: Bool, _ session: Int) -> Bool {
    world.begun[session] = first
    return first
  }

  private func copy(_ name: String, _ session: Int) throws {
    guard world.transactions[session] != nil else { throw sim.unreachable }
    if world.transactions[session]?.contains(where: { $0.name == name }) == true { return }
    guard let rows = world.staged[name] else { throw NebulaError("model.no_file", "\(name) is missing.", remedy: "") }
    if world.history.contains(name) {
      // LOAD_SKIPPED: the load history knows the file. Not success: the rows may have been another epoch's.
      if rules.skippedLoadIsError { throw NebulaError("model.skipped", "\(name) was skipped.", remedy: "") }
      world.transactions[session]?.append(.init(name: name, rows: []))
    } else {
      world.transactions[session]?.append(.init(name: name, rows: rows))
    }
  }

  private func commitTransaction(
    _ session: Int, _ epoch: PreparedEpoch, _ label: String, _ units: [Manifest.Unit]
  ) -> Bool {
    guard let copied = world.transactions.removeValue(forKey: session) else { return false }
    for one in copied {
      world.rows += one.rows
      world.history.insert(one.name)
    }
    for unit in units { world.ledger.insert("\(label)/\(unit.unit)") }
    if world.lock == session {
      world.fence.last = epoch.id
      world.lock = nil
    }
    return true
  }

  func recover(_ epoch: PreparedEpoch) async throws -> EpochFate {
    let manifest = Manifest(epoch)
    let label = label(epoch.id, manifest)
    let fate: EpochFate = try await sim.idempotent(process) { [self] in
      if rules.fence, world.lock != nil { return .blocked }
      let done = manifest.units.filter { world.ledger.contains("\(label)/\($0.unit)") }
      if done.count == manifest.units.count { return .value(.committed(receipt(epoch))) }
      let missing = manifest.units.filter { unit in !done.contains { $0.unit == unit.unit } }
      if missing.allSatisfy({ world.staged["\(label)/\($0.unit)"] != nil }) { return .value(.ready) }
      return .value(partial(done, epoch))
    }
    if case .committed = fate { return fate }
    if fate != .ready { try await abort(epoch.id, epoch) }
    return fate
  }

  func abort(_ epoch: EpochID, _ prepared: PreparedEpoch?) async throws {
    let manifest = prepared.map(Manifest.init) ?? Manifest(open[epoch] ?? [:])
    let label = label(epoch, manifest)
    for unit in manifest.units {
      try await sim.idempotent(process) { [world] () throws -> Outcome<Void> in
        world.staged["\(label)/\(unit.unit)"] = nil
        return .value(())
      }
    }
    forget(epoch)
  }
}

extension ModelDestination {
  func partial(_ done: [Manifest.Unit], _ epoch: PreparedEpoch) -> EpochFate {
    guard !done.isEmpty, rules.reportsPartial else { return .gone }
    return .partial(done: Dictionary(uniqueKeysWithValues: done.map { ("\($0.unit)", receipt(epoch)) }))
  }
}
