internal import NebulaCore
internal import NebulaHTTP
internal import NebulaObjectStores

extension StageTicket {
  /// Gives a ticket, but none of those that `isRefused` names.
  typealias Renewal = @Sendable (_ isRefused: @escaping @Sendable (StageTicket) -> Bool) async throws -> StageTicket

  /// The store that the ticket opens. Credentials that expire inside an upload are replaced by those of a new ticket.
  func store(_ context: ObjectStoreContext, renewal: @escaping Renewal) -> any ObjectStore {
    switch type {
    case .s3:
      return S3ObjectStore(
        S3Location(bucket: bucket, region: region, endPoint: endPoint, usesRegionalHost: usesRegionalHost),
        credentials: s3Credentials,
        renewal: { refused in try await renewal { $0.s3Credentials == refused }.s3Credentials }, context: context)
    case .azure:
      return AzureBlobStore(
        azureLocation, sas: azureSAS,
        renewal: { refused in try await renewal { $0.azureSAS == refused }.azureSAS }, context: context)
    case .gcs:
      let access = presignedURL.flatMap { isPerFile ? GCSCredentials.presigned(url: $0) : nil }
      return GCSObjectStore(
        bucket: bucket, credentials: access ?? .bearer(credential("GCS_ACCESS_TOKEN")), endPoint: gcsEndPoint,
        usesVirtualHost: usesVirtualHost, context: context)
    case .local: return LocalObjectStore(root: bucket)
    }
  }

  private var s3Credentials: S3Credentials {
    S3Credentials(
      accessKey: credential("AWS_KEY_ID"), secretKey: credential("AWS_SECRET_KEY"),
      sessionToken: credentials["AWS_TOKEN"]?.string)
  }
  private var azureSAS: AzureSAS { AzureSAS(credential("AZURE_SAS_TOKEN")) }

  private var azureLocation: AzureBlobLocation {
    // A whole address (a stand-in's, or a private one) has the account in its path.
    if let endPoint, endPoint.contains("://") { return AzureBlobLocation(endPoint: endPoint, container: bucket) }
    return AzureBlobLocation(
      account: storageAccount, suffix: endPoint ?? "blob.core.windows.net", container: bucket)
  }

  private var gcsEndPoint: String {
    if let endPoint { return endPoint.contains("://") ? endPoint : "https://\(endPoint)" }
    return usesRegionalHost || region.lowercased() == "me-central2"
      ? "https://storage.\(region.lowercased()).rep.googleapis.com" : "https://storage.googleapis.com"
  }
}

/// What a new file needs in its stage.
struct FilePreparation: Sendable {
  /// Nil where the stage encrypts by itself.
  let encryption: FileEncryption?
  let needsMD5: Bool
}

/// What is uploaded, and the digest of what was compressed.
struct StagedBody: Sendable {
  let body: HTTPBody
  let sha256: [UInt8]
  /// Of what is uploaded; only where the store wants it.
  var md5: [UInt8]?
}

/// One upload as a store takes it.
extension ObjectUpload {
  init(_ staged: StagedBody, name: String, ticket: StageTicket, encryption: FileEncryption?, codec: Compression) {
    let digestName = ticket.type.digestName
    var metadata = encryption?.metadata(for: ticket.type) ?? [:]
    metadata[digestName] = Crypto.base64(staged.sha256)
    self.init(
      key: ticket.prefix + name, body: staged.body, metadata: metadata, contentMD5: staged.md5,
      createOnly: !ticket.isPerFile, checksumMetadata: digestName)
    // Snowflake's own clients say it for every compression but gzip, which a store might undo on its own.
    if ticket.type == .gcs, codec == .zstd { contentEncoding = "zstd" }
  }
}
