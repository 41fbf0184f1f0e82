internal import NebulaCore

/// Asks whoever gives out tokens, again where that helps, and says what came of it.
struct TokenExchange {
  /// Who asks: `service account loader@…`.
  let name: String
  let context: TokenContext
  var policy = RetryPolicy(maxAttempts: 5, maxElapsed: .seconds(90), base: .milliseconds(800), cap: .seconds(20))
  /// Texts that no message may repeat.
  var secrets: [String] = []
  /// What to do when the request is refused, by the other side's error.
  let remedy: @Sendable (TokenAnswer) -> String
  /// What to do when there is nobody; such services are there only on some machines.
  var remedyOfThisMachine: String?

  /// `request` is made anew for each attempt; `read` finds the token in an answer that is no refusal.
  func run(
    _ request: () throws -> HTTPRequest, reading read: (TokenAnswer, Int64) -> AccessToken? = { $0.token(wall: $1) }
  ) async throws -> AccessToken {
    try await context.retrier(policy).run { number in
      let wall = context.clock.wall()
      let asked = try request()
      let answer: TokenAnswer
      do {
        answer = TokenAnswer(try await context.client.perform(asked))
      } catch let error as NebulaError {
        let mayPass = remedyOfThisMachine == nil || number < 2
        return .failed(
          unreachable(error, CheckedURL.redact(asked.url)), mayPass ? RetryPolicy.Failure(error) : .permanent,
          retryAfter: nil)
      }
      if answer.response.isSuccess, let token = read(answer, wall) { return .done(token) }
      return .failed(refusal(answer), answer.failure, retryAfter: answer.response.retryAfter)
    }
  }

  private func unreachable(_ error: NebulaError, _ address: String) -> NebulaError {
    NebulaError(
      .credentialsUnavailable, "The \(name) can't be asked for a token at \(address): \(error.message)",
      remedy: remedyOfThisMachine ?? error.remedy, native: error.native,
      disposition: remedyOfThisMachine == nil ? error.disposition : .stop, exit: .environment)
  }

  private func refusal(_ answer: TokenAnswer) -> NebulaError {
    let said = [answer.error, answer.words(hiding: secrets)].filter { !$0.isEmpty }.joined(separator: ": ")
    let mayPass = answer.failure != .permanent
    return NebulaError(
      mayPass ? .credentialsUnavailable : .credentialsRefused,
      "The \(name) got no token: \(said.isEmpty ? "status \(answer.response.status)" : said).",
      remedy: mayPass ? "It is tried again." : remedy(answer), native: "HTTP \(answer.response.status) \(answer.error)",
      disposition: mayPass ? .retry(after: nil) : .stop, exit: .environment)
  }
}

extension HTTPRequest {
  /// A form, as token endpoints take it.
  init(form: [(String, String)], to url: String) {
    self.init(
      method: "POST", url: url, headers: ["Content-Type": "application/x-www-form-urlencoded"],
      body: .bytes(Array(PercentEncoding.form(form).utf8)), timeout: .seconds(30), maxResponseBytes: 1 << 20,
      resendsOnStaleConnection: true)
  }
}
