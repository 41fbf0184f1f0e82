internal import NebulaCore
internal import NebulaHTTP

/// Keys of a role, for a token of another issuer: STS, AssumeRoleWithWebIdentity. What Kubernetes on EKS and most CI
/// systems have.
struct AWSWebIdentity: CredentialSource {
  struct Role: Sendable, Hashable {
    let arn: String
    /// Read for each request: others renew it.
    let tokenFile: String
    let sessionName: String?
  }
  private let role: Role
  private let address: String
  private let context: TokenContext

  init(_ role: Role, region: String?, endpoint: String?, context: TokenContext) {
    self.role = role
    self.context = context
    var base = endpoint ?? "https://sts\(region.map { ".\($0)" } ?? "").amazonaws.com"
    if endpoint == nil, region?.hasPrefix("cn-") == true { base += ".cn" }
    while base.hasSuffix("/") { base.removeLast() }
    address = "\(base)/"
  }

  var name: String { "web identity \(role.arn)" }

  func fetch() async throws -> AWSKeys {
    let file = SmallFile(
      path: role.tokenFile, what: "token file",
      remedy: "Check AWS_WEB_IDENTITY_TOKEN_FILE, and that the token is mounted.")
    // one name for all attempts: Amazon's log shows it
    let session = try role.sessionName ?? "nebula-swift-\(Crypto.hex(try Crypto.randomBytes(4)))"
    let exchange = AWSKeysExchange(name: name, context: context, remedy: Self.remedy)
    return try await exchange.run(hiding: try? file.token()) {
      let form = [
        ("Action", "AssumeRoleWithWebIdentity"), ("Version", "2011-06-15"), ("RoleArn", role.arn),
        ("RoleSessionName", session), ("WebIdentityToken", try file.token()),
      ]
      return HTTPRequest(
        method: "POST", url: address, headers: ["Content-Type": "application/x-www-form-urlencoded; charset=utf-8"],
        body: .bytes(Array(PercentEncoding.form(form).utf8)), timeout: .seconds(30), maxResponseBytes: 1 << 20,
        resendsOnStaleConnection: true)
    }
  }

  @Sendable private static func remedy(_ code: String) -> String {
    switch code {
    case "ExpiredTokenException": "The token file's token has expired: check that whoever mounts it renews it."
    case "InvalidIdentityToken":
      "Check that the token's issuer is an identity provider of the account, and its audience is known there."
    default: "Check AWS_ROLE_ARN, and that the role's trust policy names the issuer and the subject of the token."
    }
  }
}
