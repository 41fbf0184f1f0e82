internal import Glibc
internal import NebulaCore
internal import NebulaHTTP

/// A name in an open folder. The way to it was walked folder by folder without following links, so that no key leads
/// out of the root.
struct LocalPlace: ~Copyable {
  let folder: Int32
  let name: String
  let path: String

  init(root: String, key: String, makesFolders: Bool) throws(NebulaError) {
    let names = try Self.names(key)
    let folder = try Self.walk(root, names.dropLast(), makesFolders: makesFolders)
    self.folder = folder
    path = "\(root)/\(key)"
    name = names[names.count - 1]
  }
  deinit { close(folder) }

  /// nil when one of the folders is not there.
  static func existing(root: String, key: String) throws(NebulaError) -> LocalPlace? {
    do {
      return try LocalPlace(root: root, key: key, makesFolders: false)
    } catch  where error.native == "errno \(ENOENT)" && error.place?.path != root {
      return nil
    }
  }

  /// Writes `body` to a new file beside the name, and syncs it.
  func write(_ body: HTTPBody, to temporary: String) throws(NebulaError) {
    let file = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw fileError("create", path) }
    defer { close(file) }
    try body.forEachPiece { (bytes) throws(NebulaError) in
      var done = 0
      while done < bytes.count {
        let count = Glibc.write(file, bytes.baseAddress.map { $0 + done }, bytes.count - done)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw fileError("write", path) }
        done += count
      }
    }
    guard fsync(file) == 0 else { throw fileError("sync", path) }
  }

  /// Gives the temporary file its name; false when that was taken and `createOnly` keeps what is there.
  func publish(_ temporary: String, createOnly: Bool) throws(NebulaError) -> Bool {
    guard createOnly else {
      guard renameat(folder, temporary, folder, name) == 0 else { throw fileError("rename", path) }
      return true
    }
    // a hard link never replaces; Swift does not see renameat2
    guard linkat(folder, temporary, folder, name, 0) == 0 else {
      if errno == EEXIST { return false }
      throw fileError("link", path)
    }
    remove(temporary)
    return true
  }

  /// Makes the name itself durable.
  func syncFolder() throws(NebulaError) {
    guard fsync(folder) == 0 else { throw fileError("sync of the folder", path) }
  }

  func remove(_ temporary: String) { unlinkat(folder, temporary, 0) }

  func delete() throws(NebulaError) {
    guard unlinkat(folder, name, 0) == 0 || errno == ENOENT else { throw fileError("delete", path) }
    try syncFolder()
  }

  /// nil when nothing is there.
  func size() throws(NebulaError) -> Int? {
    var status = stat()
    guard fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
      if errno == ENOENT { return nil }
      throw fileError("stat", path)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      errno = EISDIR
      throw fileError("stat", path)
    }
    return Int(status.st_size)
  }

  /// Whether the name and the temporary file hold the same bytes.
  func hasSameContent(_ temporary: String) throws(NebulaError) -> Bool {
    guard let ours = try digest(temporary), let theirs = try digest(name) else { return false }
    return ours == theirs
  }

  private func digest(_ name: String) throws(NebulaError) -> [UInt8]? {
    let file = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    guard file >= 0 else { throw fileError("open", path) }
    defer { close(file) }
    let digest = Crypto.SHA256()
    var buffer = [UInt8](repeating: 0, count: 1 << 18)
    while true {
      let count = Glibc.read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw fileError("read", path) }
      if count == 0 { return digest.finish() }
      buffer.withUnsafeBytes { digest.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }
  }

  static func names(_ key: String) throws(NebulaError) -> [String] {
    let names = key.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    let isGood = names.allSatisfy {
      !$0.isEmpty && $0 != "." && $0 != ".." && $0.utf8.count <= 255 && !$0.utf8.contains(0)
    }
    guard isGood, !names.isEmpty, key.utf8.count <= 2048 else {
      throw NebulaError(
        .objectsBadName, "\(key) can't be a file's name below a folder.",
        remedy: "Use names without empty parts, `.` and `..`.", at: .init(path: key))
    }
    return names
  }

  /// Opens the last folder; each new one is made durable in the one above.
  private static func walk(
    _ root: String, _ names: ArraySlice<String>, makesFolders: Bool
  ) throws(NebulaError) -> Int32 {
    var current = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard current >= 0 else { throw fileError("open", root) }
    var path = root
    for name in names {
      path += "/\(name)"
      let above = current
      defer { close(above) }
      if makesFolders, mkdirat(above, name, 0o700) == 0 { fsync(above) }
      current = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      guard current >= 0 else { throw fileError("open", path) }
    }
    return current
  }
}
