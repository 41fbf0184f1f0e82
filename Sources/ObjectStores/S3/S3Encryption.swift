internal import NebulaHTTP

/// How a bucket encrypts what is written to it, where that is not left to the bucket.
public struct S3Encryption: Sendable, Hashable {
  /// `AES256`, `aws:kms` or `aws:kms:dsse`.
  public var algorithm: String
  /// The key of the key management service; nil for the account's own.
  public var keyID: String?
  /// Describes one.
  public init(algorithm: String, keyID: String? = nil) {
    self.algorithm = algorithm
    self.keyID = keyID
  }

  func add(to headers: inout HTTPHeaders) {
    headers["x-amz-server-side-encryption"] = algorithm
    if let keyID { headers["x-amz-server-side-encryption-aws-kms-key-id"] = keyID }
  }
}
