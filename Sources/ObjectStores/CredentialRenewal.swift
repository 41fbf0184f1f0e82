/// Gives other credentials than those that a store has refused as expired; nil when there are none.
public typealias CredentialRenewal<Credentials> = @Sendable (_ refused: Credentials) async throws -> Credentials?

enum CredentialRenewals {
  /// For one request: whoever is refused with new ones as well has another problem.
  static let most = 2
}
