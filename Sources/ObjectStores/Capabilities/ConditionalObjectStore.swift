/// A store that writes an object only if what lies there is what the writer saw: compare and swap, for fences.
public protocol ConditionalObjectStore: ObjectStore {
  /// Writes a small object, whole, if `condition` holds at that moment. `object.createOnly` is not looked at.
  ///
  /// An answer that was lost is resolved inside: each call marks what it writes, so that it knows its own work again.
  func put(_ object: ObjectUpload, if condition: WriteCondition) async throws -> ConditionalWrite
}

/// What has to be so for a write to happen.
public enum WriteCondition: Sendable, Hashable {
  /// Nothing lies under the name (`If-None-Match: *`).
  case absent
  /// What lies there has this ETag (`If-Match`).
  case matches(String)
}

/// What a conditional write came to.
public enum ConditionalWrite: Sendable, Hashable {
  /// It was written; the object has its new ETag.
  case written(StoredObject)
  /// The condition did not hold: this lies there (nil: nothing, or it went away meanwhile). Nothing was written.
  case refused(StoredObject?)
}
