/// Whether a text is a number or a moment in the form that nearly all have. What is not may be one all the same: then
/// `DecimalShape` and `MomentText` say.
enum UsualText {
  /// `-12.50`, with at most so many digits before the point and behind it, zeros counted.
  static func isNumber(_ text: UnsafeRawBufferPointer, whole: Int, fraction: Int) -> Bool {
    guard let bytes = text.baseAddress?.assumingMemoryBound(to: UInt8.self), text.count > 0 else { return false }
    let start = bytes[0] == UInt8(ascii: "-") ? 1 : 0
    let point = digits(bytes, from: start, to: text.count)
    guard point - start <= whole, point > start else { return false }
    if point == text.count { return true }
    guard bytes[point] == UInt8(ascii: "."), text.count - point - 1 <= fraction else { return false }
    return digits(bytes, from: point + 1, to: text.count) == text.count
  }

  /// `2026-11-21`, and behind a `T` or a blank `10:00:00` or `10:00:00.123`, without a zone; of each month 28 days.
  static func isMoment(_ text: UnsafeRawBufferPointer) -> Bool {
    guard let bytes = text.baseAddress?.assumingMemoryBound(to: UInt8.self), text.count >= 10 else { return false }
    guard digits(bytes, from: 0, to: 4) == 4, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
      pair(bytes + 5) &- 1 < 12, pair(bytes + 8) &- 1 < 28
    else { return false }
    if text.count == 10 { return true }
    guard text.count >= 19, bytes[10] == UInt8(ascii: " ") || bytes[10] == UInt8(ascii: "T"),
      bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"), pair(bytes + 11) < 24, pair(bytes + 14) < 60,
      pair(bytes + 17) < 60
    else { return false }
    if text.count == 19 { return true }
    return bytes[19] == UInt8(ascii: ".") && digits(bytes, from: 20, to: text.count) == text.count
  }

  /// The offset of the first byte that is no digit, else `end`.
  @inline(__always) private static func digits(_ bytes: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Int {
    var at = start
    while at < end, bytes[at] &- 48 < 10 { at &+= 1 }
    return at
  }
  /// The number that two digits make; a large one when they are none.
  @inline(__always) private static func pair(_ bytes: UnsafePointer<UInt8>) -> UInt32 {
    let (high, low) = (UInt32(bytes[0] &- 48), UInt32(bytes[1] &- 48))
    return high < 10 && low < 10 ? high &* 10 &+ low : .max / 2
  }
}
