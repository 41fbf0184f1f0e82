internal import Glibc
public import NebulaCore

extension Crypto {
  /// Encrypts a file into another (mode 0600, created or emptied), in pieces of 1 MiB; the length written. It blocks:
  /// call it on a thread of its own. The target is not synced.
  public static func aesCBCEncryptFile(
    from source: String, to target: String, key: [UInt8], iv: [UInt8]
  ) throws(NebulaError) -> Int {
    let cipher = try AESCBC.encryptor(key: key, iv: iv)
    let input = try open(source, O_RDONLY)
    defer { close(input) }
    let output = try open(target, O_WRONLY | O_CREAT | O_TRUNC)
    defer { close(output) }
    var plain = [UInt8](repeating: 0, count: 1 << 20)
    var secret: [UInt8] = []
    var total = 0
    while true {
      let count = Glibc.read(input, &plain, plain.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failedFile("read", source) }
      if count == 0 { break }
      secret.removeAll(keepingCapacity: true)
      try plain.withUnsafeBufferPointer { (bytes) throws(NebulaError) in
        try cipher.update(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[..<count]), into: &secret)
      }
      try write(secret, to: output, target)
      total += secret.count
    }
    secret.removeAll(keepingCapacity: true)
    try cipher.finish(into: &secret)
    try write(secret, to: output, target)
    return total + secret.count
  }

  private static func open(_ path: String, _ flags: Int32) throws(NebulaError) -> Int32 {
    let file = Glibc.open(path, flags | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw failedFile("opened", path) }
    return file
  }

  private static func write(_ bytes: [UInt8], to file: Int32, _ path: String) throws(NebulaError) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress.map { $0 + done }, bytes.count - done) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failedFile("written", path) }
      done += count
    }
  }

  private static func failedFile(_ what: String, _ path: String) -> NebulaError {
    let number = errno
    return NebulaError(
      .cryptoFailed, "\(path) can't be \(what): \(String(cString: strerror(number))).",
      remedy: "Check the file and the room on its disk.", at: .init(path: path), native: "errno \(number)")
  }
}
