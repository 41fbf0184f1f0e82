internal import NebulaCore

/// Tokens of Microsoft Entra ID for an application: by its secret, or by a token of another issuer (workload identity).
public struct AzureClientCredentials: TokenSource {
  /// What proves who asks.
  public enum Proof: Sendable, Hashable {
    /// The application's secret.
    case secret(String)
    /// The file that holds a token of the workload's own issuer. It is read for each request: others renew it.
    case tokenFile(path: String)
  }
  private let address: String
  private let tenant: String
  private let clientID: String
  private let proof: Proof
  private let context: TokenContext

  /// `authorityHost` is `https://login.microsoftonline.com` unless it is another cloud's.
  public init(
    tenant: String, clientID: String, proof: Proof, authorityHost: String? = nil, context: TokenContext
  ) {
    var host = authorityHost.flatMap { $0.isEmpty ? nil : $0 } ?? "https://login.microsoftonline.com"
    if !host.contains("://") { host = "https://\(host)" }
    while host.hasSuffix("/") { host.removeLast() }
    address = "\(host)/\(PercentEncoding.encode(tenant))/oauth2/v2.0/token"
    self.tenant = tenant
    self.clientID = clientID
    self.proof = proof
    self.context = context
  }

  /// Which way it is.
  public var name: String { if case .secret = proof { "service principal" } else { "workload identity" } }

  /// Asks for a token for Azure Storage.
  public func fetch() async throws -> AccessToken {
    let policy = RetryPolicy(maxAttempts: 5, maxElapsed: .seconds(90), base: .milliseconds(800), cap: .seconds(20))
    return try await context.retrier(policy).run { _ in
      let (form, secret) = try form()
      let wall = context.clock.wall()
      let answer: TokenAnswer
      do {
        answer = TokenAnswer(try await context.client.perform(request(form)))
      } catch let error as NebulaError {
        return .failed(unreachable(error), RetryPolicy.Failure(error), retryAfter: nil)
      }
      if let token = answer.token(wall: wall) { return .done(token) }
      return .failed(refusal(answer, secret), answer.failure, retryAfter: answer.response.retryAfter)
    }
  }

  private func request(_ form: [(String, String)]) -> HTTPRequest {
    HTTPRequest(
      method: "POST", url: address, headers: ["Content-Type": "application/x-www-form-urlencoded"],
      body: .bytes(Array(PercentEncoding.form(form).utf8)), timeout: .seconds(30), maxResponseBytes: 1 << 20,
      resendsOnStaleConnection: true)
  }

  private func unreachable(_ error: NebulaError) -> NebulaError {
    NebulaError(
      .credentialsUnavailable,
      "The \(name) \(clientID) got no token from \(CheckedURL.redact(address)): \(error.message)",
      remedy: "Check AZURE_AUTHORITY_HOST and the way to it. \(error.remedy)", native: error.native,
      disposition: error.disposition, exit: error.exit)
  }

  private func form() throws(NebulaError) -> ([(String, String)], secret: String) {
    let (proof, secret) = try proved()
    let fields = proof + [("client_id", clientID), ("grant_type", "client_credentials"), ("scope", Self.scope)]
    return (fields.sorted { $0.0 < $1.0 }, secret)
  }

  private func proved() throws(NebulaError) -> ([(String, String)], String) {
    switch proof {
    case .secret(let secret): return ([("client_secret", secret)], secret)
    case .tokenFile(let path):
      let token = try SmallFile(
        path: path, what: "token file", remedy: "Check AZURE_FEDERATED_TOKEN_FILE, and that the token is mounted."
      ).token()
      return ([("client_assertion", token), ("client_assertion_type", Self.assertionType)], token)
    }
  }

  /// The same in every cloud.
  static let scope = "https://storage.azure.com/.default"
  static let assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

  private func refusal(_ answer: TokenAnswer, _ secret: String) -> NebulaError {
    let words = answer.words(hiding: [secret])
    let said = [answer.error, words].filter { !$0.isEmpty }.joined(separator: ": ")
    let mayPass = answer.failure != .permanent
    return NebulaError(
      mayPass ? .credentialsUnavailable : .credentialsRefused,
      "The \(name) \(clientID) of tenant \(tenant) got no token: \(said.isEmpty ? "status \(answer.response.status)" : said).",
      remedy: mayPass ? "It is tried again; look at Azure's status page if it stays." : remedy(answer),
      native: "HTTP \(answer.response.status) \(answer.number.isEmpty ? answer.error : answer.number)",
      disposition: mayPass ? .retry(after: nil) : .stop, exit: .environment)
  }

  private func remedy(_ answer: TokenAnswer) -> String {
    switch answer.number {
    case "AADSTS7000215": "Check AZURE_CLIENT_SECRET: it is the secret's value, not its id."
    case "AADSTS7000222": "The secret has expired: make a new one and set AZURE_CLIENT_SECRET."
    case "AADSTS700016": "Check AZURE_CLIENT_ID, and that the application is registered in that tenant."
    case "AADSTS90002", "AADSTS900023", "AADSTS900021": "Check AZURE_TENANT_ID."
    case "AADSTS70021", "AADSTS700211", "AADSTS700212", "AADSTS700213", "AADSTS700214":
      "Check the application's federated credential: issuer, subject and audience must be those of the token file."
    case "AADSTS700024": "The token file's token has expired: check that AZURE_FEDERATED_TOKEN_FILE is renewed."
    default:
      switch proof {
      case .secret: "Check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET."
      case .tokenFile: "Check AZURE_TENANT_ID, AZURE_CLIENT_ID and the application's federated credential."
      }
    }
  }
}
