/// Which texts a column's type can take, as Snowflake reads them when no format is given. A value that no such column
/// can take is a rejected record: COPY would refuse it, and with it the whole epoch, at each new try.
///
/// What depends on the size of a column (digits, length) is left to COPY: widening the column lets the same file in.
enum ColumnCheck: Sendable, Hashable {
  case anything, number, float, boolean, date, timestamp

  /// `type` as DESCRIBE TABLE says it.
  init(type: String) {
    let name = type.prefix { $0 != "(" }
    switch name {
    case "NUMBER": self = .number
    case "FLOAT": self = .float
    case "BOOLEAN": self = .boolean
    case "DATE": self = .date
    case "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ": self = .timestamp
    default: self = .anything
    }
  }

  func takes(_ text: UnsafeRawBufferPointer) -> Bool {
    switch self {
    case .anything: true
    case .number: Self.integerDigits(text).map { $0 <= 38 } ?? false
    case .float: Self.integerDigits(text) != nil || Self.isOne(of: ["nan", "inf", "-inf", "+inf"], text)
    case .boolean: Self.isOne(of: Self.booleans, text)
    case .date, .timestamp: MomentText.isKnown(text)
    }
  }

  private static let booleans: [StaticString] = [
    "true", "false", "t", "f", "yes", "no", "y", "n", "on", "off", "1", "0",
  ]

  private static func isOne(of words: [StaticString], _ text: UnsafeRawBufferPointer) -> Bool {
    words.contains { word in
      word.utf8CodeUnitCount == text.count && text.indices.allSatisfy { text[$0] | 0x20 == word.utf8Start[$0] | 0x20 }
    }
  }

  /// The digits before the point of a decimal number with sign, fraction and exponent as they may be, and blanks around
  /// it; nil for what is none.
  private static func integerDigits(_ text: UnsafeRawBufferPointer) -> Int? {
    var cursor = TextCursor(text)
    cursor.skip { $0 == 32 || $0 == 9 }
    _ = cursor.take("-") || cursor.take("+")
    let zeros = cursor.skip { $0 == UInt8(ascii: "0") }
    let whole = cursor.skip(TextCursor.isDigit)
    let fraction = cursor.take(".") ? cursor.skip(TextCursor.isDigit) : 0
    guard zeros + whole + fraction > 0 else { return nil }
    var exponent = 0
    if cursor.take("e") || cursor.take("E") {
      let isNegative = cursor.take("-")
      if !isNegative { _ = cursor.take("+") }
      guard let value = cursor.number(1...6) else { return nil }
      exponent = isNegative ? -value : value
    }
    cursor.skip { $0 == 32 || $0 == 9 }
    guard cursor.isAtEnd else { return nil }
    return whole == 0 && fraction == 0 ? 0 : max(0, whole + exponent)
  }
}
