/// An IEEE 754 decimal128 in its binary encoding, as BSON has it: read for its text only.
struct Decimal128 {
  let high: UInt64
  let low: UInt64

  /// Appends its text by the BSON specification: `12.34`, `1.2E+10`, `-0E-6176`, `NaN`, `-Infinity`.
  func append(to output: OutputBuffer) {
    let combination = high >> 58 & 0x1F
    if combination == 0x1F { return output.append("NaN") }
    if high >> 63 == 1 { output.append(UInt8(ascii: "-")) }
    if combination == 0x1E { return output.append("Infinity") }
    let isLarge = combination >> 3 == 3
    let exponent = Int(high >> (isLarge ? 47 : 49) & 0x3FFF) - 6176
    // The large form's coefficients all exceed 34 digits; those count as zero.
    let coefficient = isLarge ? 0 : UInt128(high & 0x1_FFFF_FFFF_FFFF) << 64 | UInt128(low)
    let limit: UInt128 = 9_999_999_999_999_999_999_999_999_999_999_999
    layOut(coefficient > limit ? 0 : coefficient, exponent, output)
  }

  private func layOut(_ coefficient: UInt128, _ exponent: Int, _ output: OutputBuffer) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 40) { digits in
      var count = 0
      var rest = coefficient
      repeat {
        count += 1
        digits[40 - count] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
        rest /= 10
      } while rest > 0
      let text = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: digits[(40 - count)...]))
      write(text, exponent, output)
    }
  }

  private func write(_ digits: UnsafeRawBufferPointer, _ exponent: Int, _ output: OutputBuffer) {
    let adjusted = exponent + digits.count - 1
    if exponent > 0 || adjusted < -6 {
      split(digits, 1, output)
      output.append(UInt8(ascii: "E"))
      if adjusted >= 0 { output.append(UInt8(ascii: "+")) }
      output.append(decimal: Int64(adjusted))
    } else if adjusted >= 0 {
      split(digits, adjusted + 1, output)
    } else {
      output.append("0.")
      for _ in 0..<(-adjusted - 1) { output.append(UInt8(ascii: "0")) }
      output.append(digits)
    }
  }

  /// The digits with a point behind the first `whole` of them; no point when that is all.
  private func split(_ digits: UnsafeRawBufferPointer, _ whole: Int, _ output: OutputBuffer) {
    output.append(UnsafeRawBufferPointer(rebasing: digits[..<whole]))
    guard whole < digits.count else { return }
    output.append(UInt8(ascii: "."))
    output.append(UnsafeRawBufferPointer(rebasing: digits[whole...]))
  }
}
