public import NebulaCore

/// Values of declared CSV columns: which texts fit a type, and how they are written as JSON.
public enum CSVValue {
  /// Whether a text is a value of the type.
  public static func fits(_ bytes: UnsafeRawBufferPointer, _ type: RecordSchema.ColumnType) -> Bool {
    switch type {
    case .text: true
    case .integer: integerDigits(bytes) != nil
    case .number: isNumber(bytes)
    case .boolean: boolean(bytes) != nil
    case .date: bytes.count == 10 && isDate(bytes)
    case .timestamp: isTimestamp(bytes)
    case .json: JSONText.validate(bytes) == nil
    }
  }

  /// The error of a record whose value is none of its column's type.
  public static func misfit(_ bytes: UnsafeRawBufferPointer, _ column: RecordSchema.Column) -> NebulaError {
    let shown = String(decoding: bytes.prefix(40), as: UTF8.self)
    return NebulaError(
      "file.bad_value", "The column '\(column.name)' is declared \(column.type.rawValue), and '\(shown)' is none.",
      remedy: "Mend the value, or declare the column text.", disposition: .reject)
  }

  /// Appends a value that fits, as JSON.
  static func append(_ bytes: UnsafeRawBufferPointer, _ type: RecordSchema.ColumnType, to output: OutputBuffer) {
    switch type {
    case .text, .date, .timestamp: JSONText.appendString(bytes, to: output)
    case .integer:
      if bytes.first == UInt8(ascii: "-") { output.append(UInt8(ascii: "-")) }
      output.append(UnsafeRawBufferPointer(rebasing: bytes[(integerDigits(bytes) ?? 0)...]))
    case .boolean: if boolean(bytes) == true { output.append("true") } else { output.append("false") }
    case .number, .json: output.append(bytes)
    }
  }

  /// Where the digits that count start: behind sign and leading zeros, which JSON does not have.
  private static func integerDigits(_ bytes: UnsafeRawBufferPointer) -> Int? {
    let start = bytes.first == UInt8(ascii: "-") || bytes.first == UInt8(ascii: "+") ? 1 : 0
    guard start < bytes.count, bytes[start...].allSatisfy(isDigit) else { return nil }
    return bytes[start...].firstIndex { $0 != UInt8(ascii: "0") } ?? bytes.count - 1
  }

  private static func isNumber(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let first = bytes.first, let last = bytes.last, isDigit(first) || first == UInt8(ascii: "-"), isDigit(last)
    else { return false }
    return JSONText.validate(bytes) == nil
  }

  private static func boolean(_ bytes: UnsafeRawBufferPointer) -> Bool? {
    func matches(_ text: StaticString) -> Bool {
      bytes.count == text.utf8CodeUnitCount && (0..<bytes.count).allSatisfy { bytes[$0] | 0x20 == text.utf8Start[$0] }
    }
    return matches("true") ? true : matches("false") ? false : nil
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

  private static func number(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int? {
    guard range.upperBound <= bytes.count, bytes[range].allSatisfy(isDigit) else { return nil }
    return bytes[range].reduce(0) { $0 * 10 + Int($1 &- UInt8(ascii: "0")) }
  }

  /// `YYYY-MM-DD` at the start, and a day that the month has.
  private static func isDate(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count >= 10, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
      let year = number(bytes, 0..<4), let month = number(bytes, 5..<7), let day = number(bytes, 8..<10),
      (1...12).contains(month), day >= 1
    else { return false }
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return day <= days[month - 1]
  }

  /// A date, `T` or a space, `HH:MM:SS`, a fraction or none, then nothing, `Z` or `+HH:MM`.
  private static func isTimestamp(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count >= 19, isDate(bytes), bytes[10] == UInt8(ascii: "T") || bytes[10] == UInt8(ascii: " "),
      bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"), let hour = number(bytes, 11..<13), hour < 24,
      let minute = number(bytes, 14..<16), minute < 60, let second = number(bytes, 17..<19), second <= 60
    else { return false }
    var at = 19
    if at < bytes.count, bytes[at] == UInt8(ascii: ".") {
      let end = bytes[(at + 1)...].firstIndex { !isDigit($0) } ?? bytes.count
      guard end > at + 1 else { return false }
      at = end
    }
    if at == bytes.count { return true }
    if bytes[at] == UInt8(ascii: "Z") { return at + 1 == bytes.count }
    guard bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-"), bytes.count == at + 6,
      bytes[at + 3] == UInt8(ascii: ":")
    else { return false }
    return (number(bytes, at + 1..<at + 3) ?? 24) < 24 && (number(bytes, at + 4..<at + 6) ?? 60) < 60
  }
}
