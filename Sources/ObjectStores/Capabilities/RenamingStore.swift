/// A store that gives an object another name in one step.
public protocol RenamingStore: ObjectStore {
  /// Renames an object; folders on the way to the new name are made.
  ///
  /// Repeating it after a lost answer is safe: the target is known by its ETag, which a rename does not change. A source
  /// that is not there, without its target being there, is the error `objects.not_found`.
  func rename(_ rename: ObjectRename) async throws -> RenameOutcome
}

/// An object that is to have another name.
public struct ObjectRename: Sendable, Hashable {
  /// Its name.
  public var source: String
  /// The name to be.
  public var target: String
  /// Whether an object that has the new name may be replaced.
  public var replaces: Bool
  /// The source's ETag; when given, another content is not renamed but is the error `objects.changed`. When nil it is
  /// asked for first.
  public var sourceETag: String?
  /// The lease held on the source.
  public var sourceLeaseID: String?
  /// Describes a rename.
  public init(
    _ source: String, to target: String, replaces: Bool = false, sourceETag: String? = nil, sourceLeaseID: String? = nil
  ) {
    self.source = source
    self.target = target
    self.replaces = replaces
    self.sourceETag = sourceETag
    self.sourceLeaseID = sourceLeaseID
  }
}

/// What a rename came to.
public enum RenameOutcome: Sendable, Hashable {
  /// The object has its new name, by this call or an attempt of it whose answer was lost.
  case renamed
  /// An object of the new name is there, and is not ours; nothing was changed.
  case targetExists
}
