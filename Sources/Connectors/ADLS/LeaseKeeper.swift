internal import NebulaCore
internal import NebulaObjectStores

/// Takes and gives back the leases of files, as `LeaseTaking` decides.
struct LeaseKeeper: Sendable {
  let store: any LakeStore
  let fence: FenceKeeper
  let name: LeaseName
  var id: String { name.id }

  /// Ids that may hold a lease: the one that is known, then those of sessions and generations right before.
  private func likely(_ known: String?) -> [String] {
    var ids = known.map { [$0] } ?? []
    if name.session > 0 {
      ids.append(LeaseName(pipeline: name.pipeline, generation: name.generation, session: name.session - 1).id)
    }
    if name.generation > 1 {
      ids.append(LeaseName(pipeline: name.pipeline, generation: name.generation - 1, session: 0).id)
    }
    return ids.filter { $0 != id }
  }

  /// Takes the lease of a file; false when the file is not there.
  func take(_ key: String, known: String?) async throws -> Bool {
    var taking = LeaseTaking(known: likely(known))
    while true {
      switch taking.step {
      case .acquire: taking.answered(try await store.acquireLease(on: key, id: id, for: .infinite))
      case .change(let old): taking.answered(try await store.changeLease(on: key, from: old, to: id))
      case .askFence:
        do { try await fence.check() } catch {
          try? await store.releaseLease(on: key, id: id)
          throw error
        }
        taking.fenceIsOurs()
      case .breakLease:
        try await store.breakLease(on: key)
        taking.broken()
      case .held: return true
      case .noFile: return false
      case .refused:
        throw NebulaError(
          .adlsLeaseHeld, "Somebody else takes the lease of \(key) again and again.",
          remedy: "Find out who else writes there.", at: .init(path: key), disposition: .retry(after: nil))
      }
    }
  }

  /// What a lost lease means: a newer writer, or somebody who breaks leases.
  func lost(_ key: String) async throws -> NebulaError {
    try await fence.check()
    return NebulaError(
      .adlsLeaseLost, "The lease of \(key) was taken away by somebody who is no newer writer of this pipeline.",
      remedy: "It is taken again. Find out who breaks leases if this stays.", at: .init(path: key),
      disposition: .retry(after: nil))
  }
}
