internal import NebulaCore

/// Tokens for the person who ran `gcloud auth application-default login`.
struct GoogleAuthorizedUser: TokenSource {
  private let form: [(String, String)]
  private let secrets: [String]
  private let address: String
  private let context: TokenContext
  let name = "user of gcloud's file"

  init(_ values: GoogleFile, context: TokenContext) throws(NebulaError) {
    let (secret, token) = (try values.text("client_secret"), try values.text("refresh_token"))
    form = [
      ("grant_type", "refresh_token"), ("client_id", try values.text("client_id")), ("client_secret", secret),
      ("refresh_token", token),
    ]
    secrets = [secret, token]
    address = values.optional("token_uri") ?? GoogleCredentials.tokenAddress
    self.context = context
  }

  func fetch() async throws -> AccessToken {
    let exchange = TokenExchange(name: name, context: context, secrets: secrets) { _ in
      "Run `gcloud auth application-default login` again; better, give a loader a service account of its own."
    }
    return try await exchange.run { HTTPRequest(form: form, to: address) }
  }
}
