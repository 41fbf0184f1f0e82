/// What a configuration says about how to log in to Amazon's services. Names are those of Amazon's environment variables;
/// an empty text is none.
public struct AWSSettings: Sendable, Hashable {
  /// `AWS_ACCESS_KEY_ID`
  public var accessKeyID: String?
  /// `AWS_SECRET_ACCESS_KEY`
  public var secretAccessKey: String?
  /// `AWS_SESSION_TOKEN`
  public var sessionToken: String?
  /// `AWS_REGION`
  public var region: String?
  /// `AWS_ENDPOINT_URL_S3`: another service than Amazon's.
  public var endpoint: String?
  /// `AWS_ROLE_ARN`
  public var roleARN: String?
  /// `AWS_WEB_IDENTITY_TOKEN_FILE`
  public var webIdentityTokenFile: String?
  /// `AWS_ROLE_SESSION_NAME`
  public var roleSessionName: String?
  /// `AWS_ENDPOINT_URL_STS`
  public var stsEndpoint: String?
  /// `AWS_PROFILE`; `default` when nil.
  public var profile: String?
  /// `AWS_SHARED_CREDENTIALS_FILE`; `~/.aws/credentials` when nil.
  public var credentialsFile: String?
  /// `AWS_CONFIG_FILE`; `~/.aws/config` when nil.
  public var configFile: String?
  /// `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, set by ECS.
  public var containerRelativeURI: String?
  /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`, set by EKS.
  public var containerFullURI: String?
  /// `AWS_CONTAINER_AUTHORIZATION_TOKEN`: a secret.
  public var containerToken: String?
  /// `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`
  public var containerTokenFile: String?
  /// `AWS_EC2_METADATA_SERVICE_ENDPOINT`; `http://169.254.169.254` when nil.
  public var metadataEndpoint: String?
  /// `AWS_EC2_METADATA_DISABLED`: `true` leaves the machine's role out.
  public var metadataDisabled: String?
  /// Nothing set: the profile `default` of this machine's files, else the role of this machine.
  public init() {}
}
