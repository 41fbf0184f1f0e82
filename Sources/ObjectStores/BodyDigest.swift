internal import Glibc
internal import NebulaCore
internal import NebulaHTTP

extension HTTPBody {
  /// SHA-256 of the content, for signatures over plain http (loopback only: https signs without it). Reads a file
  /// where it is called.
  func sha256() throws(NebulaError) -> [UInt8] {
    let digest = Crypto.SHA256()
    try forEachPiece { digest.update($0) }
    return digest.finish()
  }

  /// MD5 of the content, for stores that verify what arrives by it. Reads a file where it is called.
  func md5() throws(NebulaError) -> [UInt8] {
    let digest = Crypto.MD5()
    try forEachPiece { digest.update($0) }
    return digest.finish()
  }

  /// Hands out the content in pieces, in their order.
  func forEachPiece(_ use: (UnsafeRawBufferPointer) throws(NebulaError) -> Void) throws(NebulaError) {
    switch self {
    case .none: return
    case .bytes(let bytes):
      try bytes.withUnsafeBufferPointer { (bytes) throws(NebulaError) in try use(UnsafeRawBufferPointer(bytes)) }
    case .shared(let bytes): try use(bytes.base)
    case .file(let path, let offset, let length):
      try FilePiece(path: path, offset: offset, length: length).forEach(use)
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
