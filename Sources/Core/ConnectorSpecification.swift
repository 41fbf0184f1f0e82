/// What a connector is called and takes: plain data, so that a plugin can send it as JSON. Decoding, validation,
/// `describe`, the docs page and redaction all walk it; a property is written down nowhere else.
public struct ConnectorSpecification: Sendable, Hashable, Codable {
  /// Which end of a pipeline.
  public enum Role: String, Sendable, Hashable, Codable { case source, destination }
  /// As in `--source NAME`.
  public var name: String
  /// Which end it is.
  public var role: Role
  /// One sentence.
  public var summary: String
  /// In the order of the docs.
  public var properties: [PropertySpecification]
  /// The errors only this connector gives.
  public var errors: [ErrorSpecification]
  /// What the docs say beside the properties, in Markdown with headings of the third level: an example, how to use the
  /// result; nil for nothing.
  public var guide: String?
  /// Makes a specification.
  public init(
    name: String, role: Role, summary: String, properties: [PropertySpecification], errors: [ErrorSpecification] = [],
    guide: String? = nil
  ) {
    self.name = name
    self.role = role
    self.summary = summary
    self.properties = properties
    self.errors = errors
    self.guide = guide
  }

  /// The secret values in `properties`: whatever is shown is searched for them first.
  public func secrets(in given: Properties) -> [String] {
    properties.filter(\.isSecret).compactMap { given[$0.name]?.text }.filter { !$0.isEmpty }
  }

  /// The properties that say *what* is moved, as written or by default, for the identity stored with the position.
  public func identity(of given: Properties) -> [String: String] {
    var identity: [String: String] = [:]
    for property in properties where property.isIdentity {
      let value = ([property.name] + property.identityElse).lazy.compactMap { given[$0]?.canonical }.first
      identity[property.name] = value ?? property.fallback ?? ""
    }
    return identity
  }
}

extension PropertyValue {
  /// The same text for the same content, however it was written.
  public var canonical: String {
    switch self {
    case .scalar(let text, _): text
    case .list(let items, _): "[" + items.map(\.canonical).joined(separator: ",") + "]"
    case .map(let entries, _):
      "{" + entries.map { "\($0.name):\($0.value.canonical)" }.sorted().joined(separator: ",") + "}"
    }
  }
}

/// One property of a connector.
public struct PropertySpecification: Sendable, Hashable, Codable {
  /// The type of the value as written.
  public enum Kind: String, Sendable, Hashable, Codable {
    /// Any text.
    case string
    /// A whole number.
    case integer
    /// `true` or `false`.
    case boolean
    /// A number with a unit: `250ms`, `30s`, `15m`, `2h`.
    case duration
    /// A number with a unit: `512KiB`, `64MiB`, `1GiB`, or bytes.
    case bytes
    /// One of `choices`.
    case choice
    /// A list of texts.
    case list
    /// Names and texts.
    case map
    /// Any structure, as the connector documents it.
    case structure
  }
  /// As in a configuration file.
  public var name: String
  /// The type.
  public var kind: Kind
  /// For `choice`: what may be written.
  public var choices: [String]
  /// The smallest value allowed, as it would be written.
  public var minimum: String?
  /// The largest value allowed, as it would be written.
  public var maximum: String?
  /// What holds when nothing is written; nil when the property has no value then.
  public var fallback: String?
  /// True when it must be written (or come from the environment).
  public var isRequired: Bool
  /// The environment variables that fill it, the first that is set wins.
  public var environment: [String]
  /// True when its value may never be shown.
  public var isSecret: Bool
  /// True when it says what is moved: stored with the position, and a difference stops the pipeline.
  public var isIdentity: Bool
  /// The properties that say the same thing when this one is not written: an address instead of an account.
  public var identityElse: [String] = []
  /// One line of help.
  public var help: String
  /// A value to show in the docs.
  public var example: String?
}
