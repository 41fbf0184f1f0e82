internal import NebulaCore
internal import NebulaHTTP

/// One session: logs in when it is needed, renews its tokens, runs one statement at a time.
actor Session {
  private let wire: WireClient
  private let login: Login
  private let log: Logger
  private var machine = SessionMachine()
  private var sequence: Int64 = 0
  private var renewal: SharedRequest<SessionTokens?>?
  private var abandoned: Task<Void, Never>?

  init(wire: WireClient, login: Login, log: Logger) {
    self.wire = wire
    self.login = login
    self.log = log
  }

  /// True when it must not be used again.
  var isLost: Bool { machine.isLost }
  /// Whoever used it next would share a transaction, or a statement that comes late, with whoever used it before.
  var mayNotBeUsedAgain: Bool { machine.isInTransaction || hasUnanswered }
  /// A statement had no answer: it may still be carried out, also in a transaction that this session would begin later.
  private var hasUnanswered = false
  /// Of the open transaction's statements.
  private var tag: QueryTag?
  /// How long the master token lives, in seconds; nil while not logged in.
  var masterValidity: Int64? { machine.tokens?.masterValidity }

  // MARK: statements

  /// What became of a statement that reached the server.
  enum Outcome: Sendable {
    case done(Envelope)
    case refused(ServerError)
  }

  /// Runs a statement. Its id stays the same in each attempt, so the server carries it out once. One that stays without
  /// an answer is given up at the server, and the session must not be used for another transaction.
  func run(_ sql: String, accept: String = "application/snowflake") async throws -> Outcome {
    try await exchange(sql, accept: accept, isAsync: false) { envelope, _ in
      try await self.finished(envelope, accept: accept)
    }
  }

  /// The moments of a statement that runs by itself.
  enum AsyncMoment: Sendable { case submitted, polling, read }

  /// Runs a statement that may take long: it is submitted, asked for until it has ended, and its result is read. When
  /// nobody waits for it any more, it is aborted by its own id.
  func runAsync(_ sql: String, passing: @Sendable (AsyncMoment) -> Void) async throws -> Outcome {
    try await exchange(sql, accept: "application/snowflake", isAsync: true) { envelope, running in
      guard let code = envelope.code, Polling.isRunning(code), let id = envelope.data["queryId"]?.string else {
        // Refused, or carried out at once.
        return try await self.finished(envelope, accept: "application/snowflake")
      }
      var query = AsyncQuery(id: id, resultPath: envelope.data["getResultUrl"]?.string)
      running = query
      passing(.submitted)
      while case .wait(let pause) = query.step(after: try await self.state(of: query)) {
        try await self.wire.clock.sleep(pause)
        passing(.polling)
      }
      let result = try await self.result(of: query)
      try query.check(result)
      passing(.read)
      return result
    }
  }

  private func state(of query: AsyncQuery) async throws -> QueryState? {
    var request = WireClient.Request(method: "GET", path: query.statePath)
    request.accept = "application/json"
    return AsyncQuery.state(in: try await call(request))
  }

  private func result(of query: AsyncQuery) async throws -> Envelope {
    let first = try await call(WireClient.Request(method: "GET", path: query.resultPath))
    return try await finished(first, accept: "application/snowflake", resultPath: query.resultPath)
  }

  /// Sends a statement; `answered` makes the answer final, and notes the query that runs meanwhile.
  private func exchange(
    _ sql: String, accept: String, isAsync: Bool,
    _ answered: (Envelope, inout AsyncQuery?) async throws -> Envelope
  ) async throws -> Outcome {
    try Task.checkCancellation()
    let requestID = try newUUID()
    sequence += 1
    var request = WireClient.Request(path: "/queries/v1/query-request", query: [("requestId", requestID)])
    request.body = [
      "sqlText": .string(sql), "asyncExec": .bool(isAsync), "sequenceId": .integer(sequence),
      "querySubmissionTime": .integer(wire.clock.wall()), "isInternal": false, "describeOnly": false,
      "parameters": .object(tag.map { [.init("QUERY_TAG", .string($0.text))] } ?? []),
      "queryContextDTO": ["entries": []],
    ]
    request.accept = accept
    request.tellsRetries = true
    var running: AsyncQuery?
    do {
      let envelope = try await answered(try await call(request), &running)
      guard envelope.isSuccess else { return .refused(envelope.serverError) }
      return .done(envelope)
    } catch {
      hasUnanswered = true
      abandon(running.map { .query($0) } ?? .request(requestID, sql))
      throw error
    }
  }

  /// The result of a statement; `trying` says in words what it does, `grant` what would permit it.
  func query(_ sql: String, trying: String, grant: String? = nil) async throws -> QueryResult {
    try await result(of: try await succeed(sql, trying: trying, grant: grant))
  }

  /// The rows of an answer.
  func result(of envelope: Envelope) async throws -> QueryResult {
    try await ResultReader(http: wire.http, clock: wire.clock).read(envelope)
  }

  /// Runs a statement of which only success counts.
  @discardableResult
  func succeed(_ sql: String, trying: String, grant: String? = nil) async throws -> Envelope {
    switch try await run(sql) {
    case .done(let envelope): return envelope
    case .refused(let server): throw server.error(trying: trying, grant: grant)
    }
  }

  /// The same for PUT, whose answer is wanted in another form.
  func put(_ sql: String, trying: String, grant: String? = nil) async throws -> JSONValue {
    switch try await run(sql, accept: "application/json") {
    case .done(let envelope): return envelope.data
    case .refused(let server): throw server.error(trying: trying, grant: grant)
    }
  }

  // MARK: transactions

  /// Starts a transaction. From now on the session never logs in again by itself, and each statement has the tag.
  func begin(_ name: String, tag: QueryTag? = nil) async throws {
    try await succeed("BEGIN NAME \(name)", trying: "BEGIN")
    self.tag = tag
    machine.began()
  }

  /// Commits. An error says nothing about what happened.
  func commit() async throws {
    try await succeed("COMMIT", trying: "COMMIT")
    ended()
  }

  /// Rolls back as well as it can; a session that can't say that it did is closed, which rolls back too.
  func rollBack() async {
    guard machine.isInTransaction, !machine.isLost else { return }
    await abandoned?.value
    do {
      try await succeed("ROLLBACK", trying: "ROLLBACK")
      ended()
    } catch {
      log.warning("ROLLBACK had no answer; the session is closed: \(error)")
      await close()
    }
  }

  private func ended() {
    tag = nil
    machine.ended()
  }

  /// Aborts another session's statement; true when the server says that it did.
  func cancel(queryID: String) async throws -> Bool {
    var request = WireClient.Request(
      path: AsyncQuery(id: queryID, resultPath: nil).abortPath, query: [("requestId", try newUUID())])
    request.body = .object([])
    request.accept = "application/json"
    return try await call(request).isSuccess
  }

  // MARK: life

  /// Ends the session at the server, without waiting long; its open transaction ends with it.
  func close() async {
    guard let tokens = machine.tokens else { return machine.lose() }
    machine.lose()
    let wire = wire
    let abandoned = abandoned
    // In a task of its own: a cancelled one could not send it. A statement is given up before its session ends.
    await Task {
      await abandoned?.value
      var request = WireClient.Request(path: "/session", query: [("delete", "true")])
      request.timeout = .seconds(2)
      var once = wire
      once.policy = .never
      let last = request
      _ = try? await once.send(authorization: tokens.session) { last }
    }.value
  }

  /// Keeps an idle session alive.
  func beat() async throws {
    guard machine.tokens != nil, !machine.isLost else { return }
    var request = WireClient.Request(path: "/session/heartbeat", query: [("requestId", try newUUID())])
    request.accept = "application/json"
    request.timeout = .seconds(60)
    _ = try await call(request)
  }

  // MARK: calls

  /// Sends a request with the session's token, and does what the answer asks for until it can be handed on.
  private func call(_ request: WireClient.Request) async throws -> Envelope {
    for _ in 0..<6 {
      let tokens = try await currentTokens()
      let envelope = try await wire.send(authorization: tokens.session) { request }
      let code = envelope.isSuccess ? nil : envelope.code
      switch machine.step(after: code, sentWith: tokens.session) {
      case .deliver: return envelope
      case .resend, .login: continue
      case .renew: try await renew(tokens)
      case .lost: throw Self.lost(envelope.serverError)
      }
    }
    throw NebulaError(
      .sessionLost, "The session is refused again and again.", remedy: "Check whether a policy limits sessions.",
      disposition: .reconnect, exit: .environment)
  }

  private static func lost(_ server: ServerError?) -> NebulaError {
    NebulaError(
      .sessionLost, "The session ended inside a transaction\(server.map { ": \($0.message)" } ?? "").",
      remedy: "What became of the transaction is found out under the fence's lock.", native: server?.native,
      disposition: .reconnect, exit: .environment)
  }

  private func currentTokens() async throws -> SessionTokens {
    if machine.isLost { throw Self.lost(nil) }
    if let tokens = machine.tokens { return tokens }
    guard !machine.isInTransaction else {
      machine.lose()
      throw Self.lost(nil)
    }
    return try await single { session in try await session.logIn() }
  }

  private func logIn() async throws -> SessionTokens? {
    let envelope = try await login.send(wire)
    let tokens = try login.tokens(envelope)
    if login.warehouse != nil, envelope.data["sessionInfo"]?["warehouseName"]?.isNull == true {
      log.warning("Snowflake did not take the warehouse of the configuration; COPY will say why.")
    }
    machine.loggedIn(tokens)
    wire.meter?.loggedIn()
    if case .secondFactor(_, _, let factor) = login.credentials { try await factor.checkFurtherLogins() }
    return tokens
  }

  private func renew(_ old: SessionTokens) async throws {
    guard machine.tokens == old else { return }
    _ = try await single { session in try await session.renewTokens(old) }
  }

  private func renewTokens(_ old: SessionTokens) async throws -> SessionTokens? {
    var request = WireClient.Request(path: "/session/token-request", query: [("requestId", try newUUID())])
    request.body = ["oldSessionToken": .string(old.session), "requestType": "RENEW"]
    request.timeout = .seconds(60)
    let sent = request
    let envelope = try await wire.send(authorization: old.master) { sent }
    guard envelope.isSuccess, let token = envelope.data["sessionToken"]?.string else {
      wire.meter?.renewalFailed(envelope.serverError.message)
      if machine.stepAfterRefusedRenewal() == .lost { throw Self.lost(envelope.serverError) }
      return nil
    }
    let tokens = SessionTokens(
      session: token, master: envelope.data["masterToken"]?.string ?? old.master,
      masterValidity: envelope.data["validityInSecondsMT"]?.integer ?? old.masterValidity, sessionID: old.sessionID)
    machine.renewed(tokens)
    wire.meter?.renewed()
    return tokens
  }

  /// Lets one login or renewal run at a time; whoever comes meanwhile waits for its end.
  private func single(_ body: @escaping @Sendable (isolated Session) async throws -> SessionTokens?) async throws
    -> SessionTokens
  {
    if let tokens = try await underway(body).answer() ?? machine.tokens { return tokens }
    return try await currentTokens()
  }

  private func underway(_ body: @escaping @Sendable (isolated Session) async throws -> SessionTokens?)
    -> SharedRequest<SessionTokens?>
  {
    if let renewal, renewal.isUnderway { return renewal }
    let request = SharedRequest { try await body(self) }
    renewal = request
    return request
  }

  // MARK: long answers

  /// A statement that takes long is answered by an address to ask again.
  private func finished(_ first: Envelope, accept: String, resultPath: String? = nil) async throws -> Envelope {
    var envelope = first
    var polling = Polling()
    polling.path = resultPath
    while let code = envelope.code, Polling.isRunning(code) {
      guard let path = envelope.data["getResultUrl"]?.string ?? polling.path else {
        throw NebulaError(.badAnswer, "A long answer has no address to ask again.", remedy: "Report the defect.")
      }
      polling.path = path
      try await wire.clock.sleep(polling.nextPause())
      var request = WireClient.Request(method: "GET", path: path)
      request.accept = accept
      envelope = try await call(request)
    }
    return envelope
  }

  /// A statement that nobody waits for any more, by what is known of it.
  private enum Abandoned {
    case request(String, String)
    case query(AsyncQuery)
  }

  /// Tells the server that nobody waits for a statement any more.
  private func abandon(_ statement: Abandoned) {
    guard let tokens = machine.tokens else { return }
    let wire = wire
    abandoned = Task {
      guard let id = try? newUUID() else { return }
      var request: WireClient.Request
      switch statement {
      case .request(let requestID, let sql):
        request = WireClient.Request(path: "/queries/v1/abort-request", query: [("requestId", id)])
        request.body = ["sqlText": .string(sql), "requestId": .string(requestID)]
      case .query(let query):
        request = WireClient.Request(path: query.abortPath, query: [("requestId", id)])
        request.body = .object([])
      }
      request.accept = "application/json"
      // Short: a server that does not answer either must not hold up a shutdown, and ends the statement by itself later.
      request.timeout = .seconds(2)
      var once = wire
      once.policy = .never
      let last = request
      _ = try? await once.send(authorization: tokens.session) { last }
    }
  }
}

/// When to ask again for a long answer. The server itself waits before it says "still running".
struct Polling: Sendable, Hashable {
  var path: String?
  private var turn = 0
  private static let pauses: [Int64] = [1, 1, 2, 3, 4, 8, 10]

  init() {}

  static func isRunning(_ code: String) -> Bool { code == "333333" || code == "333334" }

  mutating func nextPause() -> Duration {
    let pause = Self.pauses[min(turn, Self.pauses.count - 1)]
    turn += 1
    return .milliseconds(pause * 500)
  }
}
