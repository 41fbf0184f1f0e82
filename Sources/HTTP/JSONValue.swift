/// A JSON value, for answers of control planes (logins, query results). Never used in the data path.
public indirect enum JSONValue: Sendable, Hashable {
  /// `null`
  case null
  /// `true`, `false`
  case bool(Bool)
  /// A number without fraction and exponent that 64 bits hold: exact.
  case integer(Int64)
  /// Any other number, as it was written.
  case decimal(String)
  /// A string.
  case string(String)
  /// A list.
  case array([JSONValue])
  /// Members in the order in which they were written.
  case object([Member])

  /// A member of an object.
  public struct Member: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// Its value.
    public var value: JSONValue
    /// Makes a member.
    public init(_ name: String, _ value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  /// The member called `name` of an object (the last, if there are several); nil when there is none.
  public subscript(name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.last { $0.name == name }?.value
  }
  /// The element at `index` of an array; nil when there is none.
  public subscript(index: Int) -> JSONValue? {
    guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
    return elements[index]
  }

  /// The text of a string.
  public var string: String? { if case .string(let text) = self { text } else { nil } }
  /// The value of an integer.
  public var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
  /// The value of a boolean.
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  /// The elements of an array.
  public var array: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }
  /// The members of an object.
  public var object: [Member]? { if case .object(let members) = self { members } else { nil } }
  /// True for `null`.
  public var isNull: Bool { self == .null }
  /// The text of a string or a number: identifiers come as either.
  public var stringOrNumber: String? {
    switch self {
    case .string(let text), .decimal(let text): text
    case .integer(let value): String(value)
    default: nil
    }
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  /// `"text"`
  public init(stringLiteral value: String) { self = .string(value) }
  /// `1`
  public init(integerLiteral value: Int64) { self = .integer(value) }
  /// `true`
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// `nil`
  public init(nilLiteral: ()) { self = .null }
  /// `[1, 2]`
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  /// `["name": 1]`
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(elements.map { Member($0.0, $0.1) })
  }
}
