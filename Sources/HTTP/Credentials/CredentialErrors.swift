public import NebulaCore

extension NebulaError.Code {
  /// The other side, or whoever gives out tokens, refuses these credentials.
  public static let credentialsRefused: Self = "credentials.refused"
  /// No credentials were given, or whoever gives out tokens can't be reached.
  public static let credentialsUnavailable: Self = "credentials.unavailable"
}

/// The errors of credentials, for the docs.
public let credentialErrors: [ErrorSpecification] = [
  .init(
    .credentialsRefused, "Credentials are refused: a wrong key, a wrong or expired secret, a wrong tenant.",
    remedy: "See the message; give the right ones."),
  .init(
    .credentialsUnavailable, "No credentials were given, or whoever gives out tokens can't be reached.",
    remedy: "Give credentials, or run where there is a managed identity."),
]
