/// A store without folders, whose names are listed by how they begin.
public protocol PrefixListableStore: ListableObjectStore {
  /// One page of the names that begin with `prefix`, sorted. With `stopsAtSlash`, those that have a slash behind the
  /// prefix are listed as the folders that they would lie in.
  func list(
    prefix: String, stopsAtSlash: Bool, continuation: String?, limit: Int?
  ) async throws -> ObjectListing
}

extension PrefixListableStore {
  /// One page of a folder.
  public func list(
    _ folder: String, recursive: Bool, continuation: String?, limit: Int?
  ) async throws -> ObjectListing {
    try await list(
      prefix: folder.isEmpty ? "" : "\(folder)/", stopsAtSlash: !recursive, continuation: continuation, limit: limit)
  }

  /// Everything whose name begins with `prefix`, for listings that are known to be small.
  public func listAll(prefix: String) async throws -> [ListedObject] {
    var all: [ListedObject] = []
    var continuation: String?
    repeat {
      let page = try await list(prefix: prefix, stopsAtSlash: false, continuation: continuation, limit: nil)
      all += page.entries
      continuation = page.next
    } while continuation != nil
    return all
  }
}

extension ObjectListing {
  /// A page as a store gave it: objects, and the prefixes that stand for folders. What consoles leave where they "made a
  /// folder", an empty object whose name ends in a slash, is no object of anybody's.
  init(_ objects: [ListedObject], folders: [String], next: String?) {
    let shown =
      objects.filter { !($0.key.hasSuffix("/") && $0.size == 0) }
      + folders.map { ListedObject(key: $0.hasSuffix("/") ? String($0.dropLast()) : $0, size: 0, isFolder: true) }
    self.init(
      entries: shown.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) },
      next: next.flatMap { $0.isEmpty ? nil : $0 })
  }
}
