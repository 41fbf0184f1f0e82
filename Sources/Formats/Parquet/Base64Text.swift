/// base64 (RFC 4648, with padding), read strictly: one text for one run of bytes.
enum Base64Text {
  /// Nil when it is none.
  static func decode(_ text: UnsafeRawBufferPointer) -> OutputBuffer? {
    guard text.count % 4 == 0 else { return nil }
    let padding = text.suffix(2).reduce(0) { $0 + ($1 == UInt8(ascii: "=") ? 1 : 0) }
    let bytes = OutputBuffer(capacity: text.count / 4 * 3)
    var (group, bits) = (UInt32(0), 0)
    for byte in text.dropLast(padding) {
      guard let six = value(byte) else { return nil }
      group = group << 6 | six
      bits += 6
      guard bits >= 8 else { continue }
      bits -= 8
      bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
    }
    // What is left of the last letter must be zero: else two texts would mean the same bytes.
    return group & (1 << UInt32(bits) - 1) == 0 ? bytes : nil
  }

  private static func value(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
