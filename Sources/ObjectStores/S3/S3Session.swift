internal import NebulaCore
internal import NebulaHTTP
internal import Synchronization

/// Signs and sends requests to one bucket; learns the bucket's region and the difference of the clocks from answers.
final class S3Session: Sendable {
  private struct State {
    var credentials: S3Credentials
    var location: S3Location
    /// Seconds that the store's clock is ahead of ours.
    var skew = 0
  }
  private let state: Mutex<State>
  private let renewal: CredentialRenewal<S3Credentials>?
  let context: ObjectStoreContext

  init(
    _ location: S3Location, _ credentials: S3Credentials, _ renewal: CredentialRenewal<S3Credentials>?,
    _ context: ObjectStoreContext
  ) {
    state = Mutex(State(credentials: credentials, location: location))
    self.renewal = renewal
    self.context = context
  }

  func replaceCredentials(_ credentials: S3Credentials) { state.withLock { $0.credentials = credentials } }

  var bucket: String { state.withLock { $0.location.bucket } }

  private var hasToken: Bool { state.withLock { $0.credentials.sessionToken != nil } }

  /// S3 refuses smaller parts, save the last; a service with an address of its own decides by itself.
  var smallestPart: Int { state.withLock { $0.location.endPoint == nil ? 5 << 20 : 1 } }

  /// One operation on one key.
  struct Call: Sendable {
    var operation: String
    var method: String
    var key: String
    var query: [(String, String)] = []
    var headers = HTTPHeaders()
    var body = HTTPBody.none
  }

  /// Sends it, again where that helps; the answer when its status is one of `accepted`. An answer of 200 that holds an
  /// error is an error.
  func send(_ call: Call, accepting accepted: Set<Int>) async throws -> HTTPResponse {
    var renewals = 0
    return try await context.retrier.run { _ in
      let credentials = state.withLock { $0.credentials }
      let response = try await context.client.perform(try request(call, credentials))
      let answer = S3Answer(response)
      if accepted.contains(response.status), answer.code.isEmpty || response.status >= 400 { return .done(response) }
      if learn(from: answer) { return .adjusted }
      var (error, failure) = answer.failure(call.operation, bucket: bucket)
      if call.method == "HEAD", response.status == 400, hasToken {  // it has no body to say so
        (error, failure) = (answer.refusal(call.operation, bucket: bucket).expired, .permanent)
      }
      if error.code == .credentialsExpired, renewals < CredentialRenewals.most, try await renew(credentials) {
        renewals += 1
        return .adjusted
      }
      return .failed(error, failure, retryAfter: response.retryAfter)
    }
  }

  /// True when there are others than those that were refused.
  private func renew(_ refused: S3Credentials) async throws -> Bool {
    if state.withLock({ $0.credentials != refused }) { return true }
    guard let fresh = try await renewal?(refused), fresh != refused else { return false }
    replaceCredentials(fresh)
    return true
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
      headers: headers, body: call.body, timeout: context.timeout, maxResponseBytes: 1 << 20)
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
      if answer.code == "RequestTimeTooSkewed", let server = answer.serverTime {
        let skew = server - Int(context.clock.wall() / 1000)
        guard abs(skew - state.skew) > 60 else { return false }
        state.skew = skew
        return true
      }
      return false
    }
  }
}
