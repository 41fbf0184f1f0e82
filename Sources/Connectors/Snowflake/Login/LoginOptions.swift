internal import NebulaCore
internal import NebulaHTTP

extension SnowflakeOptions {
  /// Who logs in, and what proves it.
  static let login: [Field<SnowflakeOptions>] = [
    Field(
      "connection", \.connection, environment: ["SNOWFLAKE_DEFAULT_CONNECTION_NAME"], example: "loader",
      "A connection of Snowflake's connections.toml (or of config.toml): account, user, login, database, schema, "
        + "warehouse and role come from there, unless they are written here. The variable counts only for pipelines that "
        + "write no account, host or account_url."),
    Field(
      "connections_file", \.connectionsFile, example: "/run/secrets/connections.toml",
      "The file of the connections. When not set: in $SNOWFLAKE_HOME (~/.snowflake), else in "
        + "$XDG_CONFIG_HOME/snowflake (~/.config/snowflake)."),
    Field("user", \.user, required: true, environment: ["SNOWFLAKE_USER"], example: "LOADER", "The user's login name."),
    Field("password", \.password, environment: ["SNOWFLAKE_PASSWORD"], secret: true, "The user's password."),
    Field(
      "passcode", \.passcode, environment: ["SNOWFLAKE_PASSCODE"], secret: true,
      "The second factor beside a password: good for one login. For further sessions the account must allow MFA token "
        + "caching, else connection_pool_size has to be 1."),
    Field(
      "private_key", \.privateKey, environment: ["SNOWFLAKE_PRIVATE_KEY"], secret: true,
      "The user's RSA key itself: PKCS#8 in PEM, encrypted or not."),
    Field(
      "private_key_path", \.privateKeyPath, environment: ["SNOWFLAKE_PRIVATE_KEY_PATH"], example: "key.p8",
      "The file that holds the key."),
    Field(
      "private_key_passphrase", \.privateKeyPassphrase, environment: ["SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"], secret: true,
      "Opens an encrypted key."),
    Field(
      "authenticator", \.authenticator, environment: ["SNOWFLAKE_AUTHENTICATOR"], example: "snowflake_jwt",
      "How to log in; when not set, it follows from what is given: a key, an OAuth client, a token or a password. "
        + "username_password_mfa without passcode asks on the user's device. externalbrowser and workload_identity are "
        + "not supported."),
    Field(
      "token", \.token, environment: ["SNOWFLAKE_TOKEN"], secret: true,
      "An OAuth token, or a programmatic access token."),
    Field(
      "token_file_path", \.tokenFilePath, environment: ["SNOWFLAKE_TOKEN_FILE_PATH"], example: "/run/secrets/token",
      "The file that holds the token; read for each login, so another program may renew it."),
    Field(
      "oauth_client_id", \.oauthClientID, environment: ["SNOWFLAKE_OAUTH_CLIENT_ID"], example: "loader",
      "The client of authenticator oauth_client_credentials."),
    Field(
      "oauth_client_secret", \.oauthClientSecret, environment: ["SNOWFLAKE_OAUTH_CLIENT_SECRET"], secret: true,
      "The client's secret."),
    Field(
      "oauth_token_request_url", \.oauthTokenRequestURL, environment: ["SNOWFLAKE_OAUTH_TOKEN_REQUEST_URL"],
      example: "https://login.example.com/oauth2/token",
      "Where the client gets its tokens; when not set, the account's own /oauth/token-request."),
    Field(
      "oauth_scope", \.oauthScope, environment: ["SNOWFLAKE_OAUTH_SCOPE"], example: "session:role:LOADER",
      "The scope that is asked for; session:role:<role> when not set."),
  ]

  /// The way to log in, given or implied.
  func loginMethod() throws(NebulaError) -> Authenticator {
    if let authenticator { return authenticator == .password && passcode != nil ? .passwordWithMFA : authenticator }
    let given: [(Authenticator, Bool)] = [
      (.keyPair, privateKey != nil || privateKeyPath != nil),
      (.clientCredentials, oauthClientID != nil || oauthClientSecret != nil),
      (.accessToken, token != nil || tokenFilePath != nil), (.passwordWithMFA, password != nil && passcode != nil),
      (.password, password != nil),
    ]
    guard let first = given.first(where: \.1) else {
      throw missing(
        "private_key_path", "Nothing to log in with.",
        "Set private_key_path (best for programs), token, oauth_client_id or password; SNOWFLAKE_PRIVATE_KEY_PATH, "
          + "SNOWFLAKE_TOKEN and SNOWFLAKE_PASSWORD do it from the environment, and connection from connections.toml.")
    }
    return first.0
  }

  private func missing(_ name: String, _ message: String, _ remedy: String) -> NebulaError {
    NebulaError(.missingProperty, message, remedy: remedy, at: .init(path: name), exit: .configuration)
  }

  func checkLogin() throws(NebulaError) {
    switch try loginMethod() {
    case .keyPair:
      guard privateKey != nil || privateKeyPath != nil else {
        throw missing("private_key_path", "Key pair login has no key.", "Set private_key_path or private_key.")
      }
      guard privateKey == nil || privateKeyPath == nil else {
        throw contradiction("private_key", "private_key and private_key_path are both set", "Set one of them.")
      }
    case .oauth, .accessToken:
      guard token != nil || tokenFilePath != nil else {
        throw missing(
          "token", "The authenticator needs a token.", "Set token, token_file_path or SNOWFLAKE_TOKEN.")
      }
      guard token == nil || tokenFilePath == nil else {
        throw contradiction("token_file_path", "token and token_file_path are both set", "Set one of them.")
      }
    case .clientCredentials: try checkClient()
    default:
      guard password != nil else {
        throw missing("password", "Password login has no password.", "Set password or SNOWFLAKE_PASSWORD.")
      }
    }
  }

  private func checkClient() throws(NebulaError) {
    guard oauthClientID?.isEmpty == false else {
      throw missing(
        "oauth_client_id", "OAuth client credentials have no client.",
        "Set oauth_client_id or SNOWFLAKE_OAUTH_CLIENT_ID.")
    }
    guard oauthClientSecret?.isEmpty == false else {
      throw missing(
        "oauth_client_secret", "OAuth client credentials have no secret.",
        "Set oauth_client_secret or SNOWFLAKE_OAUTH_CLIENT_SECRET.")
    }
    guard let address = oauthTokenRequestURL else { return }
    let rest = address.firstRange(of: "://").map { address[$0.upperBound...] } ?? ""
    let host = String(rest.prefix { !"/?#".contains($0) })
    let isSafe = address.hasPrefix("https://") || (address.hasPrefix("http://") && isLoopback(host: host))
    guard isSafe, !host.isEmpty, !host.contains("@") else {
      throw contradiction(
        "oauth_token_request_url", "oauth_token_request_url is no address that a secret may be sent to",
        "Write https://host/path; http:// is accepted to loopback addresses only.")
    }
  }
}
