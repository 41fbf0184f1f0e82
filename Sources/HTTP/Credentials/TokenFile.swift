internal import Glibc
internal import NebulaCore

/// A small file that another program renews, with a token in it.
struct TokenFile {
  let path: String

  func read() throws(NebulaError) -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw failed(String(cString: strerror(errno))) }
    defer { close(file) }
    var buffer = [UInt8](repeating: 0, count: 65_537)
    var used = 0
    while used < buffer.count {
      let count = buffer.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress.map { $0 + used }, $0.count - used) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failed(String(cString: strerror(errno))) }
      if count == 0 { break }
      used += count
    }
    let token = String(decoding: buffer[..<used], as: UTF8.self).trimmingBlanks
    guard !token.isEmpty else { throw failed("it is empty") }
    guard used < buffer.count, !token.contains(where: \.isWhitespace) else { throw failed("it holds no token") }
    return token
  }

  private func failed(_ reason: String) -> NebulaError {
    NebulaError(
      .credentialsUnavailable, "The token file \(path) can't be used: \(reason).",
      remedy: "Check AZURE_FEDERATED_TOKEN_FILE, and that the token is mounted.", at: .init(path: path),
      exit: .environment)
  }
}

extension String {
  /// Without blanks and line breaks around it.
  fileprivate var trimmingBlanks: String {
    var text = Substring(self)
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }
}
