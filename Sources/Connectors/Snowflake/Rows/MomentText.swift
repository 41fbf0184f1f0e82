/// A day or a time in one of the forms that Snowflake finds out by itself, and what of it a column may have no room for.
struct MomentText: Sendable, Hashable {
  /// More than a day: a time other than midnight, or seconds since 1970.
  private(set) var hasTime = false
  /// An offset from UTC other than zero.
  private(set) var hasOffset = false
  /// Digits of the seconds' fraction, without zeros at its end.
  private(set) var fraction = 0

  /// Nil for what is none.
  init?(_ text: UnsafeRawBufferPointer) {
    if Self.isEpoch(text) {
      hasTime = true
      return
    }
    var cursor = TextCursor(text)
    guard text.first.map(TextCursor.isLetter) == true ? takeMail(&cursor) : takeUsual(&cursor) else { return nil }
  }

  /// Seconds, milliseconds … since 1970.
  static func isEpoch(_ text: UnsafeRawBufferPointer) -> Bool {
    var cursor = TextCursor(text)
    _ = cursor.take("-")
    guard cursor.skip(TextCursor.isDigit) > 0 else { return false }
    if cursor.take(".") { cursor.skip(TextCursor.isDigit) }
    return cursor.isAtEnd
  }

  /// `10:30`, `10:30:00.5`: what a column for times of day takes.
  static func timeOfDay(_ text: UnsafeRawBufferPointer) -> MomentText? {
    var (moment, cursor) = (MomentText(), TextCursor(text))
    guard let hour = cursor.number(1...2), hour < 24, cursor.take(":"), moment.takeMinutes(&cursor), cursor.isAtEnd
    else { return nil }
    return moment
  }

  private init() {}

  // MARK: forms

  /// `2026-11-21`, `11/21/2026` or `21-NOV-2026`; behind it `T12`, ` 12:30`, `T12:30:00.123`; behind that a zone or none.
  private mutating func takeUsual(_ cursor: inout TextCursor) -> Bool {
    guard Self.isDay(&cursor) else { return false }
    if cursor.isAtEnd { return true }
    guard cursor.take("T") || cursor.take("t") || cursor.take(" ") else { return false }
    return takeTime(&cursor) && (cursor.isAtEnd || takeZone(&cursor))
  }

  /// As mails have it, `Thu, 21 Dec 2000 16:01:07 +0200` and `Thu Dec 21 16:01:07 +0000 2000`.
  private mutating func takeMail(_ cursor: inout TextCursor) -> Bool {
    guard cursor.word(of: Self.weekdays) != nil else { return false }
    if cursor.take(",") {
      guard cursor.take(" "), let day = cursor.number(1...2), cursor.take(" "),
        let month = cursor.word(of: Self.months), cursor.take(" "), let year = cursor.number(4...4),
        Self.isDay(year, month + 1, day), cursor.take(" "), takeTime(&cursor)
      else { return false }
      return cursor.isAtEnd || takeZone(&cursor)
    }
    guard cursor.take(" "), let month = cursor.word(of: Self.months), cursor.take(" "), let day = cursor.number(1...2),
      cursor.take(" "), takeTime(&cursor), cursor.take(" "), takeOffset(&cursor), cursor.take(" "),
      let year = cursor.number(4...4)
    else { return false }
    return Self.isDay(year, month + 1, day) && cursor.isAtEnd
  }

  private static let weekdays: [StaticString] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
  private static let months: [StaticString] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
  ]

  // MARK: parts

  private static func isDay(_ cursor: inout TextCursor) -> Bool {
    let start = cursor
    if let year = cursor.number(4...4), cursor.take("-"), let month = cursor.number(1...2), cursor.take("-"),
      let day = cursor.number(1...2)
    {
      return isDay(year, month, day)
    }
    cursor = start
    guard let first = cursor.number(1...2) else { return false }
    if cursor.take("/") {
      guard let day = cursor.number(1...2), cursor.take("/"), let year = cursor.number(4...4) else { return false }
      return isDay(year, first, day)
    }
    guard cursor.take("-"), let month = cursor.word(of: months), cursor.take("-"), let year = cursor.number(4...4)
    else { return false }
    return isDay(year, month + 1, first)
  }

  private static func isDay(_ year: Int, _ month: Int, _ day: Int) -> Bool {
    guard (1...12).contains(month), day >= 1 else { return false }
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    return day <= [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
  }

  private mutating func takeTime(_ cursor: inout TextCursor) -> Bool {
    guard let hour = cursor.number(1...2), hour < 24 else { return false }
    hasTime = hasTime || hour > 0
    return !cursor.take(":") || takeMinutes(&cursor)
  }

  private mutating func takeMinutes(_ cursor: inout TextCursor) -> Bool {
    guard let minute = cursor.number(1...2), minute < 60 else { return false }
    hasTime = hasTime || minute > 0
    guard cursor.take(":") else { return true }
    guard let second = cursor.number(1...2), second < 60 else { return false }
    hasTime = hasTime || second > 0
    guard cursor.take(".") else { return true }
    var digits = 0
    while let digit = cursor.next(where: TextCursor.isDigit) {
      digits += 1
      if digit != UInt8(ascii: "0") { fraction = digits }
    }
    hasTime = hasTime || fraction > 0
    return true
  }

  private mutating func takeZone(_ cursor: inout TextCursor) -> Bool {
    _ = cursor.take(" ")
    if cursor.take("Z") || cursor.take("z") { return cursor.isAtEnd }
    return takeOffset(&cursor) && cursor.isAtEnd
  }

  private mutating func takeOffset(_ cursor: inout TextCursor) -> Bool {
    guard cursor.take("+") || cursor.take("-"), let hour = cursor.number(1...2), hour < 24 else { return false }
    hasOffset = hasOffset || hour > 0
    let isApart = cursor.take(":")
    guard let minute = cursor.number(2...2) else { return !isApart }
    hasOffset = hasOffset || minute > 0
    return minute < 60
  }
}
