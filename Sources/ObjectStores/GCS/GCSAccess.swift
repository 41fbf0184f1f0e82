public import NebulaCore
public import NebulaHTTP

/// What a configuration says about how to log in to Google Cloud Storage; an empty text is none.
public struct GCSSettings: Sendable, Hashable {
  /// `GOOGLE_APPLICATION_CREDENTIALS`: a service account's key, a user's login, or an external account's configuration.
  public var credentialsPath: String?
  /// A token that is given: a secret. Nobody renews it.
  public var accessToken: String?
  /// Another service than Google's.
  public var endpoint: String?
  /// `CLOUDSDK_CONFIG`: gcloud's folder; `~/.config/gcloud` when nil.
  public var configFolder: String?
  /// `GCE_METADATA_HOST`; `169.254.169.254` when nil.
  public var metadataHost: String?
  /// Nothing set: the file that gcloud keeps, else the metadata server.
  public init() {}
}

/// How Google Cloud Storage is told who asks.
public struct GCSAccess: Sendable {
  enum Kind: Sendable {
    case token(String)
    case cache(TokenCache)
  }
  let kind: Kind
  private init(kind: Kind) { self.kind = kind }

  /// A token that nobody renews.
  public static func token(_ token: String) -> Self { Self(kind: .token(token)) }
  /// Tokens that are asked for as they are needed.
  public static func cached(_ cache: TokenCache) -> Self { Self(kind: .cache(cache)) }

  /// Which way it is, for findings and errors: `service account …`
  public var name: String {
    switch kind {
    case .token: "access token"
    case .cache(let cache): cache.name
    }
  }

  /// What `settings` say, in Google's order (application default credentials): a file that is named, gcloud's own file,
  /// the metadata server. One that is there and fails is an error, never a reason to try the next.
  public init(_ settings: GCSSettings, context: ObjectStoreContext) throws(NebulaError) {
    let tokens = TokenContext(client: context.client, clock: context.clock, random: context.random)
    if let token = given(settings.accessToken) {
      guard given(settings.credentialsPath) == nil else {
        throw Self.bad("Both an access token and a file of credentials are given", "Give one of them.")
      }
      self = .token(token)
      return
    }
    if let path = given(settings.credentialsPath) {
      let whole = HomeFolder.expand(path)
      guard let source = try GoogleCredentials.ofFile(whole, context: tokens) else {
        throw NebulaError(
          .credentialsUnavailable, "There is no file of credentials at \(whole).",
          remedy: "Check gcs_credentials_path or GOOGLE_APPLICATION_CREDENTIALS.", at: .init(path: whole),
          exit: .environment)
      }
      self = Self.cached(source, context)
      return
    }
    let folder = HomeFolder.expand(given(settings.configFolder) ?? "~/.config/gcloud")
    let known = try GoogleCredentials.ofFile("\(folder)/application_default_credentials.json", context: tokens)
    self = Self.cached(
      known ?? GoogleCredentials.ofMachine(host: given(settings.metadataHost), context: tokens), context)
  }

  private static func cached(_ source: any TokenSource, _ context: ObjectStoreContext) -> Self {
    func cache(_ source: some TokenSource) -> TokenCache { TokenCache(source, clock: context.clock) }
    return .cached(cache(source))
  }
  private static func bad(_ message: String, _ remedy: String) -> NebulaError {
    NebulaError(
      .badProperty, "\(message).", remedy: remedy, at: .init(path: "gcs_credentials_path"), exit: .configuration)
  }
}
