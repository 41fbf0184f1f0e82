internal import NebulaCore

/// Tokens for a service account, by its key: a JSON Web Token signed with it is exchanged.
struct GoogleServiceAccount: TokenSource {
  private let email: String
  private let keyID: String?
  private let key: RSAPrivateKey
  private let address: String
  private let context: TokenContext

  init(_ values: GoogleFile, context: TokenContext) throws(NebulaError) {
    email = try values.text("client_email")
    keyID = values.optional("private_key_id")
    address = values.optional("token_uri") ?? GoogleCredentials.tokenAddress
    do {
      key = try RSAPrivateKey(Array(try values.text("private_key").utf8))
    } catch {
      guard error.code == .cryptoBadKey else { throw error }
      throw values.file.failed("its private_key can't be read")
    }
    self.context = context
  }

  var name: String { "service account \(email)" }

  func fetch() async throws -> AccessToken {
    let exchange = TokenExchange(name: name, context: context) { answer in
      answer.words(hiding: []).contains("timeframe")
        ? "Set this machine's clock (NTP): Google refuses what is signed at another time."
        : "Check that the service account and its key still exist."
    }
    return try await exchange.run {
      let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", try assertion())]
      return HTTPRequest(form: form, to: address)
    }
  }

  /// Signed anew for each attempt: it is good for an hour.
  func assertion() throws(NebulaError) -> String {
    let now = context.clock.wall() / 1000
    var header: [JSONValue.Member] = [.init("typ", "JWT"), .init("alg", "RS256")]
    if let keyID { header.append(.init("kid", .string(keyID))) }
    let claims: JSONValue = [
      "iat": .integer(now), "exp": .integer(now + 3600), "iss": .string(email), "aud": .string(address),
      "scope": .string(GoogleCredentials.scope),
    ]
    let text = "\(Crypto.base64URL(JSONValue.object(header).bytes)).\(Crypto.base64URL(claims.bytes))"
    return "\(text).\(Crypto.base64URL(try key.signRS256(Array(text.utf8))))"
  }
}
