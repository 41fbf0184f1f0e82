internal import NebulaCore
internal import NebulaHTTP
internal import Synchronization

/// Signs and sends requests to one file system or container.
final class AzureSession: Sendable {
  private let endPoints: AzureEndPoints
  private let credential: Mutex<AzureCredential>
  /// Whoever opened it makes new credentials when these are refused, for whatever reason.
  private let isRenewedOutside: Bool
  private let renewal: CredentialRenewal<AzureSAS>?
  let context: ObjectStoreContext

  /// The version whose behaviour this client was written for.
  static let version = "2023-11-03"

  init(
    _ endPoints: AzureEndPoints, _ credential: AzureCredential, _ context: ObjectStoreContext,
    isRenewedOutside: Bool = false, renewal: CredentialRenewal<AzureSAS>? = nil
  ) {
    self.endPoints = endPoints
    self.credential = Mutex(credential)
    self.context = context
    self.isRenewedOutside = isRenewedOutside
    self.renewal = renewal
  }

  func replaceCredentials(_ new: AzureCredential) { credential.withLock { $0 = new } }
  var credentialName: String { credential.withLock { $0.name } }

  /// What a rename's source needs behind it: a signature in the address is asked for on both sides.
  var sourceSignature: String {
    if case .sas(let sas) = credential.withLock({ $0.kind }) { "?\(sas.query)" } else { "" }
  }

  /// Sends it, again where that helps; the answer, when it is one that the operation wants to judge itself.
  func send(_ call: AzureCall, accepting accepts: (AzureAnswer) -> Bool) async throws -> AzureAnswer {
    let id = Crypto.hex(try Crypto.randomBytes(16))  // the same for each attempt: the server's log shows them together
    var (mayBeDone, hasRenewed, renewals) = (false, false, 0)
    return try await context.retrier.run { _ in
      let credential = credential.withLock { $0 }
      let (request, proof) = try await request(call, id: id, credential)
      let answer: AzureAnswer
      do {
        answer = AzureAnswer(try await context.client.perform(request), mayBeDone: mayBeDone)
      } catch let error as NebulaError {
        if error.httpRequestMayHaveBeenCarriedOut { mayBeDone = true }
        throw error
      }
      if accepts(answer) { return .done(answer) }
      if answer.status == 401, case .tokens(let cache) = credential.kind, let token = proof, !hasRenewed {
        hasRenewed = true
        await cache.refused(token)
        return .adjusted
      }
      let failure = failure(call, answer, credential)
      if failure.error.code == .credentialsExpired, case .sas(let refused) = credential.kind,
        renewals < CredentialRenewals.most, try await renew(refused)
      {
        renewals += 1
        return .adjusted
      }
      // a server that fails may fail after the work was done
      if failure.kind == .server || failure.kind == .throttled { mayBeDone = true }
      return .failed(failure.error, failure.kind, retryAfter: answer.response.retryAfter)
    }
  }

  /// True when there is another than the one that was refused.
  private func renew(_ refused: AzureSAS) async throws -> Bool {
    if case .sas(let current) = credential.withLock({ $0.kind }), current != refused { return true }
    guard let fresh = try await renewal?(refused), fresh != refused else { return false }
    replaceCredentials(.sas(fresh))
    return true
  }

  private func failure(_ call: AzureCall, _ answer: AzureAnswer, _ credential: AzureCredential) -> AzureFailure {
    AzureFailure(
      operation: call.operation, key: call.key, container: endPoints.container, answer: answer, credential: credential,
      isRenewedOutside: isRenewedOutside, now: Int(context.clock.wall() / 1000))
  }

  /// The request, and the token that it carries.
  private func request(
    _ call: AzureCall, id: String, _ credential: AzureCredential
  ) async throws -> (HTTPRequest, AccessToken?) {
    let (origin, path) = try endPoints.address(call)
    var headers = call.headers
    headers["Accept"] = call.service == .dfs ? "application/json" : "application/xml"
    headers["x-ms-version"] = Self.version
    headers["x-ms-client-request-id"] = id
    headers["x-ms-date"] = HTTPDate(seconds: Int(context.clock.wall() / 1000)).text
    var query = call.query.map { "\($0.0)=\(PercentEncoding.encode($0.1))" }
    var proof: AccessToken?
    switch credential.kind {
    case .sas(let sas): query.append(sas.query)
    case .sharedKey(let key):
      headers["Authorization"] = key.authorization(
        method: call.method, path: path, query: call.query, headers: headers, contentLength: call.body.count)
    case .tokens(let cache):
      let token = try await cache.token()
      headers["Authorization"] = "Bearer \(token.value)"
      proof = token
    }
    let text = query.filter { !$0.isEmpty }.joined(separator: "&")
    return (
      HTTPRequest(
        method: call.method, url: "\(origin)\(path)\(text.isEmpty ? "" : "?\(text)")", headers: headers,
        body: call.body, timeout: context.timeout, maxResponseBytes: call.maxResponseBytes,
        // an attempt that may have been carried out must be known as one
        resendsOnStaleConnection: call.method == "GET" || call.method == "HEAD"), proof
    )
  }
}
