/// Whether a typed column keeps a document's value, or makes another of it that Snowflake would take without a word: a
/// number becomes a moment, 1 becomes true, "01234" becomes 1234, and a FLOAT rounds long numbers.
enum ValueKind {
  /// For a number, `true` or `false`, as JSON has it.
  static func keepsLiteral(_ json: UnsafeRawBufferPointer, _ column: ColumnCheck) -> Bool {
    let isNumber = json.first.map { $0 == UInt8(ascii: "-") || TextCursor.isDigit($0) } ?? false
    switch column {
    case .anything, .text: return true
    case .number: return isNumber
    case .float: return isNumber && isDouble(json)
    case .boolean: return !isNumber
    case .date, .timestamp: return false
    }
  }

  /// For a text. Decimals come as such, and dates.
  static func keepsText(_ text: UnsafeRawBufferPointer, _ column: ColumnCheck) -> Bool {
    switch column {
    case .anything, .text: true
    case .number: isPlainNumber(text)
    // "NaN" is how JSON has it.
    case .float: isPlainNumber(text) ? isDouble(text) : text.elementsEqual("NaN".utf8)
    case .boolean: false
    // Digits alone would be seconds since 1970, or milliseconds.
    case .date, .timestamp: !MomentText.isEpoch(text)
    }
  }

  /// As a number is written: no blanks, no plus, no zeros in front, no exponent.
  private static func isPlainNumber(_ text: UnsafeRawBufferPointer) -> Bool {
    var cursor = TextCursor(text)
    _ = cursor.take("-")
    let startsWithZero = cursor.take("0")
    let digits = cursor.skip(TextCursor.isDigit)
    guard startsWithZero ? digits == 0 : digits > 0 else { return false }
    if cursor.take(".") { cursor.skip(TextCursor.isDigit) }
    return cursor.isAtEnd
  }

  /// Whether a Double is exactly this number, or the one that it is the shortest text of.
  private static func isDouble(_ text: UnsafeRawBufferPointer) -> Bool {
    let mantissa = text.prefix { $0 | 0x20 != UInt8(ascii: "e") }
    let digits = mantissa.count { TextCursor.isDigit($0) }
    guard digits > 15 else { return true }
    guard mantissa.count == text.count, !text.contains(UInt8(ascii: ".")) else {
      return digits - mantissa.count { $0 == UInt8(ascii: "0") } <= 17
    }
    return Int64(String(decoding: text, as: UTF8.self)).flatMap { Int64(exactly: Double($0)) == $0 } ?? false
  }
}
