internal import Glibc
internal import NebulaCore
internal import NebulaHTTP

/// A folder of the local disk: objects are files below it, made under a temporary name, synced, then published.
///
/// It works on a thread of its own, since disks block.
public actor LocalObjectStore: ObjectStore {
  private let executor = ThreadExecutor()
  let root: String
  /// Called by the concurrency runtime.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  /// Opens a folder, which must be there.
  public init(root: String) { self.root = root }
  deinit { executor.stop() }

  /// Writes a file, mode 0600, in folders made as needed, mode 0700. Metadata is not kept: what is there already is
  /// accepted if its bytes are equal.
  public func put(_ object: ObjectUpload) async throws -> StoredObject {
    let place = try LocalPlace(root: root, key: object.key, makesFolders: true)
    let temporary = ".nebula-tmp-" + Crypto.hex(try Crypto.randomBytes(8))
    do {
      try place.write(object.body, to: temporary)
      try Task.checkCancellation()
      let isNew = try place.publish(temporary, createOnly: object.createOnly)
      if !isNew {
        guard try place.hasSameContent(temporary) else { throw Refusal.exists(object.key) }
        place.remove(temporary)
      }
      try place.syncFolder()
      return StoredObject(key: object.key, size: object.size, wasThere: !isNew)
    } catch {
      place.remove(temporary)
      throw error
    }
  }

  /// What lies under `key`.
  public func head(_ key: String) async throws -> StoredObject? {
    guard let place = try LocalPlace.existing(root: root, key: key), let size = try place.size() else { return nil }
    return StoredObject(key: key, size: size, etag: try place.etag())
  }

  /// Removes it.
  public func delete(_ key: String) async throws {
    guard let place = try LocalPlace.existing(root: root, key: key) else { return }
    try place.delete()
  }
}
