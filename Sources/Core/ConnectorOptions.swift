/// A connector's options: a struct with a default for everything, and the list of what may be written.
public protocol ConnectorOptions: Sendable {
  /// All defaults.
  init()
  /// Every property, in the order of the docs.
  static var fields: [Field<Self>] { get }
  /// Checks what no single property shows (one needs another, two exclude each other).
  func validate() throws(NebulaError)
}

extension ConnectorOptions {
  /// Nothing to check.
  public func validate() throws(NebulaError) {}

  /// Decodes and checks `properties`: an unknown name, a wrong type, a value out of range and a missing property are
  /// errors with their place and remedy.
  public init(decoding properties: Properties) throws(NebulaError) {
    self.init()
    let names = Self.fields.map(\.specification.name)
    for entry in properties.entries where !names.contains(entry.name) {
      let hint = closest(to: entry.name, among: names).map { "Did you mean '\($0)'? " } ?? ""
      throw NebulaError(
        .unknownProperty, "There is no property '\(entry.name)'.",
        remedy: "\(hint)Known: \(names.joined(separator: ", ")).", at: entry.place, exit: .configuration)
    }
    for field in Self.fields {
      let specification = field.specification
      guard let value = properties[specification.name] else {
        if specification.isRequired { throw specification.missing() }
        continue
      }
      try field.decode(&self, value)
    }
    try validate()
  }
}

extension PropertySpecification {
  func missing(hint: String? = nil) -> NebulaError {
    let variable = environment.first.map { " or set \($0) in the environment" } ?? ""
    let elsewhere = hint.map { ", or give it \($0)" } ?? ""
    return NebulaError(
      .missingProperty, "The property '\(name)' is missing.", remedy: "Write it\(variable)\(elsewhere). \(help)",
      at: .init(path: name), exit: .configuration)
  }
  /// The error for a value that does not fit; a secret's text is not repeated.
  func bad(_ value: PropertyValue, _ problem: String) -> NebulaError {
    let shown = isSecret ? "The value" : value.text.map { "'\($0)'" } ?? "The value"
    return NebulaError(
      .badProperty, "\(name): \(shown) \(problem).", remedy: "\(help)\(example.map { " Example: \($0)" } ?? "")",
      at: value.place, exit: .configuration)
  }
}

/// One property of `Options`, written down once: how it is called and where its value goes.
public struct Field<Options>: Sendable {
  /// What docs, validation and redaction need.
  public var specification: PropertySpecification
  let decode: @Sendable (inout Options, PropertyValue) throws(NebulaError) -> Void

  /// A property that decodes into `path`. The default shown in the docs is that of `Options()`.
  public init<Value: PropertyDecodable>(
    _ name: String, _ path: any WritableKeyPath<Options, Value> & Sendable, required: Bool = false,
    range: ClosedRange<Value>? = nil, environment: [String] = [], secret: Bool = false, identity: Bool = false,
    identityElse: [String] = [], example: String? = nil, _ help: String
  ) where Options: ConnectorOptions {
    let specification = PropertySpecification(
      name: name, kind: Value.kind, choices: Value.choices, minimum: range?.lowerBound.written,
      maximum: range?.upperBound.written, fallback: required ? nil : Options()[keyPath: path].written,
      isRequired: required, environment: environment, isSecret: secret, isIdentity: identity,
      identityElse: identityElse, help: help,
      example: example)
    self.init(specification, path, check: { range?.contains($0) ?? true })
  }

  /// A property without an order, so without a range.
  public init<Value: PropertyDecodable>(
    _ name: String, _ path: any WritableKeyPath<Options, Value> & Sendable, required: Bool = false,
    environment: [String] = [], secret: Bool = false, identity: Bool = false, identityElse: [String] = [],
    example: String? = nil, _ help: String
  ) where Options: ConnectorOptions {
    let specification = PropertySpecification(
      name: name, kind: Value.kind, choices: Value.choices, minimum: nil, maximum: nil,
      fallback: required ? nil : Options()[keyPath: path].written, isRequired: required, environment: environment,
      isSecret: secret, isIdentity: identity, identityElse: identityElse, help: help, example: example)
    self.init(specification, path, check: { _ in true })
  }

  private init<Value: PropertyDecodable>(
    _ specification: PropertySpecification, _ path: any WritableKeyPath<Options, Value> & Sendable,
    check: @escaping @Sendable (Value) -> Bool
  ) {
    self.specification = specification
    decode = { (options, value) throws(NebulaError) in
      guard let decoded = Value(property: value) else { throw specification.bad(value, specification.expectation) }
      guard check(decoded) else {
        throw specification.bad(
          value, "is out of range (\(specification.minimum ?? "") to \(specification.maximum ?? ""))")
      }
      options[keyPath: path] = decoded
    }
  }
}

extension PropertySpecification {
  var expectation: String {
    switch kind {
    case .choice: "is none of \(choices.joined(separator: ", "))"
    case .duration: "is not a duration such as 250ms, 30s, 15m or 2h"
    case .bytes: "is not a size such as 512KiB, 64MiB or a number of bytes"
    case .list: "is not a list"
    case .map: "is not a map of names and texts"
    default: "is not a \(kind.rawValue)"
    }
  }
}
