internal import CNebulaKernels

/// What kind of JSON value a slice holds.
public enum JSONKind: UInt8, Sendable {
  /// The six of JSON; booleans are one.
  case object, array, string, number, boolean, null
}

/// Walks the top-level members of one *validated* JSON object, without allocating.
///
/// Give it only what `JSONText.validate` accepted. On other input it stops early or gives wrong slices, but it never
/// reads outside the bytes.
public struct JSONObjectReader {
  /// One member; both ranges are offsets into the bytes.
  public struct Member {
    /// Inside the quotes of its key, still escaped.
    public let key: Range<Int>
    /// All of its value, with quotes or brackets.
    public let value: Range<Int>
    /// The value's kind.
    public let kind: JSONKind
    /// True when the key holds a backslash.
    public let keyIsEscaped: Bool
  }

  private var walk: JSONWalk

  /// Starts at the object's first member. Nil when the value is not an object.
  public init?(_ bytes: UnsafeRawBufferPointer) {
    walk = JSONWalk(bytes)
    walk.skipSpace()
    guard walk.take(UInt8(ascii: "{")) else { return nil }
  }

  /// The next member, nil behind the last.
  public mutating func next() -> Member? {
    walk.skipSpace()
    if walk.take(UInt8(ascii: ",")) { walk.skipSpace() }
    guard walk.at < walk.bytes.count, walk.bytes[walk.at] == UInt8(ascii: "\"") else { return nil }
    let keyStart = walk.at + 1
    let escaped = walk.skipString()
    let keyEnd = walk.at - 1
    walk.skipSpace()
    guard walk.take(UInt8(ascii: ":")), keyEnd >= keyStart else { return nil }
    walk.skipSpace()
    guard walk.at < walk.bytes.count else { return nil }
    let start = walk.at
    let kind = walk.skipValue()
    return Member(key: keyStart..<keyEnd, value: start..<walk.at, kind: kind, keyIsEscaped: escaped)
  }

  /// The text of a key or of a string's inside; half of a surrogate pair becomes U+FFFD.
  public static func unescape(_ bytes: UnsafeRawBufferPointer) -> String {
    let output = OutputBuffer(capacity: bytes.count + 4)
    unescape(bytes, into: output)
    return output.withBytes { String(decoding: $0, as: UTF8.self) }
  }

  /// Appends the UTF-8 of a string's inside; half of a surrogate pair becomes U+FFFD.
  public static func unescape(_ bytes: UnsafeRawBufferPointer, into output: OutputBuffer) {
    var at = 0
    while at < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[at...])
      let plain = plainPrefix(rest)
      output.append(UnsafeRawBufferPointer(rebasing: rest[0..<plain]))
      at += plain
      guard at + 1 < bytes.count else { return }
      let letter = bytes[at + 1]
      at += 2
      switch letter {
      case UInt8(ascii: "b"): output.append(0x08)
      case UInt8(ascii: "t"): output.append(0x09)
      case UInt8(ascii: "n"): output.append(0x0A)
      case UInt8(ascii: "f"): output.append(0x0C)
      case UInt8(ascii: "r"): output.append(0x0D)
      case UInt8(ascii: "u"): appendScalar(bytes, &at, output)
      default: output.append(letter)
      }
    }
  }
  private static func plainPrefix(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
    return nebula_find_byte(base, bytes.count, UInt8(ascii: "\\"))
  }
  private static func appendScalar(_ bytes: UnsafeRawBufferPointer, _ at: inout Int, _ output: OutputBuffer) {
    var code = hex4(bytes, at) ?? 0xFFFD
    at = min(at + 4, bytes.count)
    if code & 0xFC00 == 0xD800, at + 1 < bytes.count, bytes[at] == UInt8(ascii: "\\"),
      bytes[at + 1] == UInt8(ascii: "u"),
      let low = hex4(bytes, at + 2), low & 0xFC00 == 0xDC00
    {
      code = 0x10000 + (code & 0x3FF) << 10 + low & 0x3FF
      at += 6
    }
    let scalar = Unicode.Scalar(code) ?? "\u{FFFD}"
    for unit in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter { output.append(unit) }
  }
  private static func hex4(_ bytes: UnsafeRawBufferPointer, _ at: Int) -> UInt32? {
    guard at + 4 <= bytes.count else { return nil }
    var code: UInt32 = 0
    for byte in bytes[at..<at + 4] {
      let letter = byte | 0x20
      let digit = byte &- UInt8(ascii: "0") < 10 ? byte &- UInt8(ascii: "0") : letter &- UInt8(ascii: "a") &+ 10
      guard digit < 16 else { return nil }
      code = code << 4 | UInt32(digit)
    }
    return code
  }
}
