internal import NebulaCore

/// Tokens for the service account of a machine of Google Cloud, from its metadata server.
struct GoogleMetadataServer: TokenSource {
  private let base: String
  private let context: TokenContext
  let name = "metadata server"

  /// The address stands for the name `metadata.google.internal`: a name could lead elsewhere.
  init(host: String?, context: TokenContext) {
    let given = host.flatMap { $0.isEmpty ? nil : $0 } ?? "169.254.169.254"
    var base = given.contains("://") ? given : "http://\(given)"
    base = base.replacing("://metadata.google.internal", with: "://169.254.169.254")
    while base.hasSuffix("/") { base.removeLast() }
    self.base = base
    self.context = context
  }

  func fetch() async throws -> AccessToken {
    let exchange = TokenExchange(
      name: name, context: context,
      policy: RetryPolicy(maxAttempts: 4, maxElapsed: .seconds(60), base: .milliseconds(500), cap: .seconds(10)),
      remedy: { _ in "Check that the machine has a service account, and the scope for storage." },
      remedyOfThisMachine:
        "No other credentials were given: set gcs_credentials_path or GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth "
        + "application-default login`; a metadata server is there only on Google Cloud.")
    return try await exchange.run {
      var request = HTTPRequest(
        url: "\(base)/computeMetadata/v1/instance/service-accounts/default/token",
        headers: ["Metadata-Flavor": "Google"],
        timeout: .seconds(10), maxResponseBytes: 1 << 20)
      request.allowsLinkLocal = true
      return request
    } reading: { answer, wall in
      // whoever else answers at that address is not believed
      answer.response.headers["Metadata-Flavor"] == "Google" ? answer.token(wall: wall) : nil
    }
  }
}
