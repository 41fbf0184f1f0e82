/// Dates and times as ISO 8601 writes them, exactly.
enum TimeText {
  enum Problem: Error {
    case noTime
    /// A UTC column needs a zone, one without it must have none.
    case wrongZone
    /// Outside what the type can count.
    case outOfRange
    /// Digits behind the unit's last.
    case tooFine
  }

  /// The days since 1970-01-01 of `2024-05-06`, whose year may have a sign and more digits.
  static func days(_ text: UnsafeRawBufferPointer) throws(Problem) -> Int32 {
    var reader = Reader(text: text)
    let days = try reader.date()
    guard reader.isAtEnd else { throw .noTime }
    guard let days = Int32(exactly: days) else { throw .outOfRange }
    return days
  }

  /// The units since 1970 of `2024-05-06T07:08:09.123Z`: a `T` or a blank, seconds and their fraction if wanted, and
  /// `Z` or `±hh:mm` exactly when the column is one of UTC.
  static func timestamp(
    _ text: UnsafeRawBufferPointer, _ unit: ParquetTimeUnit, isUTC: Bool
  ) throws(Problem) -> Int64 {
    var reader = Reader(text: text)
    let days = try reader.date()
    guard reader.take("T") || reader.take("t") || reader.take(" ") else { throw .noTime }
    let hour = try reader.number(2, 0...23)
    guard reader.take(":") else { throw .noTime }
    let minute = try reader.number(2, 0...59)
    let second = reader.take(":") ? try reader.number(2, 0...59) : 0
    let fraction = try reader.fraction(unit)
    let zone = try reader.zone()
    guard reader.isAtEnd else { throw .noTime }
    guard (zone != nil) == isUTC else { throw .wrongZone }
    // Days are fewer than 2^40, so seconds can't overflow; then counted in 128 bits, until all is added.
    let seconds = days * 86_400 + Int64(hour * 3600 + minute * 60 + second) - (zone ?? 0)
    let units = Int128(seconds) * Int128(unit.perSecond) + Int128(fraction)
    guard let units = Int64(exactly: units) else { throw .outOfRange }
    return units
  }

  private struct Reader {
    let text: UnsafeRawBufferPointer
    var at = 0
    var isAtEnd: Bool { at == text.count }

    mutating func take(_ mark: Unicode.Scalar) -> Bool {
      guard at < text.count, text[at] == UInt8(ascii: mark) else { return false }
      at += 1
      return true
    }
    mutating func digit() -> Int? {
      guard at < text.count, text[at] &- UInt8(ascii: "0") <= 9 else { return nil }
      at += 1
      return Int(text[at - 1] - UInt8(ascii: "0"))
    }
    mutating func number(_ digits: Int, _ range: ClosedRange<Int>) throws(Problem) -> Int {
      var number = 0
      for _ in 0..<digits {
        guard let digit = digit() else { throw .noTime }
        number = number * 10 + digit
      }
      guard range.contains(number) else { throw .noTime }
      return number
    }

    mutating func date() throws(Problem) -> Int64 {
      let isNegative = take("-")
      let isLong = isNegative || take("+")
      var year = 0
      let start = at
      while let digit = digit() {
        guard at - start <= 9 else { throw .outOfRange }
        year = year * 10 + digit
      }
      guard isLong ? at - start >= 4 : at - start == 4, take("-") else { throw .noTime }
      if isNegative { year = -year }
      let month = try number(2, 1...12)
      guard take("-") else { throw .noTime }
      let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
      let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
      return civilDays(year: Int64(year), month: month, day: try number(2, 1...lengths[month - 1]))
    }

    mutating func fraction(_ unit: ParquetTimeUnit) throws(Problem) -> Int64 {
      guard take(".") || take(",") else { return 0 }
      var (fraction, digits, isTooFine) = (Int64(0), 0, false)
      while let digit = digit() {
        digits += 1
        if digits <= unit.digits { fraction = fraction * 10 + Int64(digit) } else if digit != 0 { isTooFine = true }
      }
      guard digits > 0 else { throw .noTime }
      if isTooFine { throw .tooFine }
      for _ in 0..<max(0, unit.digits - digits) { fraction *= 10 }
      return fraction
    }

    /// Seconds east of Greenwich; nil when there is no zone.
    mutating func zone() throws(Problem) -> Int64? {
      if take("Z") || take("z") { return 0 }
      let isWest = take("-")
      guard isWest || take("+") else { return nil }
      let hours = try number(2, 0...23)
      let minutes = take(":") || !isAtEnd ? try number(2, 0...59) : 0
      let seconds = Int64(hours * 3600 + minutes * 60)
      return isWest ? -seconds : seconds
    }
  }
}

/// The day of a date counted from 1970-01-01 (Howard Hinnant's `days_from_civil`; years are counted from March).
func civilDays(year: Int64, month: Int, day: Int) -> Int64 {
  let shifted = month <= 2 ? year - 1 : year
  let era = (shifted >= 0 ? shifted : shifted - 399) / 400
  let yearOfEra = shifted - era * 400
  let dayOfYear = Int64((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1)
  return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
}
