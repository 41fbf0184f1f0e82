internal import NebulaCore

/// Tokens of a managed identity: from the metadata service of a virtual machine, or from App Service.
public struct AzureManagedIdentity: TokenSource {
  /// Where it is asked.
  public enum Place: Sendable, Hashable {
    /// The metadata service of a virtual machine (IMDS), at this address.
    case machine(host: String)
    /// What App Service and Container Apps put beside the program: `IDENTITY_ENDPOINT`, `IDENTITY_HEADER`.
    case appService(endpoint: String, header: String)
    /// The metadata service where it always is.
    public static let machine = Place.machine(host: "http://169.254.169.254")
  }
  private let place: Place
  private let clientID: String?
  private let context: TokenContext

  /// `clientID` names a user-assigned identity; nil means the system-assigned one, or the only one.
  public init(_ place: Place, clientID: String? = nil, context: TokenContext) {
    self.place = place
    self.clientID = clientID
    self.context = context
  }

  /// Which way it is.
  public var name: String { if case .machine = place { "managed identity" } else { "managed identity of App Service" } }

  /// Asks for a token for Azure Storage.
  public func fetch() async throws -> AccessToken {
    let policy = RetryPolicy(maxAttempts: 5, maxElapsed: .seconds(120), base: .milliseconds(800), cap: .seconds(20))
    return try await context.retrier(policy).run { number in
      let wall = context.clock.wall()
      let answer: TokenAnswer
      do {
        answer = TokenAnswer(try await context.client.perform(request))
      } catch let error as NebulaError {
        // no one there: not a machine of Azure. Once more, since a starting machine may be late.
        return .failed(unreachable(error), number < 2 ? RetryPolicy.Failure(error) : .permanent, retryAfter: nil)
      }
      if let token = answer.token(wall: wall) { return .done(token) }
      return .failed(refusal(answer), Self.failure(answer), retryAfter: Self.wait(answer))
    }
  }

  private var request: HTTPRequest {
    let (base, version, header) =
      switch place {
      case .machine(let host): ("\(Self.trimmed(host))/metadata/identity/oauth2/token", "2018-02-01", nil as String?)
      case .appService(let endpoint, let header): (endpoint, "2019-08-01", header)
      }
    // the colon and slashes of the resource stand as they are, as Azure's own clients write them
    var url = "\(base)?api-version=\(version)&resource=https://storage.azure.com"
    if let clientID, !clientID.isEmpty { url += "&client_id=\(PercentEncoding.encode(clientID))" }
    var headers: HTTPHeaders = ["Metadata": "true"]
    if let header { headers["X-IDENTITY-HEADER"] = header }
    var request = HTTPRequest(url: url, headers: headers, timeout: .seconds(10), maxResponseBytes: 1 << 20)
    request.allowsLinkLocal = true
    return request
  }

  private static func trimmed(_ host: String) -> String {
    var host = host.contains("://") ? host : "http://\(host)"
    while host.hasSuffix("/") { host.removeLast() }
    return host
  }

  /// The metadata service answers 404 and 410 while it starts or is renewed.
  private static func failure(_ answer: TokenAnswer) -> RetryPolicy.Failure {
    [404, 410].contains(answer.response.status) ? .server : answer.failure
  }
  /// 410 may last for 70 seconds.
  private static func wait(_ answer: TokenAnswer) -> Duration? {
    answer.response.status == 410 ? .seconds(18) : answer.response.retryAfter
  }

  private var shown: String {
    switch place {
    case .machine(let host): CheckedURL.redact(Self.trimmed(host))
    case .appService(let endpoint, _): CheckedURL.redact(endpoint)
    }
  }
  private var who: String { clientID.map { "\(name) \($0)" } ?? name }

  private func unreachable(_ error: NebulaError) -> NebulaError {
    NebulaError(
      .credentialsUnavailable,
      "No other credentials were given, and the \(name) can't be asked at \(shown): \(error.message)",
      remedy: "Give a shared key, a shared access signature, or a service principal (AZURE_TENANT_ID, AZURE_CLIENT_ID, "
        + "AZURE_CLIENT_SECRET); a managed identity is there only on a machine of Azure that has one.",
      native: error.native, exit: .environment)
  }

  private func refusal(_ answer: TokenAnswer) -> NebulaError {
    let secrets = if case .appService(_, let header) = place { [header] } else { [] as [String] }
    let said = [answer.error, answer.words(hiding: secrets)].filter { !$0.isEmpty }.joined(separator: ": ")
    let mayPass = Self.failure(answer) != .permanent
    return NebulaError(
      mayPass ? .credentialsUnavailable : .credentialsRefused,
      "The \(who) got no token from \(shown): \(said.isEmpty ? "status \(answer.response.status)" : said).",
      remedy: clientID == nil
        ? "Assign a managed identity to this machine, or name the user-assigned one in AZURE_CLIENT_ID."
        : "Check AZURE_CLIENT_ID, and that this identity is assigned to this machine.",
      native: "HTTP \(answer.response.status) \(answer.error)",
      disposition: mayPass ? .retry(after: nil) : .stop, exit: .environment)
  }
}
