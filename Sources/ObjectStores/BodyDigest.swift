internal import Glibc
internal import NebulaCore
internal import NebulaHTTP

extension HTTPBody {
  /// SHA-256 of the content, for signatures over plain http (loopback only: https signs without it). Reads a file
  /// where it is called.
  func sha256() throws(NebulaError) -> [UInt8] {
    switch self {
    case .none: return Crypto.sha256([])
    case .bytes(let bytes): return Crypto.sha256(bytes)
    case .shared(let bytes): return Crypto.sha256(bytes.base)
    case .file(let path, let offset, let length):
      let digest = Crypto.SHA256()
      try FilePiece(path: path, offset: offset, length: length).forEach { digest.update($0) }
      return digest.finish()
    }
  }
}

/// Reads a piece of a file in steps.
struct FilePiece {
  let path: String
  let offset: Int
  let length: Int

  func forEach(_ use: (UnsafeRawBufferPointer) throws(NebulaError) -> Void) throws(NebulaError) {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw fileError("open", path) }
    defer { close(file) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { buffer.deallocate() }
    var done = 0
    while done < length {
      let count = pread(file, buffer.baseAddress, min(buffer.count, length - done), off_t(offset + done))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        if count == 0 { errno = EIO }
        throw fileError("read", path)
      }
      try use(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      done += count
    }
  }
}

func fileError(_ what: String, _ path: String) -> NebulaError {
  let number = errno
  return NebulaError(
    .objectsFile, "\(path): \(what) failed: \(String(cString: strerror(number))).",
    remedy: "Check that the folder exists, its rights and the room on its disk.", at: .init(path: path),
    native: "errno \(number)", exit: .environment)
}
