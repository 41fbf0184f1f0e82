/// What a configuration says about the store behind an address; nothing is needed where the surroundings say it.
public struct ExternalStoreSettings: Sendable, Hashable {
  /// For S3.
  public var aws = AWSSettings()
  /// How S3 encrypts what is written; nil leaves it to the bucket.
  public var encryption: S3Encryption?
  /// For Google Cloud Storage.
  public var gcs = GCSSettings()
  /// For Azure.
  public var azure = AzureCredentialSettings()
  /// Another service than Azure's: `http://127.0.0.1:port/account`.
  public var azureEndpoint: String?
  /// Nothing set.
  public init() {}
}
