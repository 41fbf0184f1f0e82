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
    case .date, .time, .timestamp, .binary: return false
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
    case .time: true
    // Bytes are told in capitals.
    case .binary: !text.contains { $0 >= 97 }
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
    guard let shape = DecimalShape(text) else { return false }
    // 15 digits are kept by every Double that is not at the ends of its range.
    if shape.significant <= 15, shape.whole < 300, shape.fraction < 300 { return true }
    let written = String(decoding: text, as: UTF8.self)
    if let integer = Int64(written) { return Int64(exactly: Double(integer)) == integer }
    guard let double = Double(written), double.isFinite else { return false }
    return digits(written) == digits("\(double)")
  }

  /// What makes two texts the same number: the digits from the first to the last that is not 0, and their place.
  private static func digits(_ number: String) -> [Int] {
    var (found, exponent, hasPoint) = ([Int](), 0, false)
    let parts = number.lowercased().split(separator: "e")
    for byte in (parts.first ?? "").utf8 {
      if byte == UInt8(ascii: ".") { hasPoint = true }
      guard TextCursor.isDigit(byte) else { continue }
      if !found.isEmpty || byte != 48 { found.append(Int(byte) - 48) }
      if hasPoint { exponent -= 1 }
    }
    if parts.count == 2 { exponent += Int(parts[1]) ?? 0 }
    while found.last == 0 {
      found.removeLast()
      exponent += 1
    }
    return found.isEmpty ? [] : found + [exponent]
  }
}
