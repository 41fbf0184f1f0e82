internal import NebulaCore
internal import NebulaHTTP

/// A bucket of S3, or of a service that speaks the same.
public final class S3ObjectStore: ObjectStore {
  let session: S3Session
  private let encryption: S3Encryption?

  /// Opens a bucket; nothing is sent. `renewal` is asked when the credentials have expired, also inside an upload in
  /// parts, which then goes on where it was.
  public init(
    _ location: S3Location, credentials: S3Credentials, renewal: CredentialRenewal<S3Credentials>? = nil,
    context: ObjectStoreContext
  ) {
    session = S3Session(location, .keys(credentials, renewal: renewal), context)
    encryption = nil
  }

  /// Opens a bucket; nothing is sent. Without `encryption` the bucket's own setting counts.
  public init(
    _ location: S3Location, access: S3Access, encryption: S3Encryption? = nil, context: ObjectStoreContext
  ) {
    session = S3Session(location, access, context)
    self.encryption = encryption
  }

  /// Uses other credentials from now on, also for requests that are tried again.
  public func replaceCredentials(_ credentials: S3Credentials) { session.replaceCredentials(credentials) }

  /// Writes an object: one PUT, or parts above `partThreshold`. `If-None-Match: *` keeps what is there.
  public func put(_ object: ObjectUpload) async throws -> StoredObject {
    object.size > min(session.context.partThreshold, Self.largestWhole)
      ? try await S3MultipartUpload(session: session, object: object, store: self).run()
      : try await putWhole(object)
  }

  /// S3 takes no more in one request.
  private static let largestWhole = 5 << 30

  /// What lies under `key`.
  public func head(_ key: String) async throws -> StoredObject? {
    let response = try await session.send(
      .init(operation: "HEAD of \(key)", method: "HEAD", key: key), accepting: [200, 404])
    guard response.status == 200 else { return nil }
    return Self.described(key, response, size: response.headers["Content-Length"].flatMap { Int($0) } ?? 0)
  }

  /// What the headers of a HEAD or GET say.
  static func described(_ key: String, _ response: HTTPResponse, size: Int) -> StoredObject {
    let etag = response.headers["ETag"]?.filter { $0 != "\"" }
    return StoredObject(
      key: key, size: size, etag: etag,
      metadata: ObjectMetadata.read(response.headers, prefix: "x-amz-meta-"),
      contentMD5: encryptsByKey(response) ? nil : etag.flatMap { $0.count == 32 ? Crypto.bytes(hex: $0) : nil })
  }

  /// Removes it.
  public func delete(_ key: String) async throws {
    _ = try await session.send(
      .init(operation: "DELETE of \(key)", method: "DELETE", key: key), accepting: [200, 204, 404])
  }

  private func putWhole(_ object: ObjectUpload) async throws -> StoredObject {
    var headers = try headers(object)
    if let digest = object.contentMD5 { headers["Content-MD5"] = Crypto.base64(digest) }
    if object.createOnly { headers["If-None-Match"] = "*" }
    let response = try await session.send(
      .init(operation: "PUT of \(object.key)", method: "PUT", key: object.key, headers: headers, body: object.body),
      accepting: object.createOnly ? [200, 412] : [200])
    if response.status == 412 { return try await accept(object, etag: nil) }
    return StoredObject(
      key: object.key, size: object.size, etag: response.headers["ETag"]?.filter { $0 != "\"" },
      metadata: object.metadata)
  }

  /// The name is taken: by our own request whose answer was lost, or by someone else.
  func accept(_ object: ObjectUpload, etag: String?) async throws -> StoredObject {
    guard var found = try await head(object.key) else { throw Refusal.vanished(object.key) }
    guard found.isProvenEqual(to: object, etag: etag) else { throw Refusal.exists(object.key) }
    found.wasThere = true
    return found
  }

  /// What describes the object: for a PUT, or for the start of an upload in parts.
  func headers(_ object: ObjectUpload) throws(NebulaError) -> HTTPHeaders {
    var headers: HTTPHeaders = ["Content-Type": object.contentType]
    if let encoding = object.contentEncoding { headers["Content-Encoding"] = encoding }
    encryption?.add(to: &headers)
    try ObjectMetadata.add(object.metadata, prefix: "x-amz-meta-", to: &headers)
    return headers
  }

  /// An object encrypted by a key of its own has an ETag that is no MD5.
  private static func encryptsByKey(_ response: HTTPResponse) -> Bool {
    (response.headers["x-amz-server-side-encryption"] ?? "AES256") != "AES256"
      || response.headers["x-amz-server-side-encryption-customer-algorithm"] != nil
  }
}
