internal import NebulaCore
internal import NebulaHTTP
internal import NebulaObjectStores

extension StageTicket {
  /// The store that the ticket opens.
  func store(_ context: ObjectStoreContext) -> any ObjectStore {
    switch type {
    case .s3:
      return S3ObjectStore(
        S3Location(bucket: bucket, region: region, endPoint: endPoint, usesRegionalHost: usesRegionalHost),
        credentials: S3Credentials(
          accessKey: credential("AWS_KEY_ID"), secretKey: credential("AWS_SECRET_KEY"),
          sessionToken: credentials["AWS_TOKEN"]?.string), context: context)
    case .azure:
      return AzureBlobStore(
        azureLocation, sas: AzureSAS(credential("AZURE_SAS_TOKEN")), context: context)
    case .gcs:
      let access = presignedURL.flatMap { isPerFile ? GCSCredentials.presigned(url: $0) : nil }
      return GCSObjectStore(
        bucket: bucket, credentials: access ?? .bearer(credential("GCS_ACCESS_TOKEN")), endPoint: gcsEndPoint,
        usesVirtualHost: usesVirtualHost, context: context)
    case .local: return LocalObjectStore(root: bucket)
    }
  }

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

/// What is uploaded, and the digest of what was compressed.
struct StagedBody: Sendable {
  let body: HTTPBody
  let sha256: [UInt8]
}

/// One upload as a store takes it.
extension ObjectUpload {
  init(_ staged: StagedBody, name: String, ticket: StageTicket, encryption: FileEncryption?, codec: Compression) {
    let digestName = ticket.type.digestName
    var metadata = encryption?.metadata(for: ticket.type) ?? [:]
    metadata[digestName] = Crypto.base64(staged.sha256)
    self.init(
      key: ticket.prefix + name, body: staged.body, metadata: metadata, createOnly: !ticket.isPerFile,
      checksumMetadata: digestName)
    // Snowflake's own clients say it for every compression but gzip, which a store might undo on its own.
    if ticket.type == .gcs, codec == .zstd { contentEncoding = "zstd" }
  }
}
