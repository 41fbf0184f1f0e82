internal import Glibc
internal import NebulaCore
internal import NebulaHTTP

/// Local files have no ETag of their own: one is made of what a write or a replacement changes.
extension LocalObjectStore: ReadableObjectStore {
  /// The bytes of `range`; nil when nothing lies under `key`.
  public func read(_ key: String, range: Range<Int>?, ifMatch: String?) async throws -> ObjectContent? {
    guard let place = try LocalPlace.existing(root: root, key: key), let file = try place.openForReading() else {
      return nil
    }
    defer { close(file.descriptor) }
    if let ifMatch, ifMatch != file.etag { throw Refusal.changed(key) }
    let wanted = (range ?? 0..<file.size).clamped(to: 0..<file.size)
    return ObjectContent(
      bytes: try place.read(file.descriptor, wanted),
      object: StoredObject(key: key, size: file.size, etag: file.etag))
  }
}

extension LocalObjectStore: RenamingStore {
  /// Gives a file another name, and makes both folders durable.
  public func rename(_ rename: ObjectRename) async throws -> RenameOutcome {
    let target = try LocalPlace(root: root, key: rename.target, makesFolders: true)
    guard let source = try LocalPlace.existing(root: root, key: rename.source), let etag = try source.etag() else {
      // a rename changes the time of a file's description but neither its number nor its bytes
      if let expected = rename.sourceETag, try target.etag() == expected { return .renamed }
      throw Refusal.notFound(rename.source)
    }
    if let expected = rename.sourceETag, expected != etag { throw Refusal.changed(rename.source) }
    guard try source.move(to: target, replaces: rename.replaces) else { return .targetExists }
    try target.syncFolder()
    try source.syncFolder()
    return .renamed
  }
}
