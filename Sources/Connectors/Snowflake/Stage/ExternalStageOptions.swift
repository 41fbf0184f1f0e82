internal import NebulaCore
internal import NebulaObjectStores

/// Whose bucket an external stage lies in.
enum ExternalStageType: String, PropertyChoice {
  case s3 = "S3"
  case azure = "AZURE"
  case gcs = "GCS"
}

/// How S3 encrypts what is written to it.
enum S3EncryptionChoice: String, PropertyChoice {
  case s3 = "AES256"
  case kms = "aws:kms"
  case doubleKMS = "aws:kms:dsse"
}

/// What the options say about an external stage.
struct ExternalStageOptions: Sendable {
  var type: ExternalStageType?
  var url: String?
  var integration: String?
  /// The clouds' own.
  var stores = ExternalStoreSettings()
  var s3Encryption: S3EncryptionChoice?
  var s3KMSKey: String?

  /// Where its files lie.
  func location() throws(NebulaError) -> ExternalLocation {
    guard let url else {
      throw NebulaError(
        .missingProperty, "use_external_stage needs the bucket's address.",
        remedy: "Set external_stage_url to s3://BUCKET/PREFIX, gcs://BUCKET/PREFIX or "
          + "azure://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX.",
        at: .init(path: "external_stage_url"), exit: .configuration)
    }
    return try ExternalLocation(url, property: "external_stage_url")
  }

  /// For our own client.
  var storeSettings: ExternalStoreSettings {
    var settings = stores
    if let s3Encryption { settings.encryption = S3Encryption(algorithm: s3Encryption.rawValue, keyID: s3KMSKey) }
    return settings
  }

  /// Checks what no single property shows.
  func validate(isUsed: Bool) throws(NebulaError) {
    guard isUsed else { return try refuseWithoutUse() }
    let location = try location()
    if let type, type.rawValue != location.kind.rawValue {
      throw Self.contradiction(
        "external_stage_type",
        "external_stage_type is \(type.rawValue), but external_stage_url is an address of "
          + location.kind.rawValue, "Leave external_stage_type out: it follows from the address.")
    }
    if let integration { _ = try Identifier(integration, property: "storage_integration") }
    if location.scheme == "s3compat" { try checkCompatible() }
    if s3KMSKey != nil, s3Encryption != .kms, s3Encryption != .doubleKMS {
      throw Self.contradiction(
        "s3_kms_key_id", "s3_kms_key_id needs s3_encryption aws:kms", "Set s3_encryption, or leave the key out.")
    }
    if s3Encryption != nil, location.kind != .s3 {
      throw Self.contradiction(
        "s3_encryption", "s3_encryption is for S3, but the stage lies in \(location.kind.rawValue)", "Leave it out.")
    }
  }

  private func checkCompatible() throws(NebulaError) {
    guard let endpoint = stores.aws.endpoint, !endpoint.isEmpty else {
      throw Self.contradiction(
        "aws_endpoint", "An address s3compat:// needs the service's host", "Set aws_endpoint.")
    }
    guard integration == nil else {
      throw Self.contradiction(
        "storage_integration", "Snowflake reads S3-compatible storage by keys only", "Leave storage_integration out.")
    }
  }

  private func refuseWithoutUse() throws(NebulaError) {
    let given = [
      ("external_stage_url", url != nil), ("external_stage_type", type != nil),
      ("storage_integration", integration != nil),
      ("s3_encryption", s3Encryption != nil), ("s3_kms_key_id", s3KMSKey != nil),
    ]
    guard let (name, _) = given.first(where: \.1) else { return }
    throw Self.contradiction(
      name, "\(name) is set, but use_external_stage is false", "Set use_external_stage: true, or leave it out.")
  }

  private static func contradiction(_ name: String, _ message: String, _ remedy: String) -> NebulaError {
    NebulaError(.badProperty, "\(message).", remedy: remedy, at: .init(path: name), exit: .configuration)
  }
}
