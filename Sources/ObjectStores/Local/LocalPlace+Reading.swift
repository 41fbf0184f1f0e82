internal import Glibc
internal import NebulaCore

extension LocalPlace {
  /// nil when nothing is there.
  func openForReading() throws(NebulaError) -> (descriptor: Int32, size: Int, etag: String)? {
    let file = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT { return nil }
      throw fileError("open", path)
    }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(file)
      errno = EISDIR
      throw fileError("open", path)
    }
    return (file, Int(status.st_size), Self.etag(status))
  }

  func read(_ file: Int32, _ range: Range<Int>) throws(NebulaError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: range.count)
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeMutableBytes {
        pread(file, $0.baseAddress.map { $0 + done }, $0.count - done, off_t(range.lowerBound + done))
      }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw fileError("read", path) }
      guard count > 0 else { break }  // shorter than it was
      done += count
    }
    return Array(bytes.prefix(done))
  }

  /// nil when nothing is there.
  func etag() throws(NebulaError) -> String? {
    var status = stat()
    guard fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
      if errno == ENOENT { return nil }
      throw fileError("stat", path)
    }
    return Self.etag(status)
  }

  /// False when the target's name is taken and may not be replaced.
  func move(to target: borrowing LocalPlace, replaces: Bool) throws(NebulaError) -> Bool {
    if replaces {
      guard renameat(folder, name, target.folder, target.name) == 0 else { throw fileError("rename", path) }
      return true
    }
    // a hard link never replaces; Swift does not see renameat2
    guard linkat(folder, name, target.folder, target.name, 0) == 0 else {
      guard errno == EEXIST else { throw fileError("link", path) }
      // our own link, made before a death between the two steps
      guard try etag() == target.etag() else { return false }
      remove(name)
      return true
    }
    remove(name)
    return true
  }

  private static func etag(_ status: stat) -> String {
    "\(status.st_ino)-\(status.st_size)-\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
  }
}
