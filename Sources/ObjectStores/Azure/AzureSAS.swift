internal import NebulaHTTP

/// A shared access signature: the query that grants access. Not printable.
public struct AzureSAS: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
  let query: String
  /// Makes one from the token, with or without its leading `?`.
  public init(_ token: String) { query = token.hasPrefix("?") ? String(token.dropFirst()) : token }
  /// Says nothing.
  public var description: String { "AzureSAS(…)" }
  /// Says nothing.
  public var debugDescription: String { description }

  /// When it ends, as it says itself: the text, and seconds since 1970.
  var end: (text: String, seconds: Int)? { moment("se") }
  /// When it begins to be good.
  var start: (text: String, seconds: Int)? { moment("st") }

  /// True when it holds its proof.
  var isSigned: Bool { value("sig") != nil }

  private func value(_ name: String) -> String? {
    for pair in query.split(separator: "&") {
      let words = pair.split(separator: "=", maxSplits: 1)
      if words.count == 2, words[0] == name { return PercentEncoding.decode(words[1]) }
    }
    return nil
  }

  private func moment(_ name: String) -> (String, Int)? {
    guard let text = value(name), let seconds = Self.seconds(text) else { return nil }
    return (text, seconds)
  }

  /// `2026-11-21T01:19:35Z`, `2026-11-21T01:19Z` or `2026-11-21`.
  private static func seconds(_ text: String) -> Int? {
    let numbers = text.split { "-T:Z.".contains($0) }.map { Int($0) }
    guard numbers.count >= 3, let year = numbers[0], let month = numbers[1], let day = numbers[2] else { return nil }
    let time = (3..<6).map { numbers.count > $0 ? numbers[$0] ?? 0 : 0 }
    let days = CivilDate(year: year, month: month, day: day).daysSince1970
    return days * 86_400 + time[0] * 3600 + time[1] * 60 + time[2]
  }
}
