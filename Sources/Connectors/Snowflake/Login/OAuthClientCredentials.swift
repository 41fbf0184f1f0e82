internal import NebulaCore
internal import NebulaHTTP

/// Access tokens for a client of an OAuth server: Snowflake's own, or the one that a security integration trusts.
struct OAuthClientCredentials: TokenSource {
  let name = "OAuth client"
  let address: String
  let clientID: String
  private let secret: String
  let scope: String
  private let context: TokenContext

  init(_ options: SnowflakeOptions, endpoint: Endpoint, context: TokenContext) {
    address = options.oauthTokenRequestURL ?? "\(endpoint.base)/oauth/token-request"
    clientID = options.oauthClientID ?? ""
    secret = options.oauthClientSecret ?? ""
    scope = options.oauthScope ?? options.role.map { "session:role:\($0)" } ?? ""
    self.context = context
  }

  /// The request of each attempt.
  var request: HTTPRequest {
    let form = [("grant_type", "client_credentials"), ("scope", scope)]
    return HTTPRequest(
      method: "POST", url: address,
      headers: [
        "Authorization": "Basic \(Crypto.base64(Array("\(clientID):\(secret)".utf8)))", "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
      ],
      body: .bytes(Array(PercentEncoding.form(form).utf8)), timeout: .seconds(30), maxResponseBytes: 1 << 20,
      resendsOnStaleConnection: true)
  }

  /// Asks for a token, again where that helps.
  func fetch() async throws -> AccessToken {
    let policy = RetryPolicy(maxAttempts: 5, maxElapsed: .seconds(90), base: .milliseconds(800), cap: .seconds(20))
    return try await Retrier(policy: policy, clock: context.clock, random: context.random).run { _ in
      let response: HTTPResponse
      do { response = try await context.client.perform(request) } catch let error as NebulaError {
        return .failed(unreachable(error), RetryPolicy.Failure(error), retryAfter: nil)
      }
      let json = try? JSONValue(parsing: response.body)
      if response.isSuccess, let token = json?["access_token"]?.string, !token.isEmpty {
        // Snowflake's own live ten minutes.
        let seconds = json?["expires_in"]?.stringOrNumber.flatMap { Int64($0) } ?? 600
        return .done(AccessToken(value: token, lifetime: .seconds(max(0, seconds))))
      }
      let failure = RetryPolicy.Failure(status: response.status) ?? .permanent
      return .failed(refusal(response, json, failure), failure, retryAfter: response.retryAfter)
    }
  }

  private func unreachable(_ error: NebulaError) -> NebulaError {
    NebulaError(
      .credentialsUnavailable, "The OAuth client \(clientID) got no token from \(shown): \(error.message)",
      remedy: "Check oauth_token_request_url and the way to it. \(error.remedy)", native: error.native,
      disposition: error.disposition, exit: error.exit)
  }

  private func refusal(_ response: HTTPResponse, _ json: JSONValue?, _ failure: RetryPolicy.Failure) -> NebulaError {
    let words = [json?["error"]?.string, json?["error_description"]?.string ?? json?["message"]?.string]
    let said = words.compactMap(\.self).joined(separator: ": ").split(whereSeparator: \.isNewline).first
    let reason = said.map { String($0.prefix(400)).replacing(secret, with: "***") } ?? "no reason given"
    let mayPass = failure != .permanent
    return NebulaError(
      mayPass ? .credentialsUnavailable : .credentialsRefused,
      "The OAuth client \(clientID) got no token from \(shown): HTTP \(response.status), \(reason).",
      remedy: mayPass ? "It is tried again." : remedy(json?["error"]?.string ?? ""),
      native: "HTTP \(response.status) \(json?["error"]?.string ?? "")",
      disposition: mayPass ? .retry(after: response.retryAfter) : .stop, exit: .environment)
  }

  private func remedy(_ error: String) -> String {
    switch error {
    case "invalid_client": "Check oauth_client_id and oauth_client_secret."
    case "invalid_scope": "Check oauth_scope (asked for: \(scope.isEmpty ? "none" : scope)), or role."
    case "unauthorized_client", "unsupported_grant_type": "Allow the client the grant client_credentials."
    default: "Check oauth_client_id, oauth_client_secret, oauth_scope and oauth_token_request_url."
    }
  }

  /// A query may hold a signature.
  private var shown: String { String(address.prefix { $0 != "?" && $0 != "#" }) }
}
