public import NebulaCore
internal import NebulaHTTP

/// The folder that an address names, in whichever cloud: its keys begin behind the address.
public struct ExternalStore: PrefixListableStore, ReadableObjectStore {
  /// Where it is.
  public let location: ExternalLocation
  /// Which way requests prove who asks: `access key`, `managed identity` …
  public let credentialName: String
  private let store: any PrefixListableStore & ReadableObjectStore
  private let prefix: String

  /// Opens a folder; files of credentials are read here, nothing is sent.
  public init(
    _ location: ExternalLocation, _ settings: ExternalStoreSettings, context: ObjectStoreContext
  ) throws(NebulaError) {
    self.location = location
    prefix = location.prefix.isEmpty ? "" : "\(location.prefix)/"
    switch location.kind {
    case .s3:
      let access = try S3Access(settings.aws, context: context)
      credentialName = access.name
      store = S3ObjectStore(
        try Self.s3(location, settings), access: access, encryption: settings.encryption, context: context)
    case .gcs:
      let access = try GCSAccess(settings.gcs, context: context)
      credentialName = access.name
      store = GCSBucketStore(
        bucket: location.bucket, access: access, endPoint: settings.gcs.endpoint, context: context)
    case .azure:
      let credential = try AzureCredential(settings.azure, account: location.account, context: context)
      credentialName = credential.name
      let endPoint = given(settings.azureEndpoint) ?? "https://\(location.host)"
      store = AzureBlobStore(
        AzureBlobLocation(endPoint: endPoint, container: location.bucket), credential: credential, context: context)
    }
  }

  private static func s3(
    _ location: ExternalLocation, _ settings: ExternalStoreSettings
  ) throws(NebulaError) -> S3Location {
    let endPoint = given(settings.aws.endpoint)
    var region = given(settings.aws.region)
    if region == nil { region = try AWSProfiles.region(settings.aws) }
    // other services know buckets by their path
    return S3Location(
      bucket: location.bucket, region: region ?? Self.region(of: location), endPoint: endPoint,
      style: endPoint == nil ? nil : .path)
  }

  /// Where the search for the bucket's own region begins: parts of Amazon's cloud do not know each other.
  private static func region(of location: ExternalLocation) -> String {
    switch location.scheme {
    case "s3gov": "us-gov-west-1"
    case "s3china": "cn-north-1"
    default: "us-east-1"
    }
  }

  // MARK: objects

  /// Writes an object.
  public func put(_ object: ObjectUpload) async throws -> StoredObject {
    var inner = object
    inner.key = prefix + object.key
    return stripped(try await store.put(inner))
  }
  /// What lies under `key`.
  public func head(_ key: String) async throws -> StoredObject? { try await store.head(prefix + key).map(stripped) }
  /// Removes it.
  public func delete(_ key: String) async throws { try await store.delete(prefix + key) }
  /// The bytes of `range`; nil when nothing lies under `key`.
  public func read(_ key: String, range: Range<Int>?, ifMatch: String?) async throws -> ObjectContent? {
    try await store.read(prefix + key, range: range, ifMatch: ifMatch).map {
      ObjectContent(bytes: $0.bytes, object: stripped($0.object))
    }
  }
  /// One page of the names that begin with `prefix`.
  public func list(
    prefix wanted: String, stopsAtSlash: Bool, continuation: String?, limit: Int?
  ) async throws -> ObjectListing {
    var page = try await store.list(
      prefix: prefix + wanted, stopsAtSlash: stopsAtSlash, continuation: continuation, limit: limit)
    page.entries = page.entries.map {
      ListedObject(key: String($0.key.dropFirst(prefix.count)), size: $0.size, etag: $0.etag, isFolder: $0.isFolder)
    }
    return page
  }

  private func stripped(_ object: StoredObject) -> StoredObject {
    StoredObject(
      key: String(object.key.dropFirst(prefix.count)), size: object.size, etag: object.etag, metadata: object.metadata,
      contentMD5: object.contentMD5, wasThere: object.wasThere)
  }

  // MARK: proof

  /// Shows that the store keeps what is there: some services that speak S3's language take no notice of the condition.
  /// Writes two objects under `key`, a name of nobody else's, and removes it.
  public func proveCreateOnly(at key: String) async throws {
    _ = try await put(ObjectUpload(key: key, body: .bytes([1]), contentMD5: Crypto.md5([1])))
    var isKept = false
    do {
      _ = try await put(ObjectUpload(key: key, body: .bytes([2, 2]), contentMD5: Crypto.md5([2, 2])))
    } catch let error as NebulaError {
      guard error.code == .objectsExists else { throw error }
      isKept = true
    }
    try await delete(key)
    guard isKept else {
      throw NebulaError(
        .objectsNotSupported,
        "The store at \(location.url) replaces objects although it is told not to (If-None-Match: *).",
        remedy: "Use a service that supports conditional writes: two writers could replace each other's files.",
        exit: .environment)
    }
  }
}
