internal import NebulaCore
internal import NebulaHTTP

/// Sends requests to one bucket by the JSON interface.
final class GCSSession: Sendable {
  private let bucket: String
  private let endPoint: String
  private let access: GCSAccess
  let context: ObjectStoreContext

  init(bucket: String, endPoint: String?, access: GCSAccess, context: ObjectStoreContext) {
    self.bucket = bucket
    var text = given(endPoint) ?? "https://storage.googleapis.com"
    while text.hasSuffix("/") { text.removeLast() }
    self.endPoint = text.contains("://") ? text : "https://\(text)"
    self.access = access
    self.context = context
  }

  /// One operation on one key, or on the bucket's list.
  struct Call: Sendable {
    var operation: String
    var method: String
    var key: String?
    var query: [(String, String)] = []
    var headers = HTTPHeaders()
    var body = HTTPBody.none
    var maxResponseBytes = 1 << 20
    /// Begins an upload.
    var isUpload = false
  }

  /// Sends it, again where that helps; the answer when its status is one of `accepted`. A bucket that is not there is an
  /// error always.
  func send(_ call: Call, accepting accepted: Set<Int>) async throws -> HTTPResponse {
    let url = try url(call)
    var hasRenewed = false
    return try await context.retrier.run { _ in
      let (token, proof) = try await token()
      var headers = call.headers
      headers["Authorization"] = "Bearer \(token)"
      let response = try await context.client.perform(
        HTTPRequest(
          method: call.method, url: url, headers: headers, body: call.body, timeout: context.timeout,
          maxResponseBytes: call.maxResponseBytes))
      let refusal = GCSRefusal(response, operation: call.operation, bucket: bucket, access: access)
      if accepted.contains(response.status), !refusal.lacksBucket { return .done(response) }
      if response.status == 401, case .cache(let cache) = access.kind, let proof, !hasRenewed {
        hasRenewed = true
        await cache.refused(proof)
        return .adjusted
      }
      return .failed(refusal.error, refusal.failure, retryAfter: response.retryAfter)
    }
  }

  /// One request of an upload that was begun: its address is the proof. No attempt is repeated here.
  func perform(_ method: String, session: String, headers: HTTPHeaders, body: HTTPBody) async throws -> HTTPResponse {
    try await context.client.perform(
      HTTPRequest(
        method: method, url: session, headers: headers, body: body, timeout: context.timeout,
        maxResponseBytes: 1 << 20, resendsOnStaleConnection: false))
  }

  /// What an answer in an upload means when it is no progress.
  func refusal(_ response: HTTPResponse, _ operation: String) -> GCSRefusal {
    GCSRefusal(response, operation: operation, bucket: bucket, access: access)
  }

  private func token() async throws -> (String, AccessToken?) {
    switch access.kind {
    case .token(let token): return (token, nil)
    case .cache(let cache):
      let token = try await cache.token()
      return (token.value, token)
    }
  }

  private func url(_ call: Call) throws(NebulaError) -> String {
    var url = "\(endPoint)\(call.isUpload ? "/upload" : "")/storage/v1/b/\(PercentEncoding.encode(bucket))/o"
    if let key = call.key {
      let name = PercentEncoding.encode(try ObjectKey.checked(key))
      if !call.isUpload { url += "/\(name)" }
    }
    let query = call.query.map { "\($0.0)=\(PercentEncoding.encode($0.1))" }.joined(separator: "&")
    return query.isEmpty ? url : "\(url)?\(query)"
  }
}

/// What Google Cloud Storage says by its JSON interface when it does not do what it is asked.
struct GCSRefusal {
  private let refusal: Refusal
  private let access: GCSAccess

  init(_ response: HTTPResponse, operation: String, bucket: String, access: GCSAccess) {
    self.access = access
    let json = response.status >= 400 ? try? JSONValue(parsing: response.body) : nil
    let error = json?["error"]
    // whoever asks for content is answered in plain words
    let text = response.status >= 400 && json == nil ? String(response.text.prefix(200)) : ""
    refusal = Refusal(
      store: "the bucket \(bucket)", operation: operation, status: response.status,
      code: error?["errors"]?[0]?["reason"]?.string ?? error?["status"]?.string ?? "",
      words: error?["message"]?.string ?? text.split(whereSeparator: \.isNewline).first.map(String.init) ?? "")
  }

  var lacksBucket: Bool { refusal.status == 404 && refusal.words.contains("bucket does not exist") }

  /// What Google's own clients try again.
  var failure: RetryPolicy.Failure {
    switch refusal.status {
    case 408, 500, 502, 504: .server
    case 429, 503: .throttled
    case 403 where ["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"].contains(refusal.code): .throttled
    default: .permanent
    }
  }

  var error: NebulaError {
    if failure != .permanent { return refusal.unavailable }
    if lacksBucket { return refusal.noContainer }
    switch refusal.status {
    case 401:
      guard case .cache = access.kind else { return refusal.expired }
      return refusal.error(
        .credentialsRefused, "The token of the \(access.name) is refused, also a new one: check whose it is.")
    case 403:
      return refusal.error(
        .objectsDenied,
        "Give the \(access.name) the role Storage Object User on the bucket: it creates, reads, lists and "
          + "deletes.")
    case 400 where refusal.words.contains("MD5"):
      return refusal.error(.objectsCorrupt, "It is sent again.", disposition: .retry(after: nil))
    default: return refusal.refused
    }
  }
}
