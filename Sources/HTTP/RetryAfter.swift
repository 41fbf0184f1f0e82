extension HTTPResponse {
  /// What `Retry-After` asks for: seconds, or a date seen from the answer's own `Date`, so that clocks don't matter.
  public var retryAfter: Duration? {
    guard let text = headers["Retry-After"] else { return nil }
    if let seconds = Int(text), seconds >= 0 { return .seconds(min(seconds, 86_400)) }
    guard let until = HTTPDate(text), let now = headers["Date"].flatMap({ HTTPDate($0) }) else { return nil }
    return .seconds(min(max(0, until.seconds - now.seconds), 86_400))
  }
}

/// A moment as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
public struct HTTPDate: Sendable, Hashable {
  /// Since 1970.
  public let seconds: Int

  /// Reads one; nil when it is of another form.
  public init?(_ text: String) {
    let parts = text.split { $0 == " " || $0 == "," || $0 == ":" }
    guard parts.count == 8, parts[7] == "GMT", let day = Int(parts[1]), let year = Int(parts[3]),
      let month = Self.months.firstIndex(of: String(parts[2])), let hour = Int(parts[4]), let minute = Int(parts[5]),
      let second = Int(parts[6]), (1...31).contains(day), (1601...9999).contains(year)
    else { return nil }
    seconds =
      CivilDate(year: year, month: month + 1, day: day).daysSince1970 * 86_400 + hour * 3600 + minute * 60 + second
  }

  /// The moment so many seconds after 1970.
  public init(seconds: Int) { self.seconds = seconds }

  /// As it is sent.
  public var text: String {
    let day = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
    let second = seconds - day * 86_400
    let date = CivilDate(daysSince1970: day)
    let time = [second / 3600, second / 60 % 60, second % 60].map { Self.padded($0, 2) }.joined(separator: ":")
    let weekday = Self.weekdays[((day % 7) + 7) % 7]
    return
      "\(weekday), \(Self.padded(date.day, 2)) \(Self.months[date.month - 1]) \(Self.padded(date.year, 4)) \(time) GMT"
  }

  private static func padded(_ number: Int, _ width: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, width - text.count)) + text
  }

  /// From the day of 1 January 1970 on.
  private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
  static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
}
