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

  /// The number of the word, given in lower case, that stands next in any case; nil, and nothing taken, for none.
  mutating func word(of words: [StaticString]) -> Int? {
    let found = words.firstIndex { word in
      let count = word.utf8CodeUnitCount
      guard text.count - at >= count else { return false }
      return (0..<count).allSatisfy { text[at + $0] | 0x20 == word.utf8Start[$0] }
    }
    if let found { at += words[found].utf8CodeUnitCount }
    return found
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
