internal import NebulaCore
internal import NebulaHTTP

/// The keys of a machine's role, from its metadata service (IMDS, version 2: never without a token of its own).
struct AWSMachineKeys: CredentialSource {
  private let base: String
  private let context: TokenContext
  let name = "machine's role"

  init(endpoint: String, context: TokenContext) {
    var base = endpoint.contains("://") ? endpoint : "http://\(endpoint)"
    while base.hasSuffix("/") { base.removeLast() }
    self.base = base
    self.context = context
  }

  private static let roles = "/latest/meta-data/iam/security-credentials/"

  func fetch() async throws -> AWSKeys {
    let token = try await ask("PUT", "/latest/api/token", ["X-aws-ec2-metadata-token-ttl-seconds": "21600"])
    let proof: HTTPHeaders = ["X-aws-ec2-metadata-token": token]
    let role = try await ask("GET", Self.roles, proof).split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
    guard !role.isEmpty else { throw withoutRole }
    return try await exchange.run(hiding: token) { request("GET", Self.roles + PercentEncoding.encode(role), proof) }
  }

  private var exchange: AWSKeysExchange {
    AWSKeysExchange(
      name: name, context: context,
      policy: RetryPolicy(maxAttempts: 4, maxElapsed: .seconds(30), base: .milliseconds(300), cap: .seconds(5)),
      remedy: { _ in "Check that the machine has an instance profile with a role." }, isOfThisMachine: true)
  }

  private func request(_ method: String, _ path: String, _ headers: HTTPHeaders) -> HTTPRequest {
    var request = HTTPRequest(
      method: method, url: base + path, headers: headers, timeout: .seconds(5), maxResponseBytes: 1 << 20)
    request.allowsLinkLocal = true
    return request
  }

  /// A text.
  private func ask(_ method: String, _ path: String, _ headers: HTTPHeaders) async throws -> String {
    try await context.retrier(exchange.policy).run { number in
      let response: HTTPResponse
      do {
        response = try await context.client.perform(request(method, path, headers))
      } catch let error as NebulaError {
        // no one there: not a machine of Amazon. Once more, since a starting machine may be late.
        let failure = number < 2 ? RetryPolicy.Failure(error) : .permanent
        return .failed(exchange.unreachable(error), failure, retryAfter: nil)
      }
      if response.status == 200, !response.body.isEmpty { return .done(response.text) }
      if response.status == 404 { return .failed(withoutRole, .permanent, retryAfter: nil) }
      let failure = RetryPolicy.Failure(status: response.status) ?? .permanent
      return .failed(
        exchange.refusal(AWSKeysAnswer(response: response), failure, hiding: nil), failure, retryAfter: nil)
    }
  }

  private var withoutRole: NebulaError {
    NebulaError(
      .credentialsUnavailable, "No credentials for Amazon were given, and this machine has no role.",
      remedy: AWSCredentialChoice.ways, exit: .environment)
  }
}
