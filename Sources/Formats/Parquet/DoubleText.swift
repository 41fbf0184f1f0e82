internal import CNebulaKernels

/// Numbers' texts as doubles.
enum DoubleText {
  /// The double nearest to a number's text; infinity when that is far outside. Also of `NaN`, `Infinity` and `inf`, in any
  /// case and with a sign. Nil when the text is neither.
  static func nearest(_ text: UnsafeRawBufferPointer) -> Double? {
    var value = 0.0
    guard let base = text.baseAddress?.assumingMemoryBound(to: UInt8.self), text.count > 0 else { return nil }
    if nebula_parse_double(base, text.count, &value) { return text.last == UInt8(ascii: ")") ? nil : value }
    return DecimalText.isNumber(text) ? Double(String(decoding: text, as: UTF8.self)) : nil
  }

  /// The double whose shortest text names the same number as `text` does; nil when there is none, as a double has less
  /// than every digit of it.
  static func exact(_ text: UnsafeRawBufferPointer) -> Double? {
    guard let value = nearest(text), value.isFinite, let parts = try? DecimalText.parts(text) else { return nil }
    if parts.count == 0 || value == 0 { return parts.count == 0 ? value : nil }
    // Any 15 digits survive, where doubles are at their full precision.
    let last = parts.exponent + parts.count
    if parts.count <= 15, last > -300, last < 300 { return value }
    guard parts.count <= 17 else { return nil }
    var exponent: Int32 = 0
    let (digits, count) = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 24) { text -> (UInt128, Int) in
      guard let base = text.baseAddress else { return (0, 0) }
      let count = Int(nebula_double_digits(value, base, &exponent))
      return (text[..<count].reduce(0) { $0 * 10 + UInt128(UInt8(bitPattern: $1) - UInt8(ascii: "0")) }, count)
    }
    return digits == parts.digits && Int(exponent) - count + 1 == parts.exponent ? value : nil
  }
}
