public import NebulaCore

extension JSONValue {
  /// What a parser accepts.
  public struct Limits: Sendable, Hashable {
    /// Nested arrays and objects.
    public var depth: Int
    /// Bytes of the whole text.
    public var bytes: Int
    /// Makes limits.
    public init(depth: Int = 128, bytes: Int = 256 << 20) {
      self.depth = depth
      self.bytes = bytes
    }
  }

  /// Reads exactly one value (RFC 8259, UTF-8).
  public init(parsing bytes: [UInt8], limits: Limits = Limits()) throws(NebulaError) {
    guard bytes.count <= limits.bytes else {
      throw NebulaError(
        .jsonMalformed, "A JSON answer of \(bytes.count) bytes is larger than \(limits.bytes).",
        remedy: "Check that the address is the right service.")
    }
    var parser = JSONParser(bytes: bytes, depthLimit: limits.depth)
    self = try parser.document()
  }

  /// Reads exactly one value from text.
  public init(parsing text: String, limits: Limits = Limits()) throws(NebulaError) {
    try self.init(parsing: Array(text.utf8), limits: limits)
  }
}

extension NebulaError.Code {
  /// An answer is not the JSON that it should be.
  public static let jsonMalformed: Self = "http.malformed_json"
}

private struct JSONParser {
  let bytes: [UInt8]
  let depthLimit: Int
  var position = 0
  var depth = 0

  mutating func document() throws(NebulaError) -> JSONValue {
    let value = try value()
    skipBlanks()
    guard position == bytes.count else { throw problem("text after the value") }
    return value
  }

  private func problem(_ what: String) -> NebulaError {
    NebulaError(
      .jsonMalformed, "An answer is not valid JSON: \(what) at byte \(position) of \(bytes.count).",
      remedy: "Check that the address is the right service, and that no proxy changes answers.")
  }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipBlanks() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private mutating func value() throws(NebulaError) -> JSONValue {
    skipBlanks()
    guard let current else { throw problem("the end where a value was expected") }
    switch current {
    case UInt8(ascii: "{"): return try nested { (self) throws(NebulaError) in try self.object() }
    case UInt8(ascii: "["): return try nested { (self) throws(NebulaError) in try self.array() }
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default: throw problem("no value")
    }
  }

  private mutating func nested(
    _ read: (inout JSONParser) throws(NebulaError) -> JSONValue
  ) throws(NebulaError) -> JSONValue {
    depth += 1
    guard depth <= depthLimit else { throw problem("nesting deeper than \(depthLimit)") }
    position += 1
    let value = try read(&self)
    depth -= 1
    return value
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    skipBlanks()
    guard current == byte else { return false }
    position += 1
    return true
  }

  private mutating func array() throws(NebulaError) -> JSONValue {
    var elements: [JSONValue] = []
    if take(UInt8(ascii: "]")) { return .array([]) }
    repeat { elements.append(try value()) } while take(UInt8(ascii: ","))
    guard take(UInt8(ascii: "]")) else { throw problem("an array without end") }
    return .array(elements)
  }

  private mutating func object() throws(NebulaError) -> JSONValue {
    var members: [JSONValue.Member] = []
    if take(UInt8(ascii: "}")) { return .object([]) }
    repeat {
      skipBlanks()
      guard current == UInt8(ascii: "\"") else { throw problem("a member without name") }
      let name = try string()
      guard take(UInt8(ascii: ":")) else { throw problem("a member without colon") }
      members.append(.init(name, try value()))
    } while take(UInt8(ascii: ","))
    guard take(UInt8(ascii: "}")) else { throw problem("an object without end") }
    return .object(members)
  }

  private mutating func word(_ text: StaticString, _ value: JSONValue) throws(NebulaError) -> JSONValue {
    let end = position + text.utf8CodeUnitCount
    guard end <= bytes.count, bytes[position..<end].elementsEqual("\(text)".utf8) else { throw problem("no value") }
    position = end
    return value
  }

  private mutating func digits() -> Int {
    let start = position
    while let byte = current, byte >= 0x30 && byte <= 0x39 { position += 1 }
    return position - start
  }

  private mutating func number() throws(NebulaError) -> JSONValue {
    let start = position
    var isInteger = true
    if current == UInt8(ascii: "-") { position += 1 }
    let leadingZero = current == UInt8(ascii: "0")
    let count = digits()
    guard count > 0, !(leadingZero && count > 1) else { throw problem("no number") }
    if current == UInt8(ascii: ".") {
      position += 1
      isInteger = false
      guard digits() > 0 else { throw problem("no digits after the point") }
    }
    if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
      position += 1
      isInteger = false
      if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
      guard digits() > 0 else { throw problem("no digits in the exponent") }
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isInteger, let value = Int64(text) { return .integer(value) }
    return .decimal(text)
  }

  private mutating func string() throws(NebulaError) -> String {
    position += 1
    var start = position
    var text: [UInt8] = []
    while let byte = current {
      switch byte {
      case UInt8(ascii: "\""):
        text.append(contentsOf: bytes[start..<position])
        position += 1
        guard let string = String(validating: text, as: UTF8.self) else { throw problem("a string that is not UTF-8") }
        return string
      case UInt8(ascii: "\\"):
        text.append(contentsOf: bytes[start..<position])
        position += 1
        try escape(into: &text)
        start = position
      case 0..<0x20: throw problem("a control character in a string")
      default: position += 1
      }
    }
    throw problem("a string without end")
  }

  private mutating func escape(into text: inout [UInt8]) throws(NebulaError) {
    guard let byte = current else { throw problem("a string without end") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      let scalar = try scalar()
      text.append(contentsOf: Array(String(Character(scalar)).utf8))
    default: throw problem("an unknown escape")
    }
  }

  private mutating func scalar() throws(NebulaError) -> Unicode.Scalar {
    let first = try unit()
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard first < 0xDC00, current == UInt8(ascii: "\\"), position + 1 < bytes.count,
      bytes[position + 1] == UInt8(ascii: "u")
    else { throw problem("half of a surrogate pair") }
    position += 2
    let second = try unit()
    guard (0xDC00..<0xE000).contains(second),
      let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
    else { throw problem("half of a surrogate pair") }
    return scalar
  }

  private mutating func unit() throws(NebulaError) -> UInt32 {
    guard position + 4 <= bytes.count,
      bytes[position..<position + 4].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
      let unit = UInt32(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16)
    else { throw problem("an escape without four hexadecimal digits") }
    position += 4
    return unit
  }
}
