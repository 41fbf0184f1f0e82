internal import NebulaCore
internal import NebulaHTTP

/// Sends one request of Snowflake's protocol, again and again while that may help, and opens the envelope.
struct WireClient: Sendable {
  /// A request, as far as it is the same for each attempt.
  struct Request: Sendable {
    var method = "POST"
    var path: String
    var query: [(String, String)] = []
    var body: JSONValue?
    var accept = "application/snowflake"
    /// Statements tell the server that they are repeated, so that it gives the first answer again.
    var tellsRetries = false
    /// Nil: the client's own.
    var timeout: Duration?
  }

  let http: HTTPClient
  let endpoint: Endpoint
  let clock: Timekeeper
  let random: @Sendable (Range<UInt64>) -> UInt64
  var policy = Self.policy
  var timeout = Self.timeout
  /// Where retries are told; nil: nowhere.
  var meter: Meter?

  /// The server answers "still running" after some 45 seconds; who hears nothing for much longer has lost the connection.
  static let timeout = Duration.seconds(120)
  /// The drivers' own attempts. They last longer than two requests that hear nothing: after those the same request, with
  /// the same id, is sent again.
  static let policy = RetryPolicy(maxAttempts: 8, maxElapsed: .seconds(300), base: .seconds(1), cap: .seconds(16))

  /// Sends the request that `make` gives for each attempt (a login needs a new token each time).
  func send(
    authorization: String?, _ make: @Sendable () throws -> Request
  ) async throws -> Envelope {
    let start = clock.monotonic()
    let startedAt = clock.wall()
    var attempt = 1
    var reason = 0
    while true {
      let outcome = try await self.attempt(make(), attempt, reason, startedAt, authorization)
      let failure: RetryPolicy.Failure
      switch outcome {
      case .answered(let envelope):
        meter?.answered()
        return envelope
      case .failed(let kind, _): failure = kind
      }
      guard case .failed(_, let error) = outcome else { continue }
      reason = error.status
      let share = Double(random(0..<1_000_000)) / 1_000_000
      let decision = policy.decide(
        attempt: attempt, elapsed: clock.monotonic() - start, failure: failure, retryAfter: error.retryAfter,
        random: share)
      guard case .retry(let wait) = decision else { throw error.error }
      meter?.retried(error.error)
      try await clock.sleep(wait)
      attempt += 1
    }
  }

  private struct Failure {
    let error: NebulaError
    var status = 0
    var retryAfter: Duration?
  }
  private enum Outcome {
    case answered(Envelope)
    case failed(RetryPolicy.Failure, Failure)
  }

  private func attempt(
    _ request: Request, _ attempt: Int, _ reason: Int, _ startedAt: Int64, _ authorization: String?
  ) async throws -> Outcome {
    do {
      let response = try await http.perform(build(request, attempt, reason, startedAt, authorization))
      return try read(response, request)
    } catch let error as NebulaError {
      return .failed(RetryPolicy.Failure(error), Failure(error: error))
    }
  }

  private func read(_ response: HTTPResponse, _ request: Request) throws -> Outcome {
    if response.status == 200 {
      do { return .answered(try Envelope(response)) } catch {
        return .failed(.ambiguous, Failure(error: error, status: 200))
      }
    }
    let kind = RetryPolicy.Failure(status: response.status) ?? .permanent
    // A refusal of the session may come with 401 and an envelope; "slow down" (429) with one is still no answer.
    if kind == .permanent, (400..<500).contains(response.status), let envelope = try? Envelope(response),
      envelope.code != nil
    {
      return .answered(envelope)
    }
    return .failed(
      kind,
      Failure(error: unavailable(response, kind), status: response.status, retryAfter: response.retryAfter))
  }

  private func unavailable(_ response: HTTPResponse, _ kind: RetryPolicy.Failure) -> NebulaError {
    let isWrongPlace = kind == .permanent
    return NebulaError(
      .unavailable, "\(endpoint.base) answered with HTTP \(response.status).",
      remedy: isWrongPlace
        ? "Check account and host: this is no account of Snowflake, or a proxy or network policy is in between."
        : "It was tried again without success; see status.snowflake.com.",
      native: "HTTP \(response.status)", disposition: isWrongPlace ? .stop : .retry(after: response.retryAfter),
      exit: .environment)
  }

  private func build(
    _ request: Request, _ attempt: Int, _ reason: Int, _ startedAt: Int64, _ authorization: String?
  ) throws -> HTTPRequest {
    var query = request.query + [("request_guid", try newUUID())]
    if request.tellsRetries, attempt > 1 {
      query += [
        ("clientStartTime", String(startedAt)), ("retryCount", String(attempt - 1)), ("retryReason", String(reason)),
      ]
    }
    let separator = request.path.contains("?") ? "&" : "?"
    let items = query.map { "\($0.0)=\(percentEncoded($0.1))" }.joined(separator: "&")
    var headers: HTTPHeaders = [
      "Accept": request.accept, "Content-Type": "application/json", "CLIENT_APP_ID": ClientInformation.name,
      "CLIENT_APP_VERSION": ClientInformation.version,
    ]
    if let authorization { headers["Authorization"] = "Snowflake Token=\"\(authorization)\"" }
    let timeout = request.timeout ?? timeout
    return HTTPRequest(
      method: request.method, url: endpoint.base + request.path + separator + items, headers: headers,
      body: request.body.map { .bytes($0.bytes) } ?? .none, timeout: timeout, maxResponseBytes: 256 << 20,
      stallTimeout: timeout, acceptsGzip: true)
  }
}

/// What the program calls itself.
enum ClientInformation {
  static let name = "NebulaSwift"
  static let version = "1.0.0"
  static let userAgent = "NebulaSwift/1.0.0 (Linux)"
}
