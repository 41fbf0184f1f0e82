public import NebulaCore
internal import NebulaHTTP

/// Which way of logging in to Amazon's services the settings mean: a pure value.
///
/// The order is that of Amazon's own clients: keys, web identity, the profile of the files, the container's role, the
/// machine's role. Which one it is follows from what is set; one that is set and fails is an error, never a reason to
/// try the next.
enum AWSCredentialChoice: Sendable, Hashable {
  case keys(S3Credentials)
  case webIdentity(AWSWebIdentity.Role)
  case profile(AWSProfiles.Place, name: String)
  case container(AWSContainer)
  case machine(endpoint: String)

  /// `profile` is what the files say; nil when they are not there, or have nothing of that name.
  init(_ settings: AWSSettings, profile: AWSProfile?) throws(NebulaError) {
    let (key, secret) = (given(settings.accessKeyID), given(settings.secretAccessKey))
    if let key, let secret {
      self = .keys(S3Credentials(accessKey: key, secretKey: secret, sessionToken: given(settings.sessionToken)))
    } else if key != nil || secret != nil {
      let missing = key == nil ? "aws_access_key_id" : "aws_secret_access_key"
      throw Self.bad("An access key is given without its other half", "Set \(missing) as well.", at: missing)
    } else if let file = given(settings.webIdentityTokenFile) {
      guard let role = given(settings.roleARN) else {
        throw Self.bad(
          "AWS_WEB_IDENTITY_TOKEN_FILE is set without AWS_ROLE_ARN", "Set aws_role_arn as well.", at: "aws_role_arn")
      }
      self = .webIdentity(AWSWebIdentity.Role(arn: role, tokenFile: file, sessionName: given(settings.roleSessionName)))
    } else if let profile, let choice = try Self.choice(of: profile, settings) {
      self = choice
    } else if let name = given(settings.profile), profile == nil {
      throw Self.bad(
        "There is no profile '\(name)'", "Check aws_profile, AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE.",
        at: "aws_profile")
    } else {
      self = try Self.surroundings(settings)
    }
  }

  private static func choice(of profile: AWSProfile, _ settings: AWSSettings) throws(NebulaError) -> Self? {
    switch profile.kind {
    case .keys: return .profile(AWSProfiles.Place(settings), name: profile.name)
    case .webIdentity(let role): return .webIdentity(role)
    case .unsupported(let why, let remedy):
      throw bad("The profile '\(profile.name)' \(why)", remedy, at: "aws_profile")
    case .none:
      guard given(settings.profile) != nil else { return nil }
      throw bad(
        "The profile '\(profile.name)' holds no credentials", "Add aws_access_key_id and aws_secret_access_key to it.",
        at: "aws_profile")
    }
  }

  /// Roles that come from where the program runs.
  private static func surroundings(_ settings: AWSSettings) throws(NebulaError) -> Self {
    if let container = try AWSContainer(settings) { return .container(container) }
    guard given(settings.metadataDisabled)?.lowercased() != "true" else {
      throw NebulaError(
        .credentialsUnavailable, "No credentials for Amazon were given, and AWS_EC2_METADATA_DISABLED is true.",
        remedy: Self.ways, exit: .environment)
    }
    return .machine(endpoint: given(settings.metadataEndpoint) ?? "http://169.254.169.254")
  }

  static let ways =
    "Set aws_access_key_id and aws_secret_access_key, a profile, or a web identity (AWS_ROLE_ARN and "
    + "AWS_WEB_IDENTITY_TOKEN_FILE); roles are there only in containers and on machines of Amazon that have one."

  static func bad(_ message: String, _ remedy: String, at property: String) -> NebulaError {
    NebulaError(.badProperty, "\(message).", remedy: remedy, at: .init(path: property), exit: .configuration)
  }
}

/// An empty text is none: that is how an environment unsets a variable.
func given(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }

extension S3Access {
  /// What `settings` say; files are read here, nothing is sent.
  public init(_ settings: AWSSettings, context: ObjectStoreContext) throws(NebulaError) {
    let tokens = TokenContext(client: context.client, clock: context.clock, random: context.random)
    func cached(_ source: some CredentialSource<AWSKeys>) -> Self {
      .cached(CredentialCache(source, clock: context.clock))
    }
    let profile = try AWSProfiles(AWSProfiles.Place(settings)).profile(given(settings.profile) ?? "default")
    switch try AWSCredentialChoice(settings, profile: profile) {
    case .keys(let keys): self = .keys(keys)
    case .webIdentity(let role):
      let region = given(settings.region) ?? profile?.region
      self = cached(
        AWSWebIdentity(role, region: region, endpoint: given(settings.stsEndpoint), context: tokens))
    case .profile(let place, let name): self = cached(AWSProfileKeys(place: place, name: name))
    case .container(let container): self = cached(AWSContainerKeys(container, context: tokens))
    case .machine(let endpoint): self = cached(AWSMachineKeys(endpoint: endpoint, context: tokens))
    }
  }
}
