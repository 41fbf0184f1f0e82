/// A store whose objects can be read again, whole or in part.
public protocol ReadableObjectStore: ObjectStore {
  /// The bytes of `range` (all of them for nil), cut at the object's end; nil when nothing lies under `key`.
  ///
  /// With `ifMatch`, an object of another ETag is the error `objects.changed`.
  func read(_ key: String, range: Range<Int>?, ifMatch: String?) async throws -> ObjectContent?
}

/// What was read, and of what.
public struct ObjectContent: Sendable {
  /// The bytes asked for.
  public let bytes: [UInt8]
  /// The object; its size is that of all of it.
  public let object: StoredObject
  /// Makes one.
  public init(bytes: [UInt8], object: StoredObject) {
    self.bytes = bytes
    self.object = object
  }
}

extension ReadableObjectStore {
  /// All bytes of an object; nil when nothing lies under `key`.
  public func read(_ key: String) async throws -> ObjectContent? { try await read(key, range: nil, ifMatch: nil) }
  /// The bytes of `range`, cut at the object's end; nil when nothing lies under `key`.
  public func read(_ key: String, range: Range<Int>) async throws -> ObjectContent? {
    try await read(key, range: range, ifMatch: nil)
  }
}
