internal import NebulaCore
internal import NebulaHTTP

/// What those who give out Amazon's keys answer: JSON from the services beside the program, XML from STS.
struct AWSKeysAnswer {
  let response: HTTPResponse

  /// The keys; nil when the answer holds none. `wall` is this machine's clock, for answers without a date.
  func keys(wall: Int64) -> AWSKeys? {
    guard response.isSuccess else { return nil }
    guard let key = value("AccessKeyId"), let secret = value("SecretAccessKey"), !key.isEmpty, !secret.isEmpty else {
      return nil
    }
    let token = value("Token") ?? value("SessionToken")
    // by the other side's own clock, so that ours may be wrong
    let now = response.headers["Date"].flatMap { HTTPDate($0)?.seconds } ?? Int(wall / 1000)
    let end = value("Expiration").flatMap { Self.seconds($0) }
    return AWSKeys(
      S3Credentials(accessKey: key, secretKey: secret, sessionToken: token),
      lifetime: .seconds(max(0, end.map { $0 - now } ?? 3600)))
  }

  /// Their own code: `AccessDenied` …
  var code: String { value("Code") ?? value("code") ?? "" }

  /// Their own words: the first line, without `secret`.
  func words(hiding secret: String?) -> String {
    let said = value("Message") ?? value("message") ?? ""
    let line = said.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
    return String((given(secret).map { line.replacing($0, with: "***") } ?? line).prefix(300))
  }

  private var isJSON: Bool { response.body.first { $0 > 0x20 } == UInt8(ascii: "{") }

  private func value(_ name: String) -> String? {
    guard isJSON else { return XMLText.first(name, in: response.body[...]) }
    return (try? JSONValue(parsing: response.body))?[name]?.string
  }

  /// `2026-11-21T01:19:35Z`, with or without a fraction.
  static func seconds(_ text: String) -> Int? {
    let numbers = text.split { "-T:Z.+".contains($0) }.map { Int($0) }
    guard text.hasSuffix("Z"), numbers.count >= 6, let year = numbers[0], let month = numbers[1], let day = numbers[2],
      let hour = numbers[3], let minute = numbers[4], let second = numbers[5], (1...12).contains(month)
    else { return nil }
    return CivilDate(year: year, month: month, day: day).daysSince1970 * 86_400 + hour * 3600 + minute * 60 + second
  }
}

/// One way of asking for keys: what is the same in all of them.
struct AWSKeysExchange {
  let name: String
  let context: TokenContext
  var policy = RetryPolicy(maxAttempts: 5, maxElapsed: .seconds(90), base: .milliseconds(500), cap: .seconds(10))
  /// What to do when it refuses, by its code.
  let remedy: @Sendable (String) -> String
  /// Whether nobody there is an answer: there is no such service where the program runs.
  var isOfThisMachine = false

  /// `request` is made anew for each attempt.
  func run(hiding secret: String? = nil, _ request: () async throws -> HTTPRequest) async throws -> AWSKeys {
    try await context.retrier(policy).run { number in
      let wall = context.clock.wall()
      let asked = try await request()
      let answer: AWSKeysAnswer
      do {
        answer = AWSKeysAnswer(response: try await context.client.perform(asked))
      } catch let error as NebulaError {
        let mayPass = !isOfThisMachine || number < 2
        return .failed(unreachable(error), mayPass ? RetryPolicy.Failure(error) : .permanent, retryAfter: nil)
      }
      if let keys = answer.keys(wall: wall) { return .done(keys) }
      let failure = failure(answer)
      return .failed(refusal(answer, failure, hiding: secret), failure, retryAfter: answer.response.retryAfter)
    }
  }

  private func failure(_ answer: AWSKeysAnswer) -> RetryPolicy.Failure {
    if ["IDPCommunicationError", "Throttling", "InternalFailure"].contains(answer.code) { return .server }
    return RetryPolicy.Failure(status: answer.response.status) ?? .permanent
  }

  func unreachable(_ error: NebulaError) -> NebulaError {
    NebulaError(
      .credentialsUnavailable, "The \(name) can't be asked for keys: \(error.message)",
      remedy: isOfThisMachine ? AWSCredentialChoice.ways : error.remedy, native: error.native,
      disposition: isOfThisMachine ? .stop : error.disposition, exit: .environment)
  }

  func refusal(_ answer: AWSKeysAnswer, _ failure: RetryPolicy.Failure, hiding secret: String?) -> NebulaError {
    let said = [answer.code, answer.words(hiding: secret)].filter { !$0.isEmpty }.joined(separator: ": ")
    let mayPass = failure != .permanent
    return NebulaError(
      mayPass ? .credentialsUnavailable : .credentialsRefused,
      "The \(name) gave no keys: \(said.isEmpty ? "status \(answer.response.status)" : said).",
      remedy: mayPass ? "It is tried again." : remedy(answer.code),
      native: "HTTP \(answer.response.status) \(answer.code)",
      disposition: mayPass ? .retry(after: nil) : .stop, exit: .environment)
  }
}
