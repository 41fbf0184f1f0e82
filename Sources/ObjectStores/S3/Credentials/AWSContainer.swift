internal import NebulaCore
internal import NebulaHTTP

/// The service beside a container that gives its role's keys: ECS, EKS Pod Identity, Greengrass.
struct AWSContainer: Sendable, Hashable {
  let url: String
  let token: String?
  /// Read for each request: others renew it.
  let tokenFile: String?

  private static let hostOfECS = "http://169.254.170.2"
  /// Whom plain http may ask, beside this machine itself: ECS, EKS.
  private static let hosts: Set<String> = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"]

  /// nil when no such service is set.
  init?(_ settings: AWSSettings) throws(NebulaError) {
    if let path = given(settings.containerRelativeURI) {
      guard path.hasPrefix("/") else {
        throw AWSCredentialChoice.bad(
          "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with a slash", "Leave it as ECS sets it.",
          at: "aws_container_credentials_relative_uri")
      }
      url = Self.hostOfECS + path
    } else if let full = given(settings.containerFullURI) {
      guard Self.mayBeAsked(full) else {
        throw AWSCredentialChoice.bad(
          "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor an address of this machine, of ECS or of EKS",
          "Leave it as ECS or EKS sets it: keys are not asked for over plain http elsewhere.",
          at: "aws_container_credentials_full_uri")
      }
      url = full
    } else {
      return nil
    }
    token = given(settings.containerToken)
    tokenFile = given(settings.containerTokenFile)
  }

  /// As Amazon's own clients have it: any host by https; else this machine, or the fixed addresses of ECS and EKS.
  static func mayBeAsked(_ url: String) -> Bool {
    if url.lowercased().hasPrefix("https://") { return true }
    guard url.lowercased().hasPrefix("http://") else { return false }
    let authority = String(url.dropFirst(7).prefix { !"/?#".contains($0) })
    guard !authority.contains("@") else { return false }
    let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
    return hosts.contains(host.lowercased()) || isLoopback(host: String(host))
  }
}

struct AWSContainerKeys: CredentialSource {
  private let container: AWSContainer
  private let context: TokenContext
  let name = "container's role"

  init(_ container: AWSContainer, context: TokenContext) {
    self.container = container
    self.context = context
  }

  func fetch() async throws -> AWSKeys {
    let exchange = AWSKeysExchange(
      name: name, context: context,
      remedy: { _ in "Check that the task or the pod has a role, and AWS_CONTAINER_AUTHORIZATION_TOKEN." })
    return try await exchange.run(hiding: try proof()) {
      var request = HTTPRequest(url: container.url, timeout: .seconds(10), maxResponseBytes: 1 << 20)
      request.headers["Accept"] = "application/json"
      if let proof = try proof() { request.headers["Authorization"] = proof }
      request.allowsLinkLocal = true
      return request
    }
  }

  /// The file comes first: EKS renews it.
  private func proof() throws(NebulaError) -> String? {
    guard let path = container.tokenFile else { return container.token }
    return try SmallFile(
      path: path, what: "token file", remedy: "Check AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, and that it is mounted."
    ).token()
  }
}
