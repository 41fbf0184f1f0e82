internal import NebulaCore

/// Puts what was written above what was found, so that no half of one login is mixed with a half of another.
enum ConnectionLayers {
  /// What proves who logs in.
  enum Proof: CaseIterable, Sendable {
    case password, key, token, client

    var properties: [String] {
      switch self {
      case .password: ["password"]
      case .key: ["private_key", "private_key_path"]
      case .token: ["token", "token_file_path"]
      case .client: ["oauth_client_id", "oauth_client_secret"]
      }
    }
    /// A secret and its file say the same thing twice; an id and its secret complete each other.
    var isOneOf: Bool { self == .key || self == .token }

    /// The proof that an authenticator asks for; nil when there is none.
    init?(authenticator: String) {
      switch authenticator.lowercased() {
      case "snowflake", "username_password_mfa": self = .password
      case "snowflake_jwt": self = .key
      case "oauth", "programmatic_access_token": self = .token
      case "oauth_client_credentials": self = .client
      default: return nil
      }
    }
  }

  /// The properties that belong together: of these the environment must not add what contradicts.
  static let grouped = Set(Proof.allCases.flatMap(\.properties) + ["authenticator", "account", "host", "account_url"])

  /// `upper` wins. Of `lower` comes what `upper` lacks, without the address of another account, and without proofs that
  /// belong to another way to log in. An account beside an address is only what the login calls it.
  static func merge(_ upper: Properties, over lower: Properties) -> Properties {
    var merged = upper
    for entry in lower.entries where upper[entry.name] == nil && !contradicts(entry.name, upper, lower) {
      merged.set(entry.name, entry.value, named: entry.place)
    }
    return merged
  }

  private static func contradicts(_ name: String, _ upper: Properties, _ lower: Properties) -> Bool {
    func has(_ names: [String]) -> Bool { names.contains { upper[$0] != nil } }
    if name == "host" || name == "account_url" {
      let accounts = [upper, lower].compactMap { $0["account"]?.text?.lowercased() }
      return has(["host", "account_url"]) || Set(accounts).count == 2
    }
    let written = Proof.allCases.filter { has($0.properties) }
    if name == "authenticator" {
      guard !written.isEmpty else { return false }
      return lower[name]?.text.flatMap { Proof(authenticator: $0) }.map { !written.contains($0) } ?? true
    }
    guard let proof = Proof.allCases.first(where: { $0.properties.contains(name) }) else { return false }
    if proof.isOneOf, written.contains(proof) { return true }
    if let authenticator = upper["authenticator"]?.text { return Proof(authenticator: authenticator) != proof }
    return !written.isEmpty && !written.contains(proof)
  }
}
