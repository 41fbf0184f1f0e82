/// Decimal texts (`-12.340e5`) as exact numbers.
enum DecimalText {
  /// Why a text has no place in a type.
  enum Problem: Error {
    case noNumber
    /// More digits before the point, or in all, than the type has.
    case tooLarge
    /// Digits behind the type's last.
    case tooFine
  }

  /// The value as `digits`·10^`exponent`; the digits end in no zero, and there are `count` of them. Zero has none.
  struct Parts {
    var isNegative = false
    var digits: UInt128 = 0
    var count = 0
    var exponent = 0
  }

  /// 10 to the power of 0…38.
  static func power(_ exponent: Int) -> UInt128 {
    var result: UInt128 = 1
    for _ in 0..<exponent { result *= 10 }
    return result
  }

  /// Reads `[+-]digits[.digits][e[+-]digits]`, with digits on one side of the point at least. More than 38 digits that
  /// matter are too large for every type.
  static func parts(_ text: UnsafeRawBufferPointer) throws(Problem) -> Parts {
    var parts = Parts()
    var at = 0
    if at < text.count, text[at] == UInt8(ascii: "-") || text[at] == UInt8(ascii: "+") {
      parts.isNegative = text[at] == UInt8(ascii: "-")
      at += 1
    }
    // Zeros are only counted until another digit shows that they stand in the middle.
    var (zeros, seen, fraction, isBehindPoint, isTooLong) = (0, 0, 0, false, false)
    scan: while at < text.count {
      let digit = text[at] &- UInt8(ascii: "0")
      switch digit {
      case 0...9:
        seen += 1
        if isBehindPoint { fraction += 1 }
        if digit == 0 {
          zeros += 1
        } else {
          let shift = parts.count == 0 ? 0 : zeros
          zeros = 0
          if isTooLong || parts.count + shift + 1 > 38 {
            isTooLong = true
          } else {
            parts.digits = parts.digits * power(shift + 1) + UInt128(digit)
            parts.count += shift + 1
          }
        }
      case UInt8(ascii: ".") &- UInt8(ascii: "0") where !isBehindPoint: isBehindPoint = true
      default: break scan
      }
      at += 1
    }
    guard seen > 0 else { throw .noNumber }
    let written = try exponent(UnsafeRawBufferPointer(rebasing: text[at...]))
    if isTooLong { throw .tooLarge }
    if parts.count > 0 { parts.exponent = written + zeros - fraction }
    return parts
  }

  /// True of every number in decimal, whatever its size.
  static func isNumber(_ text: UnsafeRawBufferPointer) -> Bool {
    do { _ = try parts(text) } catch { return error != .noNumber }
    return true
  }

  /// Far outside every type it is only known to be far outside.
  private static func exponent(_ text: UnsafeRawBufferPointer) throws(Problem) -> Int {
    guard text.count > 0 else { return 0 }
    guard text[0] | 0x20 == UInt8(ascii: "e") else { throw .noNumber }
    var at = 1
    let isNegative = text.count > 1 && text[1] == UInt8(ascii: "-")
    if isNegative || (text.count > 1 && text[1] == UInt8(ascii: "+")) { at = 2 }
    guard at < text.count else { throw .noNumber }
    var exponent = 0
    for byte in text[at...] {
      guard byte &- UInt8(ascii: "0") <= 9 else { throw .noNumber }
      exponent = min(exponent * 10 + Int(byte - UInt8(ascii: "0")), 1 << 40)
    }
    return isNegative ? -exponent : exponent
  }

  /// The value times 10^`scale`, exactly, of `precision` digits at most.
  static func unscaled(
    _ text: UnsafeRawBufferPointer, precision: Int, scale: Int
  ) throws(Problem) -> Int128 {
    let parts = try parts(text)
    if parts.count == 0 { return 0 }
    let shift = parts.exponent + scale
    guard shift >= 0 else { throw parts.count + shift > precision ? .tooLarge : .tooFine }
    guard parts.count + shift <= precision else { throw .tooLarge }
    let magnitude = Int128(parts.digits * power(shift))
    return parts.isNegative ? -magnitude : magnitude
  }
}
