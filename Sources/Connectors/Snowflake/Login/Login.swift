internal import NebulaCore
internal import NebulaHTTP

/// Logs a session in, and reads what the server says about it.
struct Login: Sendable {
  let credentials: Credentials
  let endpoint: Endpoint
  let database: String
  let schema: String
  let warehouse: String?
  let role: String?
  let parameters: JSONValue

  init(
    _ options: SnowflakeOptions, endpoint: Endpoint, pipeline: String, tokens: TokenContext, log: Logger
  ) throws(NebulaError) {
    credentials = try Credentials(options, endpoint: endpoint, tokens: tokens, log: log)
    self.endpoint = endpoint
    database = try Identifier(options.database, property: "database").quoted
    schema = try Identifier(options.schema, property: "schema").quoted
    warehouse = try options.warehouse.map { text throws(NebulaError) in
      try Identifier(text, property: "warehouse").quoted
    }
    role = try options.role.map { text throws(NebulaError) in try Identifier(text, property: "role").quoted }
    var parameters = Self.parameters(pipeline: pipeline, lockTimeout: options.lockTimeout)
    if case .secondFactor = credentials { parameters.append(.init("CLIENT_REQUEST_MFA_TOKEN", true)) }
    self.parameters = .object(parameters)
  }

  /// AUTOCOMMIT is off, so that a statement which arrives after its transaction was ended from outside is never
  /// committed by itself. Results are asked for as JSON under each name that a server may look at.
  static func parameters(pipeline: String, lockTimeout: Duration) -> [JSONValue.Member] {
    var members: [JSONValue.Member] = [
      .init("AUTOCOMMIT", false), .init("CLIENT_SESSION_KEEP_ALIVE", true), .init("TIMEZONE", "UTC"),
      .init("QUERY_TAG", .string("nebula-swift:\(pipeline)")), .init("TRANSACTION_ABORT_ON_ERROR", true),
      .init("LOCK_TIMEOUT", .integer(max(1, lockTimeout.wholeMilliseconds / 1000))),
    ]
    for client in ["GO", "PYTHON_CONNECTOR", "C_API", "ODBC", "JDBC"] {
      members.append(.init("\(client)_QUERY_RESULT_FORMAT", "JSON"))
    }
    return members
  }

  /// The request of one attempt; `extra` are the members that a second factor or a fetched token adds.
  func request(
    now: Int64, requestID: String, extra: [JSONValue.Member] = [], oauthType: String? = nil
  ) throws(NebulaError) -> WireClient.Request {
    var environment: [JSONValue.Member] = [
      .init("APPLICATION", .string(ClientInformation.name)), .init("OS", "Linux"), .init("OS_VERSION", ""),
      .init("OCSP_MODE", "DISABLE_OCSP_CHECKS"),
    ]
    if let oauthType { environment.append(.init("OAUTH_TYPE", .string(oauthType))) }
    var data: [JSONValue.Member] = [
      .init("CLIENT_APP_ID", .string(ClientInformation.name)),
      .init("CLIENT_APP_VERSION", .string(ClientInformation.version)), .init("SVN_REVISION", ""),
      .init("ACCOUNT_NAME", .string(endpoint.account)), .init("CLIENT_ENVIRONMENT", .object(environment)),
      .init("SESSION_PARAMETERS", parameters),
    ]
    data += try credentials.members(now: now) + extra
    var query = [("requestId", requestID), ("databaseName", database), ("schemaName", schema)]
    if let warehouse { query.append(("warehouse", warehouse)) }
    if let role { query.append(("roleName", role)) }
    var request = WireClient.Request(path: "/session/v1/login-request", query: query)
    request.body = .object([.init("data", .object(data))])
    // A person needs longer than a server.
    if case .secondFactor = credentials { request.timeout = .seconds(120) } else { request.timeout = .seconds(60) }
    return request
  }

  /// Logs in, by as many requests as the way needs.
  func send(_ wire: WireClient) async throws -> Envelope {
    switch credentials {
    case .clientCredentials(let user, let cache): return try await send(wire, user, cache)
    case .secondFactor(_, _, let factor):
      return try await factor.logIn { proof in try await self.send(wire, extra: proof.members) }
    default: return try await send(wire, extra: [])
    }
  }

  /// A token that Snowflake refuses although it should be good is replaced once.
  private func send(_ wire: WireClient, _ user: String, _ cache: TokenCache) async throws -> Envelope {
    var isRepeated = false
    while true {
      let token = try await cache.token()
      let extra: [JSONValue.Member] = [.init("AUTHENTICATOR", "OAUTH"), .init("TOKEN", .string(token.value))]
      let envelope = try await send(wire, extra: extra, oauthType: "oauth_client_credentials")
      let isRefused = !envelope.isSuccess && envelope.code.map(Self.refusedTokens.contains) ?? false
      guard isRefused, !isRepeated else { return envelope }
      await cache.refused(token)
      isRepeated = true
    }
  }

  /// The token is invalid, or has expired.
  static let refusedTokens: Set<String> = ["390303", "390318"]

  private func send(
    _ wire: WireClient, extra: [JSONValue.Member], oauthType: String? = nil
  ) async throws -> Envelope {
    let requestID = try newUUID()
    return try await wire.send(authorization: nil) {
      try self.request(now: wire.clock.wall() / 1000, requestID: requestID, extra: extra, oauthType: oauthType)
    }
  }

  /// The tokens, or the error for whoever has to correct the credentials.
  func tokens(_ envelope: Envelope) throws(NebulaError) -> SessionTokens {
    guard envelope.isSuccess else {
      let server = envelope.serverError
      throw NebulaError(
        .loginFailed, "Snowflake refused the login at \(endpoint.base): \(server.message)", remedy: credentials.remedy,
        native: server.native, exit: .environment)
    }
    guard let token = envelope.data["token"]?.string else {
      if let action = envelope.data["nextAction"]?.string {
        throw NebulaError(
          .loginFailed, "Snowflake wants something else before it lets \(endpoint.base) be used: \(action).",
          remedy: action == "PWD_CHANGE" ? "Change the user's password." : credentials.remedy, native: action,
          exit: .environment)
      }
      throw NebulaError(
        .badAnswer, "The login's answer has no token.", remedy: "Check account and host.", exit: .environment)
    }
    return SessionTokens(
      session: token, master: envelope.data["masterToken"]?.string ?? "",
      masterValidity: envelope.data["masterValidityInSeconds"]?.integer ?? 14_400,
      sessionID: envelope.data["sessionId"]?.stringOrNumber ?? "")
  }
}
