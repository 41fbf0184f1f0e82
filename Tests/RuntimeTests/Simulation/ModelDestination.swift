import NebulaCore

/// What the three model destinations share: epochs in memory, names, manifests.
class ModelDestination: @unchecked Sendable {  // on the simulator's one thread only
  let world: ModelWorld
  let process: SimulatedProcess
  var generation: UInt64 = 0
  var open: [EpochID: [Int: [UInt8]]] = [:]
  private var counts: [EpochID: UInt64] = [:]
  private var done: [EpochID: Set<EpochUnit>] = [:]
  var sim: Simulator { world.sim }
  var rules: Rules { world.rules }
  init(_ world: ModelWorld, _ process: SimulatedProcess) {
    self.world = world
    self.process = process
  }

  func take(_ epoch: EpochID, _ pin: Pin?) {
    open[epoch] = [:]
    counts[epoch] = 0
    done[epoch] = Set((pin?.done ?? [:]).keys)
  }
  func take(_ batch: RecordBatch, _ epoch: EpochID) {
    batch.withBytes { bytes in
      for record in bytes {
        counts[epoch, default: 0] += 1
        let unit = Int(record) % rules.units
        if done[epoch]?.contains("\(unit)") != true { open[epoch, default: [:]][unit, default: []].append(record) }
      }
    }
  }
  func forget(_ epoch: EpochID) {
    open[epoch] = nil
    counts[epoch] = nil
  }
  func prepared(_ epoch: EpochID, _ manifest: Manifest) -> PreparedEpoch {
    PreparedEpoch(
      epoch, counts: RecordCounts(committed: counts[epoch] ?? 0), version: 1, manifest: manifest.bytes,
      isEmpty: manifest.units.isEmpty)
  }
  /// Uploads each unit's rows under its name.
  func stage(_ epoch: EpochID) async throws -> PreparedEpoch {
    let units = open[epoch] ?? [:]
    let manifest = Manifest(units)
    for (unit, rows) in units.sorted(by: { $0.key < $1.key }) {
      let name = "\(label(epoch, manifest))/\(unit)"
      try await sim.idempotent(process) { [world, rules] () throws -> Outcome<Void> in
        if world.staged[name] == nil || !rules.putSkipsExisting { world.staged[name] = rows }
        return .value(())
      }
    }
    try maybeFail()
    return prepared(epoch, manifest)
  }
  /// Now and then a prepare fails after its work was done.
  func maybeFail() throws { if sim.random.chance(sim.faults.failedPrepare) { throw sim.unreachable } }
  func receipt(_ epoch: PreparedEpoch) -> CommitReceipt {
    CommitReceipt(epoch.id, counts: epoch.counts, rows: epoch.counts.committed)
  }

  struct Manifest {
    struct Unit { var unit: Int, count: Int, offset: Int, first: UInt8 }
    var units: [Unit]
    var bytes: [UInt8] {
      units.flatMap { unit -> [UInt8] in [UInt8(unit.unit), UInt8(unit.count), UInt8(unit.offset), unit.first] }
    }
    init(_ units: [Unit]) { self.units = units }
    init(_ epoch: PreparedEpoch) {
      let m = epoch.manifest
      units = stride(from: 0, to: m.count, by: 4).map { (at: Int) -> Unit in
        Unit(unit: Int(m[at]), count: Int(m[at + 1]), offset: Int(m[at + 2]), first: m[at + 3])
      }
    }
    init(_ open: [Int: [UInt8]], offsets: [Int: Int] = [:]) {
      units = open.sorted { $0.key < $1.key }.map {
        Unit(unit: $0.key, count: $0.value.count, offset: offsets[$0.key] ?? 0, first: $0.value[0])
      }
    }
  }
  /// What an epoch is called outside; the designed name is made from the whole id.
  func label(_ epoch: EpochID, _ manifest: Manifest) -> String {
    switch rules.naming {
    case .generationAndSequence: "\(epoch)"
    case .sequence: "e\(epoch.sequence)"
    case .startPosition: "s\(manifest.units.map(\.first).min() ?? 0)"
    }
  }
}

func idIsLaterThan(_ id: EpochID, _ other: EpochID?) -> Bool { other.map { id > $0 } ?? true }
