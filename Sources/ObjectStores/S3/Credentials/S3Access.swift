public import NebulaHTTP

/// How S3 is told who asks.
public struct S3Access: Sendable {
  enum Kind: Sendable {
    /// Keys that are given; when they expire, whoever gave them is asked for others.
    case keys(S3Credentials, renewal: CredentialRenewal<S3Credentials>?)
    /// Keys that are asked for as they are needed.
    case cache(CredentialCache<AWSKeys>)
  }
  let kind: Kind

  /// Keys that are given.
  public static func keys(_ keys: S3Credentials, renewal: CredentialRenewal<S3Credentials>? = nil) -> Self {
    Self(kind: .keys(keys, renewal: renewal))
  }
  /// Keys that are asked for as they are needed, and again before they expire.
  public static func cached(_ cache: CredentialCache<AWSKeys>) -> Self { Self(kind: .cache(cache)) }

  /// Which way it is, for findings and errors: `access key`, `web identity` …
  public var name: String {
    switch kind {
    case .keys: "access key"
    case .cache(let cache): cache.name
    }
  }
}

/// Keys that live for some time. Not printable.
public struct AWSKeys: ExpiringCredential, CustomStringConvertible, CustomDebugStringConvertible {
  /// The keys.
  public let credentials: S3Credentials
  /// How long they are good from the moment that they were asked for.
  public let lifetime: Duration
  /// Tells two of them apart.
  public var proof: String { "\(credentials.accessKey) \(credentials.sessionToken ?? credentials.secretKey)" }
  /// Makes keys.
  public init(_ credentials: S3Credentials, lifetime: Duration) {
    self.credentials = credentials
    self.lifetime = lifetime
  }
  /// Says nothing.
  public var description: String { "AWSKeys(…)" }
  /// Says nothing.
  public var debugDescription: String { description }
}
