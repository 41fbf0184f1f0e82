internal import Glibc
internal import NebulaCore
internal import NebulaHTTP

/// What a login shows. It has no description: nothing of it may be printed.
enum Credentials: Sendable {
  case password(user: String, String)
  case keyPair(JWT)
  case token(user: String, String, Authenticator)

  /// Reads the key file if there is one. Blocks for a small file; called once.
  init(_ options: SnowflakeOptions, account: String) throws(NebulaError) {
    switch try options.loginMethod() {
    case .keyPair:
      let pem = try Self.keyText(options)
      do {
        let key = try RSAPrivateKey(pem, passphrase: options.privateKeyPassphrase)
        self = .keyPair(JWT(account: account, user: options.user, key: key))
      } catch {
        throw NebulaError(
          .badKey, error.message, remedy: error.remedy,
          at: .init(path: options.privateKeyPath == nil ? "private_key" : "private_key_path"), native: error.native,
          exit: .configuration)
      }
    case .oauth: self = .token(user: options.user, options.token ?? "", .oauth)
    case .accessToken: self = .token(user: options.user, options.token ?? "", .accessToken)
    default: self = .password(user: options.user, options.password ?? "")
    }
  }

  private static func keyText(_ options: SnowflakeOptions) throws(NebulaError) -> [UInt8] {
    if let text = options.privateKey {
      // In an environment variable a PEM often has "\n" as two characters.
      return Array(text.split(separator: "\\n", omittingEmptySubsequences: false).joined(separator: "\n").utf8)
    }
    let path = options.privateKeyPath ?? ""
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw unreadable(path) }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 64 << 10)
    let count = read(file, &bytes, bytes.count)
    guard count > 0 else { throw unreadable(path) }
    return Array(bytes.prefix(count))
  }

  private static func unreadable(_ path: String) -> NebulaError {
    let number = errno
    return NebulaError(
      .badKey,
      "The key file \(path) can't be read: \(number == 0 ? "it is empty" : String(cString: strerror(number))).",
      remedy: "Check private_key_path and the file's rights.", at: .init(path: "private_key_path"),
      native: "errno \(number)", exit: .configuration)
  }

  /// The members that a login adds to its body.
  func members(now: Int64) throws(NebulaError) -> [JSONValue.Member] {
    switch self {
    case .password(let user, let password):
      return [.init("LOGIN_NAME", .string(user)), .init("PASSWORD", .string(password))]
    case .keyPair(let jwt):
      return [
        .init("LOGIN_NAME", .string(jwt.user)), .init("AUTHENTICATOR", "SNOWFLAKE_JWT"),
        .init("TOKEN", .string(try jwt.token(now: now))),
      ]
    case .token(let user, let token, let authenticator):
      return [
        .init("LOGIN_NAME", .string(user)), .init("AUTHENTICATOR", .string(authenticator.rawValue.uppercased())),
        .init("TOKEN", .string(token)),
      ]
    }
  }

  /// What to look at when the server refuses.
  var remedy: String {
    switch self {
    case .password: "Check account, user and password, and that the user may log in with a password."
    case .keyPair:
      "Check account and user, that the public key is set (ALTER USER … SET RSA_PUBLIC_KEY), and this machine's clock."
    case .token: "Check account, user and token: it may have expired, or belong to another user or network."
    }
  }
}
