import Glibc
import NebulaCore

/// An open file with one owner: closed when it is let go. Every failure is a `NebulaError` with the path in it.
final class FileDescriptor {
  let path: String
  private let number: Int32
  private var isOpen = true

  init(opening path: String, _ flags: Int32 = O_RDONLY, mode: mode_t = 0o600) throws(NebulaError) {
    self.path = path
    number = open(path, flags | O_CLOEXEC, mode)
    guard number >= 0 else { throw systemError(errno, flags & O_CREAT == 0 ? "Opening" : "Creating", path) }
  }
  deinit { if isOpen { Glibc.close(number) } }

  func close() throws(NebulaError) {
    guard isOpen else { return }
    isOpen = false
    guard Glibc.close(number) == 0 else { throw systemError(errno, "Closing", path) }
  }

  /// Reads once; 0 at the end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(NebulaError) -> Int {
    while true {
      let count = Glibc.read(number, buffer.baseAddress, buffer.count)
      if count >= 0 { return count }
      guard errno == EINTR else { throw systemError(errno, "Reading", path) }
    }
  }

  /// Reads up to `count` bytes at an offset.
  func read(_ count: Int, at offset: Int) throws(NebulaError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let wanted = count - filled
      let got = bytes.withUnsafeMutableBytes {
        pread(number, $0.baseAddress?.advanced(by: filled), wanted, offset + filled)
      }
      if got == 0 { break }
      if got > 0 { filled += got } else if errno != EINTR { throw systemError(errno, "Reading", path) }
    }
    return Array(bytes.prefix(filled))
  }

  func seek(to offset: Int) throws(NebulaError) {
    guard lseek(number, offset, SEEK_SET) >= 0 else { throw systemError(errno, "Reading", path) }
  }

  func writeAll(_ bytes: UnsafeRawBufferPointer) throws(NebulaError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = Glibc.write(number, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if count == 0 || errno != EINTR {
        throw systemError(count == 0 ? ENOSPC : errno, "Writing", path)
      }
    }
  }

  func truncate(to length: Int) throws(NebulaError) {
    guard ftruncate(number, length) == 0 else { throw systemError(errno, "Shortening", path) }
  }

  func setMode(_ mode: mode_t) throws(NebulaError) {
    guard fchmod(number, mode) == 0 else { throw systemError(errno, "Setting the mode of", path) }
  }

  /// Never called again after it failed: the kernel reports a lost page once.
  func sync() throws(NebulaError) {
    guard fsync(number) == 0 else { throw systemError(errno, "Flushing", path) }
  }

  /// True when the lock was taken; it is let go with the file.
  func tryLock() -> Bool { flock(number, LOCK_EX | LOCK_NB) == 0 }

  func status() throws(NebulaError) -> FileStatus {
    var raw = stat()
    guard fstat(number, &raw) == 0 else { throw systemError(errno, "Looking at", path) }
    return FileStatus(raw)
  }
}

extension [UInt8] {
  /// `withUnsafeBytes` with a typed error.
  func withRaw<R>(_ body: (UnsafeRawBufferPointer) throws(NebulaError) -> R) throws(NebulaError) -> R {
    try withUnsafeBufferPointer { (bytes) throws(NebulaError) in try body(UnsafeRawBufferPointer(bytes)) }
  }
  /// `withUnsafeMutableBytes` with a typed error.
  mutating func withMutableRaw<R>(
    _ body: (UnsafeMutableRawBufferPointer) throws(NebulaError) -> R
  ) throws(NebulaError) -> R {
    try withUnsafeMutableBufferPointer { (bytes) throws(NebulaError) in try body(UnsafeMutableRawBufferPointer(bytes)) }
  }
}

/// What a file is, without its content.
struct FileStatus: Equatable {
  var device: UInt64
  var inode: UInt64
  var size: UInt64
  /// Nanoseconds since 1970.
  var modified: Int64
  var isFolder: Bool
  var isRegular: Bool

  init(_ raw: stat) {
    device = UInt64(raw.st_dev)
    inode = UInt64(raw.st_ino)
    size = UInt64(max(0, raw.st_size))
    modified = Int64(raw.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(raw.st_mtim.tv_nsec)
    isFolder = raw.st_mode & S_IFMT == S_IFDIR
    isRegular = raw.st_mode & S_IFMT == S_IFREG
  }

  /// Nil when there is nothing at `path`.
  static func of(_ path: String) throws(NebulaError) -> FileStatus? {
    var raw = stat()
    guard stat(path, &raw) != 0 else { return FileStatus(raw) }
    if errno == ENOENT || errno == ENOTDIR { return nil }
    throw systemError(errno, "Looking at", path)
  }
}
