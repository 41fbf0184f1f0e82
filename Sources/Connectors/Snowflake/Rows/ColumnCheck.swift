/// Which texts a column's type can take, as Snowflake reads them when no format is given. A value that no such column
/// can take is a rejected record, or goes to `_OVERFLOW`: COPY would refuse it, and with it the whole epoch, at each new
/// try. So does what Snowflake would take, and cut without a word: a fraction that the column has no digits for, the time
/// of what becomes a day, the offset of what is kept without one.
///
/// What else depends on the size of a column (digits, length) is looked at only when `isStrict`; else, without a contract,
/// it is left to COPY, so that widening the column lets the same file in.
enum ColumnCheck: Sendable, Hashable {
  case anything, float, boolean, date
  /// Digits of the seconds' fraction.
  case time(Int)
  case timestamp(fraction: Int, keepsOffset: Bool)
  /// Bytes, in hexadecimal digits.
  case binary(Int)
  /// Digits before the point, and behind it.
  case number(whole: Int, fraction: Int)
  /// Characters.
  case text(Int)

  /// `type` as DESCRIBE TABLE says it.
  init(type: String, isStrict: Bool = false) {
    let name = type.prefix { $0 != "(" }
    let sizes = type.dropFirst(name.count + 1).dropLast().split(separator: ",").compactMap { Int($0) }
    switch name {
    case "NUMBER":
      let fraction = sizes.count == 2 ? sizes[1] : 0
      self = .number(whole: (isStrict ? sizes.first ?? 38 : 38) - (isStrict ? fraction : 0), fraction: fraction)
    case "FLOAT": self = .float
    case "BOOLEAN": self = .boolean
    case "DATE": self = .date
    case "TIME": self = .time(sizes.first ?? 9)
    // One with the local zone keeps the instant, and tells it in the session's zone.
    case "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ":
      self = .timestamp(fraction: sizes.first ?? 9, keepsOffset: name != "TIMESTAMP_NTZ")
    case "BINARY": self = .binary(sizes.first.flatMap { isStrict ? $0 : nil } ?? .max)
    case "VARCHAR": self = sizes.first.flatMap { isStrict ? .text($0) : nil } ?? .anything
    default: self = .anything
    }
  }

  func takes(_ text: UnsafeRawBufferPointer) -> Bool {
    switch self {
    case .anything: true
    case .number(let whole, let fraction):
      UsualText.isNumber(text, whole: whole, fraction: fraction)
        || DecimalShape(text).map { $0.whole <= whole && $0.fraction <= fraction } ?? false
    case .float:
      DecimalShape(text).map { $0.whole < 308 || Self.isFinite(text) } ?? Self.isOne(of: Self.notNumbers, text)
    case .boolean: Self.isOne(of: Self.booleans, text)
    case .date:
      text.count == 10 && UsualText.isMoment(text)
        || MomentText(text).map { !$0.hasTime && !$0.hasOffset } ?? false
    case .time(let fraction): MomentText.timeOfDay(text).map { $0.fraction <= fraction } ?? false
    case .timestamp(let fraction, let keepsOffset):
      // The usual text has its fraction from the 20th character on.
      text.count <= 20 + fraction && UsualText.isMoment(text)
        || MomentText(text).map { $0.fraction <= fraction && (keepsOffset || !$0.hasOffset) } ?? false
    case .binary(let most):
      text.count % 2 == 0 && text.count / 2 <= most
        && text.allSatisfy { TextCursor.isDigit($0) || ($0 | 0x20) &- 97 < 6 }
    // As many characters as bytes that begin one.
    case .text(let limit): text.count <= limit || text.count { $0 & 0xC0 != 0x80 } <= limit
    }
  }

  private static let notNumbers: [StaticString] = ["nan", "inf", "-inf", "+inf"]
  private static func isFinite(_ text: UnsafeRawBufferPointer) -> Bool {
    let word = text.filter { $0 != 32 && $0 != 9 }
    return Double(String(decoding: word, as: UTF8.self))?.isFinite ?? false
  }
  private static let booleans: [StaticString] = [
    "true", "false", "t", "f", "yes", "no", "y", "n", "on", "off", "1", "0",
  ]

  private static func isOne(of words: [StaticString], _ text: UnsafeRawBufferPointer) -> Bool {
    words.contains { word in
      word.utf8CodeUnitCount == text.count && text.indices.allSatisfy { text[$0] | 0x20 == word.utf8Start[$0] | 0x20 }
    }
  }
}

/// How many digits a decimal number needs before and behind its point, its exponent worked in. Sign, fraction and
/// exponent are as they may be, blanks may stand around it.
struct DecimalShape: Sendable, Hashable {
  var whole = 0
  var fraction = 0
  /// From the first digit that is not 0 to the last.
  var significant = 0

  /// Nil for what is no number.
  init?(_ text: UnsafeRawBufferPointer) {
    var cursor = TextCursor(text)
    cursor.skip { $0 == 32 || $0 == 9 }
    _ = cursor.take("-") || cursor.take("+")
    // Places count from the point: 0 is the digit before it, -1 the one behind.
    var digits = 0
    var first: Int?
    var last = 0
    var point: Int?
    while let byte = cursor.next(where: { TextCursor.isDigit($0) || $0 == UInt8(ascii: ".") }) {
      if byte == UInt8(ascii: ".") {
        guard point == nil else { return nil }
        point = digits
        continue
      }
      if byte != UInt8(ascii: "0") {
        first = first ?? digits
        last = digits
      }
      digits += 1
    }
    guard digits > 0 else { return nil }
    var exponent = 0
    if cursor.take("e") || cursor.take("E") {
      let isNegative = cursor.take("-")
      if !isNegative { _ = cursor.take("+") }
      guard let value = cursor.number(1...6) else { return nil }
      exponent = isNegative ? -value : value
    }
    cursor.skip { $0 == 32 || $0 == 9 }
    guard cursor.isAtEnd else { return nil }
    guard let first else { return }
    let top = (point ?? digits) - 1 + exponent
    whole = max(0, top - first + 1)
    fraction = max(0, last - top)
    significant = last - first + 1
  }
}
