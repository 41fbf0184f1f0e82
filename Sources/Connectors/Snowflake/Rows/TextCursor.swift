/// Reads a text from its start.
struct TextCursor {
  private let text: UnsafeRawBufferPointer
  private var at = 0

  init(_ text: UnsafeRawBufferPointer) { self.text = text }

  var isAtEnd: Bool { at == text.count }
  static func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }
  static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 97 < 26 }

  mutating func take(_ sign: Unicode.Scalar) -> Bool {
    guard at < text.count, text[at] == UInt8(ascii: sign) else { return false }
    at += 1
    return true
  }

  mutating func next(where isWanted: (UInt8) -> Bool) -> UInt8? {
    guard at < text.count, isWanted(text[at]) else { return nil }
    at += 1
    return text[at - 1]
  }

  @discardableResult mutating func skip(_ isWanted: (UInt8) -> Bool) -> Int {
    let start = at
    while at < text.count, isWanted(text[at]) { at += 1 }
    return at - start
  }

  /// A number of so many digits, and no digit behind it unless that is the most.
  mutating func number(_ digits: ClosedRange<Int>) -> Int? {
    let start = at
    var value = 0
    while at < text.count, at - start < digits.upperBound, Self.isDigit(text[at]) {
      value = value * 10 + Int(text[at] &- 48)
      at += 1
    }
    return digits.contains(at - start) ? value : nil
  }
}
