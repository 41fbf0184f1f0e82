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

  init(_ options: SnowflakeOptions, endpoint: Endpoint, pipeline: String) throws(NebulaError) {
    credentials = try Credentials(options, account: endpoint.account)
    self.endpoint = endpoint
    database = try Identifier(options.database, property: "database").quoted
    schema = try Identifier(options.schema, property: "schema").quoted
    warehouse = try options.warehouse.map { text throws(NebulaError) in
      try Identifier(text, property: "warehouse").quoted
    }
    role = try options.role.map { text throws(NebulaError) in try Identifier(text, property: "role").quoted }
    parameters = Self.parameters(pipeline: pipeline, lockTimeout: options.lockTimeout)
  }

  /// AUTOCOMMIT is off, so that a statement which arrives after its transaction was ended from outside is never
  /// committed by itself. Results are asked for as JSON under each name that a server may look at.
  static func parameters(pipeline: String, lockTimeout: Duration) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("AUTOCOMMIT", false), .init("CLIENT_SESSION_KEEP_ALIVE", true), .init("TIMEZONE", "UTC"),
      .init("QUERY_TAG", .string("nebula-swift:\(pipeline)")), .init("TRANSACTION_ABORT_ON_ERROR", true),
      .init("LOCK_TIMEOUT", .integer(max(1, lockTimeout.wholeMilliseconds / 1000))),
    ]
    for client in ["GO", "PYTHON_CONNECTOR", "C_API", "ODBC", "JDBC"] {
      members.append(.init("\(client)_QUERY_RESULT_FORMAT", "JSON"))
    }
    return .object(members)
  }

  /// The request of one attempt.
  func request(now: Int64, requestID: String) throws(NebulaError) -> WireClient.Request {
    var data: [JSONValue.Member] = [
      .init("CLIENT_APP_ID", .string(ClientInformation.name)),
      .init("CLIENT_APP_VERSION", .string(ClientInformation.version)), .init("SVN_REVISION", ""),
      .init("ACCOUNT_NAME", .string(endpoint.account)),
      .init(
        "CLIENT_ENVIRONMENT",
        [
          "APPLICATION": .string(ClientInformation.name), "OS": "Linux", "OS_VERSION": "",
          "OCSP_MODE": "DISABLE_OCSP_CHECKS",
        ]),
      .init("SESSION_PARAMETERS", parameters),
    ]
    data += try credentials.members(now: now)
    var query = [("requestId", requestID), ("databaseName", database), ("schemaName", schema)]
    if let warehouse { query.append(("warehouse", warehouse)) }
    if let role { query.append(("roleName", role)) }
    var request = WireClient.Request(path: "/session/v1/login-request", query: query)
    request.body = .object([.init("data", .object(data))])
    request.timeout = .seconds(60)
    return request
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
      throw NebulaError(
        .badAnswer, "The login's answer has no token.", remedy: "Check account and host.", exit: .environment)
    }
    return SessionTokens(
      session: token, master: envelope.data["masterToken"]?.string ?? "",
      masterValidity: envelope.data["masterValidityInSeconds"]?.integer ?? 14_400,
      sessionID: envelope.data["sessionId"]?.stringOrNumber ?? "")
  }
}
