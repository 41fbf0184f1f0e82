internal import Glibc
internal import NebulaCore

extension LocalObjectStore: ListableObjectStore {
  /// What lies in a folder, sorted; all in one page unless `limit` cuts it. Links and temporary files are left out.
  public func list(
    _ folder: String, recursive: Bool, continuation: String?, limit: Int?
  ) async throws -> ObjectListing {
    if !folder.isEmpty { _ = try LocalPlace.names(folder) }
    var listing = LocalListing(root: root, recursive: recursive)
    try listing.add(folder)
    var entries = listing.entries.sorted { $0.key < $1.key }
    if let continuation { entries.removeAll { $0.key <= continuation } }
    guard let limit, entries.count > max(1, limit) else { return ObjectListing(entries: entries) }
    let page = Array(entries.prefix(max(1, limit)))
    return ObjectListing(entries: page, next: page.last?.key)
  }
}

/// Collects the names below a folder.
struct LocalListing {
  let root: String
  let recursive: Bool
  private(set) var entries: [ListedObject] = []

  init(root: String, recursive: Bool) {
    self.root = root
    self.recursive = recursive
  }

  /// A folder that is not there, or that went away meanwhile, is empty.
  mutating func add(_ folder: String) throws(NebulaError) {
    let path = folder.isEmpty ? root : "\(root)/\(folder)"
    guard let stream = opendir(path) else {
      if errno == ENOENT || errno == ENOTDIR, !folder.isEmpty { return }
      throw fileError("list", path)
    }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name == "." || name == ".." || name.hasPrefix(".nebula-tmp-") { continue }
      try add(name, in: folder, dirfd(stream))
    }
  }

  private mutating func add(_ name: String, in folder: String, _ descriptor: Int32) throws(NebulaError) {
    var status = stat()
    guard fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
      if errno == ENOENT { return }
      throw fileError("stat", "\(root)/\(folder)/\(name)")
    }
    let key = folder.isEmpty ? name : "\(folder)/\(name)"
    switch status.st_mode & S_IFMT {
    case S_IFREG: entries.append(ListedObject(key: key, size: Int(status.st_size)))
    case S_IFDIR:
      entries.append(ListedObject(key: key, size: 0, isFolder: true))
      if recursive { try add(key) }
    default: break
    }
  }
}
