/// A store whose files can be leased: while a lease is held, only requests that name it may write.
///
/// Ids are the caller's (GUIDs in lower case), so that every call can be repeated after a lost answer.
public protocol LeasingStore: ObjectStore {
  /// Takes a lease, or takes it again under the same id.
  func acquireLease(on key: String, id: String, for duration: LeaseDuration) async throws -> LeaseOutcome
  /// Makes a lease of a limited time last that long again.
  func renewLease(on key: String, id: String) async throws -> LeaseOutcome
  /// Gives the lease another id: the holder of the old one is shut out in the same step.
  func changeLease(on key: String, from id: String, to newID: String) async throws -> LeaseOutcome
  /// Gives a lease back. A lease that is not held any more, or a file that is gone, is no error.
  func releaseLease(on key: String, id: String) async throws
  /// Ends whatever lease there is, at once. None, or no file, is no error. After an answer that was lost it may end a
  /// lease taken since: whoever breaks leases holds a fence that a newer writer would have taken first.
  func breakLease(on key: String) async throws
}

/// How long a lease is held.
public enum LeaseDuration: Sendable, Hashable {
  /// Until it is released or broken.
  case infinite
  /// So many seconds, 15 to 60, unless renewed.
  case seconds(Int)
}

/// What asking for a lease came to.
public enum LeaseOutcome: Sendable, Hashable {
  /// It is held under the id that was given.
  case held
  /// Another id holds it (acquire), or ours is not held any more (renew, change).
  case heldByOther
  /// There is no such file.
  case noFile
}

/// What a file's description says about its lease.
public enum LeaseState: String, Sendable, Hashable {
  /// Nobody holds one.
  case available
  /// Somebody holds one.
  case leased
  /// Its time ran out.
  case expired
  /// It was broken but its time still runs.
  case breaking
  /// It was broken.
  case broken
}
