internal import NebulaCore

/// Header fields in the order in which they were added; names are looked up without regard to case.
public struct HTTPHeaders: Sendable, Hashable, ExpressibleByDictionaryLiteral {
  /// One field.
  public struct Field: Sendable, Hashable {
    /// Its name, as written.
    public let name: String
    /// Its value, without blanks around it.
    public let value: String
  }
  /// All fields.
  public private(set) var fields: [Field] = []

  /// No fields.
  public init() {}
  /// Fields from a literal. A name or value that can't be sent is refused when the request is performed.
  public init(dictionaryLiteral elements: (String, String)...) {
    for (name, value) in elements { add(name, value) }
  }

  /// The first value called `name`; setting replaces every field of that name, setting nil removes them.
  public subscript(name: String) -> String? {
    get { fields.first { Self.equal($0.name, name) }?.value }
    set {
      let index = fields.firstIndex { Self.equal($0.name, name) }
      fields.removeAll { Self.equal($0.name, name) }
      guard let newValue else { return }
      fields.insert(Field(name: name, value: Self.trimmed(newValue)), at: index ?? fields.count)
    }
  }

  /// Adds a field, also when one of that name is there.
  public mutating func add(_ name: String, _ value: String) {
    fields.append(Field(name: name, value: Self.trimmed(value)))
  }

  /// Every value called `name`.
  public func all(_ name: String) -> [String] { fields.filter { Self.equal($0.name, name) }.map(\.value) }

  /// The error that keeps these fields from being sent: a name that is no token, a value with a line break in it.
  var problem: NebulaError? {
    for field in fields {
      guard !field.name.isEmpty, field.name.utf8.allSatisfy(Self.isToken) else {
        return .init(
          .httpBadRequest, "A header's name holds a character that HTTP does not allow.",
          remedy: "Use letters, digits and hyphens in header and metadata names.", native: printable(field.name))
      }
      guard field.value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
        return .init(
          .httpBadRequest, "The value of the header \(field.name) holds a line break or control character.",
          remedy: "Remove it: it could smuggle in another header.")
      }
    }
    return nil
  }

  private func printable(_ name: String) -> String {
    String(name.unicodeScalars.map { $0.isASCII && $0.value > 32 ? Character($0) : "?" })
  }

  private static func isToken(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "A")...UInt8(ascii: "Z"):
      true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
  }

  private static func lower(_ byte: UInt8) -> UInt8 { byte >= 65 && byte <= 90 ? byte + 32 : byte }

  static func equal(_ one: String, _ other: String) -> Bool {
    one.utf8.count == other.utf8.count && zip(one.utf8, other.utf8).allSatisfy { lower($0) == lower($1) }
  }

  private static func trimmed(_ value: String) -> String {
    var text = Substring(value)
    while text.utf8.first == 0x20 || text.utf8.first == 0x09 { text = text.dropFirst() }
    while text.utf8.last == 0x20 || text.utf8.last == 0x09 { text = text.dropLast() }
    return String(text)
  }
}
