internal import NebulaCore
internal import NebulaHTTP
internal import Synchronization

/// Sends requests to one container, with a shared access signature.
final class AzureBlobSession: Sendable {
  private let location: AzureBlobLocation
  private let sas: Mutex<AzureSAS>
  private let renewal: CredentialRenewal<AzureSAS>?
  let context: ObjectStoreContext

  init(
    _ location: AzureBlobLocation, _ sas: AzureSAS, _ renewal: CredentialRenewal<AzureSAS>?,
    _ context: ObjectStoreContext
  ) {
    self.location = location
    self.sas = Mutex(sas)
    self.renewal = renewal
    self.context = context
  }

  func replaceCredentials(_ new: AzureSAS) { sas.withLock { $0 = new } }

  /// One operation on one key.
  struct Call: Sendable {
    var operation: String
    var method: String
    var key: String
    var query: [(String, String)] = []
    var headers = HTTPHeaders()
    var body = HTTPBody.none
  }

  /// Sends it, again where that helps; the answer when its status is one of `accepted`.
  func send(_ call: Call, accepting accepted: Set<Int>) async throws -> HTTPResponse {
    let id = Crypto.hex(try Crypto.randomBytes(8))  // the same for each attempt: the server's log shows them together
    var renewals = 0
    return try await context.retrier.run { _ in
      var headers = call.headers
      headers["x-ms-version"] = "2023-11-03"
      headers["x-ms-client-request-id"] = id
      let token = sas.withLock { $0 }
      let response = try await context.client.perform(
        HTTPRequest(
          method: call.method, url: try location.url(call.key, query: call.query, sas: token.query), headers: headers,
          body: call.body, timeout: context.timeout, maxResponseBytes: 1 << 20))
      if accepted.contains(response.status), !Self.isWorseThanItLooks(response) { return .done(response) }
      let (error, failure) = Self.failure(call.operation, response, container: location.container)
      if error.code == .credentialsExpired, renewals < CredentialRenewals.most, try await renew(token) {
        renewals += 1
        return .adjusted
      }
      return .failed(error, failure, retryAfter: response.retryAfter)
    }
  }

  /// True when there is another than the one that was refused.
  private func renew(_ refused: AzureSAS) async throws -> Bool {
    if sas.withLock({ $0 != refused }) { return true }
    guard let fresh = try await renewal?(refused), fresh != refused else { return false }
    replaceCredentials(fresh)
    return true
  }

  /// 404 may mean the container, 409 something that passes, and 400 anything but blocks that are gone.
  private static func isWorseThanItLooks(_ response: HTTPResponse) -> Bool {
    let code = response.headers["x-ms-error-code"]
    if response.status == 400 { return code != "InvalidBlockList" }
    return response.status >= 400 && (code == "ContainerNotFound" || code == "ContainerBeingDeleted")
  }

  private static func failure(
    _ operation: String, _ response: HTTPResponse, container: String
  ) -> (NebulaError, RetryPolicy.Failure) {
    let text = response.text
    let code = response.headers["x-ms-error-code"] ?? XMLText.first("Code", in: text) ?? ""
    // the detail may quote the signature
    let words = XMLText.first("Message", in: text)?.split(separator: "\n").first.map(String.init) ?? ""
    let refusal = Refusal(
      store: "the container \(container)", operation: operation, status: response.status, code: code, words: words)
    switch code {
    case "AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation":
      return (refusal.expired, .permanent)
    case "ServerBusy": return (refusal.unavailable, .throttled)
    case "OperationTimedOut", "InternalError", "ContainerBeingDeleted": return (refusal.unavailable, .server)
    case "ContainerNotFound": return (refusal.noContainer, .permanent)
    case "Md5Mismatch": return (refusal.error(.objectsCorrupt, "It is sent again."), .server)
    default: break
    }
    if response.status == 403,
      text.contains("Signature not valid in the specified time frame")
        || text.contains("Server failed to authenticate the request")
    {
      return (refusal.expired, .permanent)
    }
    if response.status == 401 || response.status == 403 { return (refusal.denied, .permanent) }
    let failure = RetryPolicy.Failure(status: response.status) ?? .permanent
    return (failure == .permanent ? refusal.refused : refusal.unavailable, failure)
  }
}
