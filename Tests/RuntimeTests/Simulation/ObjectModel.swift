import NebulaCore

/// Staged objects that are published under final names, create-only, one after the other.
final class ObjectModel: ModelDestination, Destination, @unchecked Sendable {
  var traits: DestinationTraits { DestinationTraits() }
  func check() async throws -> [Finding] { [] }
  func guarantee(from source: SourceTraits) throws -> Guarantee { .exactlyOnce(because: "model") }
  func open(_ lease: Lease) async throws { generation = lease.generation }
  func close() async {}
  func begin(_ epoch: EpochID, pin: Pin?) async throws { take(epoch, pin) }
  func write(_ batch: RecordBatch, to epoch: EpochID) async throws { take(batch, epoch) }

  func prepare(_ epoch: EpochID) async throws -> PreparedEpoch { try await stage(epoch) }

  func commit(_ epoch: PreparedEpoch) async throws -> CommitOutcome {
    let manifest = Manifest(epoch)
    let label = label(epoch.id, manifest)
    for unit in manifest.units {
      let name = "\(label)/\(unit.unit)"
      try await sim.idempotent(process) { [world] () throws -> Outcome<Void> in
        if let there = world.final[name] {
          if let ours = world.staged[name], ours != there {
            throw NebulaError("model.clash", "\(name) is not ours.", remedy: "")
          }
          return .value(())
        }
        guard let rows = world.staged.removeValue(forKey: name) else {
          throw NebulaError("model.no_file", "\(name) is missing.", remedy: "", disposition: .retry(after: nil))
        }
        world.final[name] = rows
        return .value(())
      }
    }
    forget(epoch.id)
    return .committed(receipt(epoch))
  }

  func recover(_ epoch: PreparedEpoch) async throws -> EpochFate {
    let manifest = Manifest(epoch)
    let label = label(epoch.id, manifest)
    func looked(_ folder: KeyPath<ModelWorld, [String: [UInt8]]>) async throws -> Set<Int> {
      try await sim.idempotent(process) { [world] in
        .value(Set(manifest.units.map(\.unit).filter { world[keyPath: folder]["\(label)/\($0)"] != nil }))
      }
    }
    let all = Set(manifest.units.map(\.unit))
    // Staged first: a file that moves from staged to final between two looks is then seen at least once.
    let staged = rules.destroysBeforeLooking ? try await looked(\.staged) : []
    var final = try await looked(\.final)
    let seen = rules.destroysBeforeLooking ? staged : try await looked(\.staged)
    if final == all { return .committed(receipt(epoch)) }
    if final.union(seen) == all { return .ready }
    if rules.destroysBeforeLooking {
      try await destroy(label, manifest)
      final = try await looked(\.final)
      if final == all { return .committed(receipt(epoch)) }
    } else {
      try await destroy(label, manifest)
    }
    return partial(manifest.units.filter { final.contains($0.unit) }, epoch)
  }

  private func destroy(_ label: String, _ manifest: Manifest) async throws {
    for unit in manifest.units {
      try await sim.idempotent(process) { [world] () throws -> Outcome<Void> in
        world.staged["\(label)/\(unit.unit)"] = nil
        return .value(())
      }
    }
  }

  func abort(_ epoch: EpochID, _ prepared: PreparedEpoch?) async throws {
    let manifest = prepared.map(Manifest.init) ?? Manifest(open[epoch] ?? [:])
    try await destroy(label(epoch, manifest), manifest)
    forget(epoch)
  }
}
