/// What a configuration says about how to log in to Azure Storage. Names are those of Azure's environment variables.
public struct AzureCredentialSettings: Sendable, Hashable {
  /// The account's key, in base64.
  public var sharedKey: String?
  /// A shared access signature, with or without its `?`.
  public var sas: String?
  /// `AZURE_TENANT_ID`
  public var tenantID: String?
  /// `AZURE_CLIENT_ID`: of the service principal, the workload, or the user-assigned managed identity.
  public var clientID: String?
  /// `AZURE_CLIENT_SECRET`
  public var clientSecret: String?
  /// `AZURE_FEDERATED_TOKEN_FILE`
  public var federatedTokenFile: String?
  /// `AZURE_AUTHORITY_HOST`; Azure's public cloud when nil.
  public var authorityHost: String?
  /// `AZURE_POD_IDENTITY_AUTHORITY_HOST`; `http://169.254.169.254` when nil.
  public var podIdentityHost: String?
  /// `IDENTITY_ENDPOINT`, set by App Service and Container Apps.
  public var identityEndpoint: String?
  /// `IDENTITY_HEADER`, set by them too: a secret.
  public var identityHeader: String?
  /// Nothing set: the managed identity of this machine.
  public init() {}
}
