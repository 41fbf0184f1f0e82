internal import NebulaCore
internal import NebulaHTTP
internal import Synchronization

/// Signs and sends requests to one bucket; learns the bucket's region and the difference of the clocks from answers.
final class S3Session: Sendable {
  private struct State {
    /// Those that were given; nil where they are asked for.
    var credentials: S3Credentials?
    var location: S3Location
    /// Seconds that the store's clock is ahead of ours.
    var skew = 0
  }
  private let state: Mutex<State>
  private let access: S3Access
  let context: ObjectStoreContext

  init(_ location: S3Location, _ access: S3Access, _ context: ObjectStoreContext) {
    let given: S3Credentials? = if case .keys(let keys, _) = access.kind { keys } else { nil }
    state = Mutex(State(credentials: given, location: location))
    self.access = access
    self.context = context
  }

  func replaceCredentials(_ credentials: S3Credentials) { state.withLock { $0.credentials = credentials } }

  var bucket: String { state.withLock { $0.location.bucket } }

  /// S3 refuses smaller parts, save the last; a service with an address of its own decides by itself.
  var smallestPart: Int { state.withLock { $0.location.endPoint == nil ? 5 << 20 : 1 } }

  /// One operation on one key, or on the bucket.
  struct Call: Sendable {
    var operation: String
    var method: String
    var key: String?
    var query: [(String, String)] = []
    var headers = HTTPHeaders()
    var body = HTTPBody.none
    var maxResponseBytes = 1 << 20
  }

  /// Sends it, again where that helps; the answer when its status is one of `accepted`, or its code one of `codes`. An
  /// answer of 200 that holds an error is an error; a bucket that is not there always is.
  func send(
    _ call: Call, accepting accepted: Set<Int>, codes: Set<String> = []
  ) async throws -> HTTPResponse {
    var renewals = 0
    return try await context.retrier.run { _ in
      let credentials = try await credentials()
      let response = try await context.client.perform(try request(call, credentials))
      let answer = S3Answer(response, of: call)
      let isAwaited = accepted.contains(response.status) && (answer.code.isEmpty || response.status >= 400)
      let isNamed = response.status >= 400 && codes.contains(answer.code)
      if (isAwaited && answer.code != "NoSuchBucket") || isNamed { return .done(response) }
      if learn(from: answer) { return .adjusted }
      var (error, failure) = answer.failure(call.operation, bucket: bucket)
      // it has no body to say so
      if call.method == "HEAD", response.status == 400, credentials.sessionToken != nil {
        (error, failure) = (answer.refusal(call.operation, bucket: bucket).expired, .permanent)
      }
      if error.code == .credentialsExpired, renewals < CredentialRenewals.most, try await renew(credentials) {
        renewals += 1
        return .adjusted
      }
      return .failed(error, failure, retryAfter: response.retryAfter)
    }
  }

  private func credentials() async throws -> S3Credentials {
    if let given = state.withLock({ $0.credentials }) { return given }
    switch access.kind {
    case .keys(let keys, _): return keys
    case .cache(let cache): return try await cache.token().credentials
    }
  }

  /// True when there are, or may be, others than those that were refused.
  private func renew(_ refused: S3Credentials) async throws -> Bool {
    if let given = state.withLock({ $0.credentials }), given != refused { return true }
    switch access.kind {
    case .cache(let cache):
      await cache.refused(AWSKeys(refused, lifetime: .zero))
      return true
    case .keys(_, let renewal):
      guard let fresh = try await renewal?(refused), fresh != refused else { return false }
      replaceCredentials(fresh)
      return true
    }
  }

  private func request(_ call: Call, _ credentials: S3Credentials) throws -> HTTPRequest {
    let (location, skew) = state.withLock { ($0.location, $0.skew) }
    let address = try location.address(call.key)
    let signer = SigV4(
      credentials: credentials, region: location.region.isEmpty ? "us-east-1" : location.region,
      seconds: Int(context.clock.wall() / 1000) + skew)
    var headers = call.headers
    let hash = address.scheme == "https" ? SigV4.unsignedPayload : Crypto.hex(try call.body.sha256())
    signer.sign(
      method: call.method, host: address.host, path: address.path, query: call.query, headers: &headers,
      payloadHash: hash)
    let query = SigV4.canonicalQuery(call.query)
    return HTTPRequest(
      method: call.method, url: "\(address.scheme)://\(address.host)\(address.path)\(query.isEmpty ? "" : "?\(query)")",
      headers: headers, body: call.body, timeout: context.timeout, maxResponseBytes: call.maxResponseBytes)
  }

  /// True when the same call should be made again with what the answer told.
  private func learn(from answer: S3Answer) -> Bool {
    state.withLock { state in
      if [301, 307, 400, 403].contains(answer.status), let region = answer.region, !region.isEmpty,
        region != state.location.region
      {
        state.location.region = region
        state.location.usesRegionalHost = true
        return true
      }
      if answer.mayBeSkewed, let server = answer.serverTime {
        let skew = server - Int(context.clock.wall() / 1000)
        guard abs(skew - state.skew) > (answer.code.isEmpty ? 14 * 60 : 60) else { return false }
        state.skew = skew
        return true
      }
      return false
    }
  }
}
