internal import NebulaCore

/// What a token endpoint of Azure or Google answered.
struct TokenAnswer {
  let response: HTTPResponse
  private let json: JSONValue?

  init(_ response: HTTPResponse) {
    self.response = response
    json = try? JSONValue(parsing: response.body)
  }

  /// The token; nil when the answer holds none. `wall` is the moment of asking, in milliseconds since 1970: App Service
  /// tells only the moment at which the token ends.
  func token(wall: Int64) -> AccessToken? {
    guard response.isSuccess, let value = json?["access_token"]?.string, !value.isEmpty else { return nil }
    let seconds = number("expires_in") ?? number("expires_on").map { $0 - wall / 1000 } ?? 3600
    return AccessToken(value: value, lifetime: .seconds(max(0, seconds)))
  }

  private func number(_ name: String) -> Int64? { json?[name]?.stringOrNumber.flatMap { Int64($0) } }

  /// A text of the answer.
  func text(_ name: String) -> String? { json?[name]?.string.flatMap { $0.isEmpty ? nil : $0 } }

  /// `invalid_client` …; some of Google's services put it into an object.
  var error: String { json?["error"]?.string ?? json?["error"]?["status"]?.string ?? "" }

  /// The other side's words: their first line, without any of `secrets`.
  func words(hiding secrets: [String]) -> String {
    let said =
      json?["error_description"]?.string ?? json?["message"]?.string ?? json?["error"]?["message"]?.string ?? ""
    let line = said.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
    // behind it: ids of the request, of use to nobody
    let sentence = line.firstRange(of: " Trace ID:").map { String(line[..<$0.lowerBound]) } ?? line
    let shown = secrets.filter { $0.utf8.count >= 3 }.reduce(sentence) { $0.replacing($1, with: "***") }
    return String(shown.prefix(400))
  }

  /// `AADSTS7000215`, if it says so.
  var number: String {
    let said = json?["error_description"]?.string ?? ""
    guard said.hasPrefix("AADSTS") else { return "" }
    return String(said.prefix { $0.isLetter || $0.isNumber })
  }

  /// Whether asking again may help.
  var failure: RetryPolicy.Failure {
    error == "temporarily_unavailable" ? .server : RetryPolicy.Failure(status: response.status) ?? .permanent
  }
}
