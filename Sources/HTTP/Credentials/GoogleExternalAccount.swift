internal import NebulaCore

/// Tokens for a workload of elsewhere (workload identity federation): a token of its own issuer, from a file or an
/// address, is exchanged; then, where the file says so, for that of a service account.
struct GoogleExternalAccount: TokenSource {
  private let audience: String
  private let tokenType: String
  private let address: String
  private let subject: GoogleSubjectToken
  private let impersonation: String?
  private let context: TokenContext

  init(_ values: GoogleFile, context: TokenContext) throws(NebulaError) {
    audience = try values.text("audience")
    tokenType = try values.text("subject_token_type")
    address = try values.text("token_url")
    subject = try GoogleSubjectToken(values)
    impersonation = values.optional("service_account_impersonation_url")
    self.context = context
  }

  var name: String { "external account \(audience)" }

  func fetch() async throws -> AccessToken {
    let proof = try await subject.read(context)
    let exchange = TokenExchange(name: name, context: context, secrets: [proof]) { _ in
      "Check the workload identity pool: its provider's issuer, audience and attribute condition must fit the token."
    }
    let form = [
      ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), ("audience", audience),
      ("scope", impersonation == nil ? GoogleCredentials.scope : "https://www.googleapis.com/auth/iam"),
      ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"), ("subject_token", proof),
      ("subject_token_type", tokenType),
    ]
    let token = try await exchange.run { HTTPRequest(form: form, to: address) }
    guard let impersonation else { return token }
    return try await impersonate(impersonation, with: token)
  }

  private func impersonate(_ url: String, with token: AccessToken) async throws -> AccessToken {
    let exchange = TokenExchange(name: name, context: context, secrets: [token.value]) { _ in
      "Grant the pool's principal the role Workload Identity User on the service account."
    }
    let body: JSONValue = ["scope": [.string(GoogleCredentials.scope)], "lifetime": "3600s"]
    return try await exchange.run {
      HTTPRequest(
        method: "POST", url: url,
        headers: ["Content-Type": "application/json", "Authorization": "Bearer \(token.value)"],
        body: .bytes(body.bytes), timeout: .seconds(30), maxResponseBytes: 1 << 20, resendsOnStaleConnection: true)
    } reading: { answer, _ in
      // an hour was asked for, and is what is given
      answer.text("accessToken").map { AccessToken(value: $0, lifetime: .seconds(3600)) }
    }
  }
}

/// Where the token of the workload's own issuer comes from.
struct GoogleSubjectToken: Sendable {
  private enum Place: Sendable {
    case file(SmallFile)
    case url(String, headers: HTTPHeaders)
  }
  private let place: Place
  /// The member that holds it, when it comes as JSON.
  private let member: String?

  init(_ values: GoogleFile) throws(NebulaError) {
    let source = values.json["credential_source"] ?? .null
    if let path = source["file"]?.string {
      place = .file(
        SmallFile(path: path, what: "token file", remedy: "Check credential_source, and that the token is mounted."))
    } else if let url = source["url"]?.string, source["environment_id"] == nil {
      var headers = HTTPHeaders()
      for header in source["headers"]?.object ?? [] { headers[header.name] = header.value.string }
      place = .url(url, headers: headers)
    } else {
      let kind =
        source["environment_id"] != nil ? "an AWS one" : source["executable"] != nil ? "a program" : "an unknown one"
      throw values.file.failed("its credential_source is \(kind); file and url are supported")
    }
    let isJSON = source["format"]?["type"]?.string == "json"
    member = isJSON ? source["format"]?["subject_token_field_name"]?.string ?? "" : nil
  }

  /// Asked for each time: others renew it.
  func read(_ context: TokenContext) async throws -> String {
    let bytes: [UInt8]
    switch place {
    case .file(let file):
      guard member != nil else { return try file.token() }
      bytes = try file.read()
    case .url(let url, let headers): bytes = try await ask(url, headers, context)
    }
    let text = member.map { (try? JSONValue(parsing: bytes))?[$0]?.string } ?? String(decoding: bytes, as: UTF8.self)
    guard let text, !text.isEmpty, !text.contains(where: \.isNewline) else {
      throw NebulaError(
        .credentialsUnavailable, "The source of the subject token gave none.",
        remedy: "Check credential_source and its format in the file of credentials.", exit: .environment)
    }
    return text
  }

  private func ask(_ url: String, _ headers: HTTPHeaders, _ context: TokenContext) async throws -> [UInt8] {
    var request = HTTPRequest(url: url, headers: headers, timeout: .seconds(30), maxResponseBytes: 1 << 20)
    request.allowsLinkLocal = true
    let asked = request
    return try await context.retrier(RetryPolicy(maxAttempts: 4, maxElapsed: .seconds(60))).run { _ in
      let response = try await context.client.perform(asked)
      if response.isSuccess { return .done(response.body) }
      let error = NebulaError(
        .credentialsUnavailable, "\(CheckedURL.redact(url)) gave no subject token: status \(response.status).",
        remedy: "Check credential_source in the file of credentials.", exit: .environment)
      return .failed(error, RetryPolicy.Failure(status: response.status) ?? .permanent, retryAfter: response.retryAfter)
    }
  }
}
