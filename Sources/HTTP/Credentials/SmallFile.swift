internal import Glibc
public import NebulaCore

/// A file of credentials that another program writes: read whole each time, never large.
public struct SmallFile: Sendable {
  private let path: String
  private let what: String
  private let remedy: String

  /// `what` names it in errors, `remedy` says what to check.
  public init(path: String, what: String, remedy: String) {
    self.path = path
    self.what = what
    self.remedy = remedy
  }

  /// Its content; nil when there is no such file.
  public func readIfThere() throws(NebulaError) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw failed(String(cString: strerror(errno)))
    }
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
    guard used < buffer.count else { throw failed("it is larger than 64 KiB") }
    return Array(buffer[..<used])
  }

  /// Its content.
  public func read() throws(NebulaError) -> [UInt8] {
    guard let bytes = try readIfThere() else { throw failed(String(cString: strerror(ENOENT))) }
    return bytes
  }

  /// The token that is all of its content.
  public func token() throws(NebulaError) -> String {
    let token = String(decoding: try read(), as: UTF8.self).trimmed
    guard !token.isEmpty else { throw failed("it is empty") }
    guard !token.contains(where: \.isWhitespace) else { throw failed("it holds no token") }
    return token
  }

  /// The error of a file that can't be used.
  public func failed(_ reason: String) -> NebulaError {
    NebulaError(
      .credentialsUnavailable, "The \(what) \(path) can't be used: \(reason).", remedy: remedy,
      at: .init(path: path), exit: .environment)
  }
}

extension StringProtocol {
  /// Without blanks and line breaks around it.
  public var trimmed: String {
    var text = Substring(self)
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }
}
