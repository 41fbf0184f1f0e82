public import NebulaCore

extension NebulaError.Code {
  /// The configuration can't be parsed.
  public static let configurationSyntax: Self = "config.syntax"
  /// The configuration can't be read.
  public static let configurationUnreadable: Self = "config.unreadable"
  /// `${VAR}` names a variable that is not set.
  public static let unsetVariable: Self = "config.unset_variable"
  /// `${file:…}` names a file that can't be read.
  public static let unreadableFile: Self = "config.unreadable_file"
  /// A `--set` that can't be understood.
  public static let badOverride: Self = "config.bad_override"
  /// A pipeline's name with other characters than it may have.
  public static let badName: Self = "config.bad_name"
}

/// The errors of reading a configuration, for the docs.
public let configurationErrors: [ErrorSpecification] = [
  .init(.configurationSyntax, "The configuration is not valid YAML or JSON.", remedy: "Mend the line that it names."),
  .init(.configurationUnreadable, "The configuration can't be read.", remedy: "Check the path and its rights."),
  .init(.unsetVariable, "`${VAR}` names a variable that is not set.", remedy: "Set it, or write `${VAR:-default}`."),
  .init(.unreadableFile, "`${file:…}` names a file that can't be read.", remedy: "Check the path and its rights."),
  .init(.badOverride, "A `--set` can't be understood.", remedy: "Write `--set source.database=shop`."),
  .init(
    .badName, "A pipeline's name has characters that it may not have.",
    remedy: "Use letters, digits, '.', '_' and '-', starting with a letter or digit, 100 at most."),
]

/// Everything that is wrong with a configuration, in the order of its text.
public struct ConfigurationProblems: Error, Sendable {
  /// At least one.
  public let errors: [NebulaError]
  /// Makes problems of at least one error.
  public init(errors: [NebulaError]) { self.errors = errors }
}

func configurationError(
  _ code: NebulaError.Code, _ message: String, remedy: String, at place: NebulaError.Place?
) -> NebulaError {
  NebulaError(code, message, remedy: remedy, at: place, exit: .configuration)
}
