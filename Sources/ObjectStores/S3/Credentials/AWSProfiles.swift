internal import Glibc
internal import NebulaCore
internal import NebulaHTTP

/// Amazon's two files of profiles, `credentials` and `config`.
struct AWSProfiles {
  struct Place: Sendable, Hashable {
    let credentials: String
    let config: String

    init(_ settings: AWSSettings) {
      credentials = HomeFolder.expand(given(settings.credentialsFile) ?? "~/.aws/credentials")
      config = HomeFolder.expand(given(settings.configFile) ?? "~/.aws/config")
    }
  }
  /// Of a profile: values by name, those of `credentials` before those of `config`.
  private var profiles: [String: [String: String]] = [:]

  init(_ place: Place) throws(NebulaError) {
    for (path, isConfig) in [(place.config, true), (place.credentials, false)] {
      let file = SmallFile(
        path: path, what: "file of profiles",
        remedy: "Check its rights, AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE.")
      guard let bytes = try file.readIfThere() else { continue }
      add(String(decoding: bytes, as: UTF8.self), isConfig: isConfig)
    }
  }

  /// Reads the text of a file.
  init(credentials: String, config: String = "") {
    add(config, isConfig: true)
    add(credentials, isConfig: false)
  }

  private mutating func add(_ text: String, isConfig: Bool) {
    var current: String?
    /// How far the setting before is indented; nil after a section's name, which has no second line.
    var indent: Int?
    for line in text.split(whereSeparator: \.isNewline) {
      let words = line.trimmed
      if words.isEmpty || words.hasPrefix("#") || words.hasPrefix(";") { continue }
      let depth = line.prefix { $0.isWhitespace }.count
      // a deeper line belongs to the setting before it, such as `s3 =`, whatever it looks like: Amazon's own clients
      // read it so, and take settings that are all indented alike for what they are
      if let indent, depth > indent { continue }
      indent = depth
      if words.hasPrefix("["), let end = words.firstIndex(of: "]") {
        indent = nil
        current = Self.name(words[words.index(after: words.startIndex)..<end].trimmed, isConfig: isConfig)
        if let current { profiles[current, default: [:]].merge([:]) { $1 } }
      } else if let current, let equals = words.firstIndex(where: { $0 == "=" || $0 == ":" }) {
        let name = words[..<equals].trimmed.lowercased()
        profiles[current]?[name] = words[words.index(after: equals)...].trimmed
      }
    }
  }

  /// `config` says `[profile x]`, save for `[default]`; its other sections are no profiles.
  private static func name(_ section: String, isConfig: Bool) -> String? {
    guard isConfig, section != "default" else { return section }
    guard section.hasPrefix("profile"), let blank = section.firstIndex(where: \.isWhitespace) else { return nil }
    return section[blank...].trimmed.filter { $0 != "\"" }
  }

  /// The region that the profile of the settings names.
  static func region(_ settings: AWSSettings) throws(NebulaError) -> String? {
    try AWSProfiles(Place(settings)).profile(given(settings.profile) ?? "default")?.region
  }

  /// nil when there is none of that name.
  func profile(_ name: String) -> AWSProfile? { profiles[name].map { AWSProfile(name: name, $0) } }
}

/// What one profile says.
struct AWSProfile: Sendable, Hashable {
  enum Kind: Sendable, Hashable {
    case keys(S3Credentials)
    case webIdentity(AWSWebIdentity.Role)
    case unsupported(why: String, remedy: String)
    case none
  }
  let name: String
  let kind: Kind
  let region: String?

  init(name: String, _ values: [String: String]) {
    self.name = name
    region = given(values["region"])
    kind = Self.kind(values)
  }

  /// A role comes before the keys of the same profile, as Amazon's own clients have it.
  private static func kind(_ values: [String: String]) -> Kind {
    if let role = given(values["role_arn"]) {
      guard let file = given(values["web_identity_token_file"]) else {
        return .unsupported(
          why: "takes the role \(role) from other credentials (source_profile or credential_source)",
          remedy:
            "Give the role's keys (aws sts assume-role), or a web identity: role_arn with web_identity_token_file.")
      }
      return .webIdentity(
        AWSWebIdentity.Role(
          arn: role, tokenFile: HomeFolder.expand(file), sessionName: given(values["role_session_name"])))
    }
    if let key = given(values["aws_access_key_id"]), let secret = given(values["aws_secret_access_key"]) {
      return .keys(S3Credentials(accessKey: key, secretKey: secret, sessionToken: given(values["aws_session_token"])))
    }
    if values["sso_session"] != nil || values["sso_start_url"] != nil {
      return .unsupported(
        why: "logs in by SSO, which needs a person at a browser",
        remedy:
          "Run `eval \"$(aws configure export-credentials --format env)\"` first, or give a loader keys or a role "
          + "of its own.")
    }
    if values["credential_process"] != nil {
      return .unsupported(
        why: "starts another program for its credentials (credential_process)",
        remedy: "Run `eval \"$(aws configure export-credentials --format env)\"` first, or give the keys.")
    }
    return .none
  }
}

/// The keys of a profile; its file is read again before long, since other programs renew them.
struct AWSProfileKeys: CredentialSource {
  let place: AWSProfiles.Place
  let name: String

  func fetch() async throws -> AWSKeys {
    guard case .keys(let keys) = try AWSProfiles(place).profile(name)?.kind else {
      throw NebulaError(
        .credentialsUnavailable, "The profile '\(name)' holds no keys any more.",
        remedy: "Add aws_access_key_id and aws_secret_access_key to it.", at: .init(path: place.credentials),
        exit: .environment)
    }
    return AWSKeys(keys, lifetime: .seconds(1800))
  }
}

/// Where this user's files lie.
enum HomeFolder {
  /// `~/` at the beginning becomes the user's folder.
  static func expand(_ path: String) -> String {
    guard path.hasPrefix("~/"), let home = getenv("HOME") else { return path }
    return String(cString: home) + path.dropFirst(1)
  }
}
