internal import NebulaCore
internal import NebulaHTTP

extension AzureDataLakeStore: LeasingStore {
  /// Takes a lease, or takes it again under the same id.
  public func acquireLease(on key: String, id: String, for duration: LeaseDuration) async throws -> LeaseOutcome {
    let seconds = if case .seconds(let seconds) = duration { seconds } else { -1 }
    return try await lease(
      .acquire, key, ["x-ms-proposed-lease-id": id, "x-ms-lease-duration": String(seconds)])
  }

  /// Makes a lease last as long again.
  public func renewLease(on key: String, id: String) async throws -> LeaseOutcome {
    try await lease(.renew, key, ["x-ms-lease-id": id])
  }

  /// Gives the lease another id.
  public func changeLease(on key: String, from id: String, to newID: String) async throws -> LeaseOutcome {
    try await lease(.change, key, ["x-ms-lease-id": id, "x-ms-proposed-lease-id": newID], newID: newID)
  }

  /// Gives a lease back.
  public func releaseLease(on key: String, id: String) async throws {
    _ = try await lease(.release, key, ["x-ms-lease-id": id])
  }

  /// Ends whatever lease there is.
  public func breakLease(on key: String) async throws {
    _ = try await lease(.break, key, ["x-ms-lease-break-period": "0"])
  }

  /// Leases are asked for on the Blob side, as Azure's own clients do.
  private func lease(
    _ action: LeaseRule.Action, _ key: String, _ headers: HTTPHeaders, newID: String? = nil
  ) async throws -> LeaseOutcome {
    try Self.check(key)
    var call = AzureCall(
      operation: "Lease (\(action.rawValue)) of \(key)", service: .blob, method: "PUT", key: key,
      query: [("comp", "lease")], headers: headers)
    call.headers["x-ms-lease-action"] = action.rawValue
    let answer = try await session.send(call) { LeaseRule.reading(action, $0) != .refused }
    switch LeaseRule.reading(action, answer) {
    case .outcome(let outcome): return outcome
    case .tryNewID, .refused: return try await renewLease(on: key, id: newID ?? "")
    }
  }
}
