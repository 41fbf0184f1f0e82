/// Keys for S3; `sessionToken` for those that expire. Not printable.
public struct S3Credentials: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
  /// The public part.
  public var accessKey: String
  /// The secret part.
  public var secretKey: String
  /// The token of temporary keys.
  public var sessionToken: String?
  /// Makes credentials.
  public init(accessKey: String, secretKey: String, sessionToken: String? = nil) {
    self.accessKey = accessKey
    self.secretKey = secretKey
    self.sessionToken = sessionToken
  }
  /// Says nothing.
  public var description: String { "S3Credentials(…)" }
  /// Says nothing.
  public var debugDescription: String { description }
}
