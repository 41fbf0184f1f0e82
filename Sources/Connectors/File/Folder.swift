import Glibc
import NebulaCore

/// What is done to folders and names; everything here blocks.
enum Folder {
  /// Makes a folder and those above it; the new names are durable when it returns.
  static func make(_ path: String, mode: mode_t = 0o777) throws(NebulaError) {
    if let status = try FileStatus.of(path) {
      guard status.isFolder else { throw systemError(ENOTDIR, "Making the folder", path) }
      return
    }
    let parent = self.parent(of: path)
    if parent != path { try make(parent, mode: mode) }
    guard mkdir(path, mode) == 0 || errno == EEXIST else { throw systemError(errno, "Making the folder", path) }
    try sync(parent)
  }

  /// Makes the names in a folder durable.
  static func sync(_ path: String) throws(NebulaError) {
    let folder = try FileDescriptor(opening: path, O_RDONLY | O_DIRECTORY)
    try folder.sync()
  }

  static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  static func name(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
  }

  /// The names in a folder, in no order; none when it does not exist.
  static func names(in path: String) throws(NebulaError) -> [String] {
    guard let folder = opendir(path) else {
      if errno == ENOENT { return [] }
      throw systemError(errno, "Listing", path)
    }
    defer { closedir(folder) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(folder) else { break }
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    guard errno == 0 else { throw systemError(errno, "Listing", path) }
    return names
  }

  static func isWritable(_ path: String) -> Bool { access(path, W_OK | X_OK) == 0 }

  /// Removes a file; false when there was none.
  @discardableResult
  static func remove(_ path: String) throws(NebulaError) -> Bool {
    if unlink(path) == 0 { return true }
    if errno == ENOENT || errno == ENOTDIR { return false }
    throw systemError(errno, "Removing", path)
  }

  /// Removes a folder with all in it.
  static func removeTree(_ path: String) throws(NebulaError) {
    for name in try names(in: path) {
      let inner = "\(path)/\(name)"
      var raw = stat()
      if lstat(inner, &raw) == 0, raw.st_mode & S_IFMT == S_IFDIR { try removeTree(inner) } else { try remove(inner) }
    }
    guard rmdir(path) == 0 || errno == ENOENT else { throw systemError(errno, "Removing", path) }
  }

  private typealias RenameCall =
    @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
  /// `renameat2`, which Swift's Glibc module does not show.
  private static let renameat2: RenameCall? = dlsym(nil, "renameat2").map { unsafeBitCast($0, to: RenameCall.self) }

  /// Renames only onto a free name, in one step, so that the file is always in exactly one place; false when the name
  /// is taken. File systems that can't get a second name and lose the first.
  static func publish(_ from: String, as to: String) throws(NebulaError) -> Bool {
    let noReplace: UInt32 = 1
    if let renameat2, renameat2(AT_FDCWD, from, AT_FDCWD, to, noReplace) == 0 { return true }
    if renameat2 != nil, errno != EINVAL, errno != ENOSYS {
      if errno == EEXIST { return false }
      throw systemError(errno, "Publishing \(from) as", to)
    }
    guard link(from, to) == 0 else {
      if errno == EEXIST { return false }
      throw systemError(errno, "Publishing \(from) as", to)
    }
    try remove(from)
    return true
  }

  /// Puts a small file in the place of an older one, in one step, durably.
  static func replace(_ path: String, with bytes: [UInt8]) throws(NebulaError) {
    let temporary = "\(path).new"
    try write(bytes, to: temporary)
    guard rename(temporary, path) == 0 else { throw systemError(errno, "Replacing", path) }
    try sync(parent(of: path))
  }

  /// Writes a small file, durable with its name once its folder is synced.
  static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o600) throws(NebulaError) {
    let file = try FileDescriptor(opening: path, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
    try bytes.withRaw { (raw) throws(NebulaError) in try file.writeAll(raw) }
    try file.sync()
    try file.close()
  }

  /// The whole of a small file; nil when there is none.
  static func contents(of path: String) throws(NebulaError) -> [UInt8]? {
    guard let status = try FileStatus.of(path) else { return nil }
    return try FileDescriptor(opening: path).read(Int(status.size), at: 0)
  }
}
