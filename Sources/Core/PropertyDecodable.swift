/// A type that reads itself from a configuration's node and shows itself as it would be written.
public protocol PropertyDecodable: Sendable {
  /// Its kind in the docs.
  static var kind: PropertySpecification.Kind { get }
  /// For choices: what may be written.
  static var choices: [String] { get }
  /// Reads itself; nil when the node does not fit.
  init?(property: PropertyValue)
  /// As it would be written; nil for "not set".
  var written: String? { get }
}

extension PropertyDecodable {
  /// None.
  public static var choices: [String] { [] }
}

extension String: PropertyDecodable {
  /// Text.
  public static var kind: PropertySpecification.Kind { .string }
  /// A scalar's text.
  public init?(property: PropertyValue) {
    guard let text = property.text else { return nil }
    self = text
  }
  /// Itself; an empty text is "not set".
  public var written: String? { isEmpty ? nil : self }
}

extension Int: PropertyDecodable {
  /// A whole number.
  public static var kind: PropertySpecification.Kind { .integer }
  /// Decimal; underscores may group digits, as in YAML.
  public init?(property: PropertyValue) {
    guard let text = property.text else { return nil }
    self.init(text.filter { $0 != "_" })
  }
  /// Decimal.
  public var written: String? { String(self) }
}

extension Bool: PropertyDecodable {
  /// True or false.
  public static var kind: PropertySpecification.Kind { .boolean }
  /// `true` or `false`, in any case; nothing else, so that a typo is not a choice.
  public init?(property: PropertyValue) {
    switch property.text?.lowercased() {
    case "true": self = true
    case "false": self = false
    default: return nil
    }
  }
  /// `true` or `false`.
  public var written: String? { self ? "true" : "false" }
}

extension Duration: PropertyDecodable {
  /// A duration.
  public static var kind: PropertySpecification.Kind { .duration }
  /// A whole number followed by `ms`, `s`, `m`, `h` or `d`.
  public init?(property: PropertyValue) {
    guard let text = property.text else { return nil }
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let units: [Substring: Int64] = ["ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
    let unit = text.dropFirst(digits.count).drop { $0 == " " }
    guard let number = Int64(digits), let factor = units[unit] else { return nil }
    let (milliseconds, overflow) = number.multipliedReportingOverflow(by: factor)
    guard !overflow else { return nil }
    self = .milliseconds(milliseconds)
  }
  /// In the largest unit that is whole.
  public var written: String? {
    let milliseconds = wholeMilliseconds
    for (unit, factor) in [("h", Int64(3_600_000)), ("m", 60_000), ("s", 1000)]
    where milliseconds > 0 && milliseconds % factor == 0 {
      return "\(milliseconds / factor)\(unit)"
    }
    return "\(milliseconds)ms"
  }
  /// Whole milliseconds, cut.
  public var wholeMilliseconds: Int64 {
    components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
  }
  /// Seconds, for rates.
  public var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}

/// A number of bytes, written with a unit.
public struct ByteCount: PropertyDecodable, Hashable, Comparable, ExpressibleByIntegerLiteral {
  /// How many.
  public var bytes: Int
  /// Makes a count.
  public init(_ bytes: Int) { self.bytes = bytes }
  /// Makes a count.
  public init(integerLiteral value: Int) { bytes = value }
  /// `count` times 1,048,576.
  public static func mebibytes(_ count: Int) -> ByteCount { ByteCount(count << 20) }
  /// By size.
  public static func < (a: Self, b: Self) -> Bool { a.bytes < b.bytes }
  /// A size.
  public static var kind: PropertySpecification.Kind { .bytes }
  /// A whole number, alone or followed by `B`, `KB`, `MB`, `GB` (thousands) or `KiB`, `MiB`, `GiB` (1,024s).
  public init?(property: PropertyValue) {
    guard let text = property.text else { return nil }
    let digits = text.prefix { $0.isASCII && $0.isNumber || $0 == "_" }
    let units: [String: Int] = [
      "": 1, "b": 1, "kb": 1000, "mb": 1_000_000, "gb": 1_000_000_000, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
    ]
    let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
    guard let number = Int(digits.filter { $0 != "_" }), let factor = units[unit] else { return nil }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
    guard !overflow else { return nil }
    self.bytes = bytes
  }
  /// In the largest unit that is whole.
  public var written: String? {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] where bytes > 0 && bytes % (1 << shift) == 0 {
      return "\(bytes >> shift)\(unit)"
    }
    return String(bytes)
  }
}

extension Optional: PropertyDecodable where Wrapped: PropertyDecodable {
  /// Its value's kind.
  public static var kind: PropertySpecification.Kind { Wrapped.kind }
  /// Its value's choices.
  public static var choices: [String] { Wrapped.choices }
  /// Reads a value.
  public init?(property: PropertyValue) {
    guard let value = Wrapped(property: property) else { return nil }
    self = .some(value)
  }
  /// Nil when not set.
  public var written: String? { self?.written }
}

extension Array: PropertyDecodable where Element == String {
  /// A list.
  public static var kind: PropertySpecification.Kind { .list }
  /// A list of scalars, or one scalar with commas between (for `--set` and the environment).
  public init?(property: PropertyValue) {
    switch property {
    case .scalar(let text, _):
      self = text.split(separator: ",").map { String($0.drop { $0 == " " }) }
    case .list(let items, _):
      let texts = items.compactMap(\.text)
      guard texts.count == items.count else { return nil }
      self = texts
    case .map: return nil
    }
  }
  /// With commas between.
  public var written: String? { isEmpty ? nil : joined(separator: ",") }
}

extension Dictionary: PropertyDecodable where Key == String, Value == String {
  /// A map.
  public static var kind: PropertySpecification.Kind { .map }
  /// A map of scalars.
  public init?(property: PropertyValue) {
    guard case .map(let entries, _) = property else { return nil }
    self.init()
    for entry in entries {
      guard let text = entry.value.text else { return nil }
      self[entry.name] = text
    }
  }
  /// Not shown.
  public var written: String? { nil }
}

extension PropertyValue: PropertyDecodable {
  /// Any structure.
  public static var kind: PropertySpecification.Kind { .structure }
  /// Itself.
  public init?(property: PropertyValue) { self = property }
  /// Not shown.
  public var written: String? { nil }
}

/// An enumeration of texts: conform, and it can be a property.
public protocol PropertyChoice: PropertyDecodable, RawRepresentable, CaseIterable where RawValue == String {}

extension PropertyChoice {
  /// A choice.
  public static var kind: PropertySpecification.Kind { .choice }
  /// What may be written.
  public static var choices: [String] { allCases.map(\.rawValue) }
  /// Exact, else without regard to case (Snowflake's own options are written in capitals by habit).
  public init?(property: PropertyValue) {
    guard let text = property.text else { return nil }
    let match =
      Self.allCases.first { $0.rawValue == text }
      ?? Self.allCases.first { $0.rawValue.lowercased() == text.lowercased() }
    guard let match else { return nil }
    self = match
  }
  /// Its text.
  public var written: String? { rawValue }
}
