/// The smallest or largest text or binary of a column, of which the first bytes are kept: whole ones may be long.
struct ParquetBound: Comparable {
  /// Long enough to tell values apart, short enough for a file's end with a thousand columns.
  static let length = 64
  private(set) var bytes: [UInt8]
  /// True when more followed.
  private(set) var isCut: Bool

  init(_ value: UnsafeRawBufferPointer) {
    bytes = Array(value.prefix(Self.length))
    isCut = value.count > Self.length
  }

  /// As unsigned bytes. Of two with the same first bytes the one that goes on is larger.
  static func < (a: Self, b: Self) -> Bool {
    a.bytes == b.bytes ? !a.isCut && b.isCut : a.bytes.lexicographicallyPrecedes(b.bytes)
  }

  /// What is not above the value: its first bytes, of a text whole characters.
  func lower(isText: Bool) -> [UInt8] { isCut && isText ? Array(bytes.prefix(wholeCharacters)) : bytes }

  /// What is not below the value: its first bytes with the last raised that can be; nil when none can.
  func upper(isText: Bool) -> [UInt8]? {
    guard isCut else { return bytes }
    return isText ? raisedText() : raisedBytes()
  }

  /// The length without a character that was cut in the middle.
  private var wholeCharacters: Int {
    var start = bytes.count
    while start > 0, bytes.count - start < 4 {
      start -= 1
      let byte = bytes[start]
      if byte & 0xC0 == 0x80 { continue }
      let size = byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
      return start + size <= bytes.count ? start + size : start
    }
    return bytes.count
  }

  private func raisedBytes() -> [UInt8]? {
    guard let at = bytes.lastIndex(where: { $0 != 0xFF }) else { return nil }
    var raised = Array(bytes[...at])
    raised[at] += 1
    return raised
  }

  private func raisedText() -> [UInt8]? {
    var scalars = Array(String(decoding: bytes.prefix(wholeCharacters), as: UTF8.self).unicodeScalars)
    while let last = scalars.popLast() {
      // Between U+D7FF and U+E000 there are no characters.
      let next = last.value == 0xD7FF ? 0xE000 : last.value + 1
      guard let raised = Unicode.Scalar(next) else { continue }
      scalars.append(raised)
      var text = String.UnicodeScalarView()
      text.append(contentsOf: scalars)
      return Array(String(text).utf8)
    }
    return nil
  }
}
