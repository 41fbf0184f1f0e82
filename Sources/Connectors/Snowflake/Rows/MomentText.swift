/// Days and times in the forms that Snowflake finds out by itself.
enum MomentText {
  static func isKnown(_ text: UnsafeRawBufferPointer) -> Bool {
    var cursor = TextCursor(text)
    // "Thu, 21 Dec 2000 …" and "Thu Dec 21 …" have too many variants to be judged here.
    if let first = text.first, TextCursor.isLetter(first) {
      return cursor.skip(TextCursor.isLetter) == 3 && !cursor.isAtEnd
    }
    if isEpoch(text) { return true }
    guard isDay(&cursor) else { return false }
    return cursor.isAtEnd || isTime(&cursor)
  }

  /// Seconds, milliseconds … since 1970.
  static func isEpoch(_ text: UnsafeRawBufferPointer) -> Bool {
    var cursor = TextCursor(text)
    _ = cursor.take("-")
    guard cursor.skip(TextCursor.isDigit) > 0 else { return false }
    if cursor.take(".") { cursor.skip(TextCursor.isDigit) }
    return cursor.isAtEnd
  }

  /// `2026-11-21`, `11/21/2026` or `21-NOV-2026`.
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
    return cursor.take("-") && cursor.skip(TextCursor.isLetter) == 3 && cursor.take("-") && cursor.number(4...4) != nil
      && (1...31).contains(first)
  }

  private static func isDay(_ year: Int, _ month: Int, _ day: Int) -> Bool {
    guard (1...12).contains(month), day >= 1 else { return false }
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    return day <= [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
  }

  /// `T12`, ` 12:30`, `T12:30:00.123`, each with a zone or none.
  private static func isTime(_ cursor: inout TextCursor) -> Bool {
    guard cursor.take("T") || cursor.take("t") || cursor.take(" "), let hour = cursor.number(1...2), hour < 24 else {
      return false
    }
    if cursor.take(":") {
      guard let minute = cursor.number(1...2), minute < 60 else { return false }
      if cursor.take(":") {
        guard let second = cursor.number(1...2), second < 60 else { return false }
        if cursor.take(".") { cursor.skip(TextCursor.isDigit) }
      }
    }
    return cursor.isAtEnd || isZone(&cursor)
  }

  private static func isZone(_ cursor: inout TextCursor) -> Bool {
    _ = cursor.take(" ")
    if cursor.take("Z") || cursor.take("z") { return cursor.isAtEnd }
    guard cursor.take("+") || cursor.take("-"), let hour = cursor.number(1...2), hour < 24 else { return false }
    if cursor.isAtEnd { return true }
    _ = cursor.take(":")
    return (cursor.number(2...2) ?? 60) < 60 && cursor.isAtEnd
  }
}
