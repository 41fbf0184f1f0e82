internal import Glibc
internal import NebulaCore

/// A small file of a login, read whole: a key, a token, `connections.toml`. Blocks for so little.
struct LoginFile {
  let bytes: [UInt8]
  private let mode: UInt32
  private let owner: UInt32
  /// Larger than any of them is.
  static let limit = 1 << 20

  /// Why a file can't be read; `isAbsent` when there is none.
  struct Failure: Error {
    let reason: String
    let number: Int32
    var isAbsent: Bool { number == ENOENT || number == ENOTDIR }
  }

  init(_ path: String) throws(Failure) {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw Self.failure() }
    defer { close(file) }
    var status = stat()
    // of the open file: nobody can put another in its place between the check and the reading
    guard fstat(file, &status) == 0 else { throw Self.failure() }
    guard status.st_mode & S_IFMT != S_IFDIR else { throw Failure(reason: "it is a folder", number: EISDIR) }
    (mode, owner) = (status.st_mode, status.st_uid)
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    var bytes: [UInt8] = []
    while true {
      let count = read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Self.failure() }
      if count == 0 { break }
      bytes += buffer[..<count]
      guard bytes.count <= Self.limit else { throw Failure(reason: "it is larger than 1 MiB", number: EFBIG) }
    }
    self.bytes = bytes
  }

  private static func failure() -> Failure { Failure(reason: String(cString: strerror(errno)), number: errno) }

  /// Others than the owner may change it.
  var isWritableByOthers: Bool { mode & 0o022 != 0 }
  /// Others than the owner may read it, or the owner is neither root nor who runs this.
  var isOpenToOthers: Bool { mode & 0o044 != 0 || (owner != 0 && owner != getuid()) }
  /// `644`
  var permissions: String { String(mode & 0o777, radix: 8) }
}
