internal import NebulaCore
internal import NebulaHTTP

/// What a login shows. It has no description: nothing of it may be printed.
enum Credentials: Sendable {
  case password(user: String, String)
  case secondFactor(user: String, String, SecondFactor)
  case keyPair(JWT)
  case token(user: String, TokenText, Authenticator)
  case clientCredentials(user: String, TokenCache)

  /// A token, or the file in which another program keeps it fresh.
  enum TokenText: Sendable {
    case given(String)
    case file(String)
  }

  /// Reads the key file if there is one. Blocks for a small file; called once.
  init(
    _ options: SnowflakeOptions, endpoint: Endpoint, tokens context: TokenContext, log: Logger
  ) throws(NebulaError) {
    let user = options.user
    switch try options.loginMethod() {
    case .keyPair: self = .keyPair(try Self.keyPair(options, account: endpoint.account))
    case .oauth: self = .token(user: user, Self.token(options), .oauth)
    case .accessToken: self = .token(user: user, Self.token(options), .accessToken)
    case .clientCredentials:
      let source = OAuthClientCredentials(options, endpoint: endpoint, context: context)
      self = .clientCredentials(user: user, TokenCache(source, clock: context.clock))
    case .passwordWithMFA:
      let factor = SecondFactor(
        passcode: options.passcode, user: user, sessions: options.connectionPoolSize, log: log)
      self = .secondFactor(user: user, options.password ?? "", factor)
    default: self = .password(user: user, options.password ?? "")
    }
  }

  private static func keyPair(_ options: SnowflakeOptions, account: String) throws(NebulaError) -> JWT {
    let pem = try Self.keyText(options)
    do {
      let key = try RSAPrivateKey(pem, passphrase: options.privateKeyPassphrase)
      return JWT(account: account, user: options.user, key: key)
    } catch {
      throw NebulaError(
        .badKey, error.message, remedy: error.remedy,
        at: .init(path: options.privateKeyPath == nil ? "private_key" : "private_key_path"), native: error.native,
        exit: .configuration)
    }
  }

  private static func keyText(_ options: SnowflakeOptions) throws(NebulaError) -> [UInt8] {
    if let text = options.privateKey {
      // In an environment variable a PEM often has "\n" as two characters.
      return Array(text.split(separator: "\\n", omittingEmptySubsequences: false).joined(separator: "\n").utf8)
    }
    let path = options.privateKeyPath ?? ""
    return try read(path, "The key file", .badKey, "private_key_path", .configuration)
  }

  private static func token(_ options: SnowflakeOptions) -> TokenText {
    options.tokenFilePath.map { .file($0) } ?? .given(options.token ?? "")
  }

  private static func read(
    _ path: String, _ what: String, _ code: NebulaError.Code, _ property: String, _ exit: NebulaError.Exit
  ) throws(NebulaError) -> [UInt8] {
    func unreadable(_ reason: String, _ number: Int32) -> NebulaError {
      NebulaError(
        code, "\(what) \(path) can't be read: \(reason).", remedy: "Check \(property) and the file's rights.",
        at: .init(path: property), native: "errno \(number)", exit: exit)
    }
    let bytes: [UInt8]
    do { bytes = try LoginFile(path).bytes } catch { throw unreadable(error.reason, error.number) }
    guard !bytes.isEmpty else { throw unreadable("it is empty", 0) }
    return bytes
  }

  /// The members that a login adds to its body, for those ways that need nothing from outside.
  func members(now: Int64) throws(NebulaError) -> [JSONValue.Member] {
    switch self {
    case .password(let user, let password), .secondFactor(let user, let password, _):
      return [.init("LOGIN_NAME", .string(user)), .init("PASSWORD", .string(password))]
    case .keyPair(let jwt):
      return [
        .init("LOGIN_NAME", .string(jwt.user)), .init("AUTHENTICATOR", "SNOWFLAKE_JWT"),
        .init("TOKEN", .string(try jwt.token(now: now))),
      ]
    case .token(let user, let text, let authenticator):
      let token: String
      switch text {
      case .given(let given): token = given
      case .file(let path):
        // Read each time: what stands there was renewed meanwhile.
        let bytes = try Self.read(path, "The token file", .credentialsUnavailable, "token_file_path", .environment)
        token = String(decoding: bytes, as: UTF8.self).trimmed
      }
      return Self.members(user, token: token, authenticator)
    case .clientCredentials(let user, _): return [.init("LOGIN_NAME", .string(user))]
    }
  }

  static func members(_ user: String, token: String, _ authenticator: Authenticator) -> [JSONValue.Member] {
    [
      .init("LOGIN_NAME", .string(user)), .init("AUTHENTICATOR", .string(authenticator.rawValue.uppercased())),
      .init("TOKEN", .string(token)),
    ]
  }

  /// What to look at when the server refuses.
  var remedy: String {
    switch self {
    case .password:
      "Check account, user and password, and that the user may log in with a password alone; a second factor is given "
        + "as passcode."
    case .secondFactor:
      "Check account, user, password and passcode: one is good for half a minute and for one login. A loader that runs "
        + "unattended wants a key pair or a programmatic access token."
    case .keyPair:
      "Check account and user, that the public key is set (ALTER USER … SET RSA_PUBLIC_KEY), and this machine's clock."
    case .token: "Check account, user and token: it may have expired, or belong to another user or network."
    case .clientCredentials:
      "Check account and user, that the security integration trusts whoever gives out the token, that its claims name "
        + "this user, and that the scope names a role of the user."
    }
  }
}
