/// What a connector found of its settings in places of its own: a file of connections, say.
///
/// It is asked once, while the configuration is read, so that validation, redaction and the pipeline's identity see the
/// completed settings: a value that moves from such a file into the configuration changes nothing.
public struct Completion: Sendable {
  /// The settings that were written, and those that were found.
  public var properties: Properties
  /// The properties that the environment may not fill any more: they would contradict what was found.
  public var closed: Set<String> = []
  /// What was read and may never be shown, beside the values of secret properties.
  public var secrets: [String] = []
  /// Where else a missing property may be given, by its name: the end of the remedy's first sentence.
  public var hints: [String: String] = [:]
  /// What a user should know of it.
  public var remarks: [Remark] = []
  /// What is wrong.
  public var errors: [NebulaError] = []
  /// Nothing found.
  public init(_ properties: Properties) { self.properties = properties }
}

/// A line for the log that comes before there is a log.
public struct Remark: Sendable, Hashable {
  /// How important it is.
  public let level: Logger.Level
  /// The line.
  public let text: String
  /// Makes a remark.
  public init(_ level: Logger.Level, _ text: String) {
    self.level = level
    self.text = text
  }
}
