internal import NebulaCore
internal import NebulaHTTP
internal import Synchronization

/// How Google Cloud Storage lets us in. Not printable.
public enum GCSCredentials: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
  /// An OAuth token, for any key.
  case bearer(String)
  /// An address that is itself the credential, for one PUT or GET of one key.
  case presigned(url: String)
  /// Says nothing.
  public var description: String { "GCSCredentials(…)" }
  /// Says nothing.
  public var debugDescription: String { description }
}

/// A bucket of Google Cloud Storage: single PUTs by the XML interface.
public final class GCSObjectStore: ObjectStore {
  private let bucket: String
  private let endPoint: String
  private let usesVirtualHost: Bool
  private let credentials: Mutex<GCSCredentials>
  private let context: ObjectStoreContext

  /// Opens a bucket; nothing is sent. `usesVirtualHost`: `https://bucket.storage.googleapis.com`.
  public init(
    bucket: String, credentials: GCSCredentials, endPoint: String = "https://storage.googleapis.com",
    usesVirtualHost: Bool = false, context: ObjectStoreContext
  ) {
    self.bucket = bucket
    let text = endPoint.hasSuffix("/") ? String(endPoint.dropLast()) : endPoint
    self.endPoint = text.contains("://") ? text : "https://\(text)"
    self.usesVirtualHost = usesVirtualHost
    self.credentials = Mutex(credentials)
    self.context = context
  }

  /// Uses other credentials from now on, also for requests that are tried again.
  public func replaceCredentials(_ new: GCSCredentials) { credentials.withLock { $0 = new } }

  /// Writes an object in one PUT. A presigned address can't be create-only: what it allows was fixed by who signed it.
  public func put(_ object: ObjectUpload) async throws -> StoredObject {
    var headers: HTTPHeaders = ["Content-Type": object.contentType]
    if let encoding = object.contentEncoding { headers["Content-Encoding"] = encoding }
    if let digest = object.contentMD5 { headers["Content-MD5"] = Crypto.base64(digest) }
    try ObjectMetadata.add(object.metadata, prefix: "x-goog-meta-", to: &headers)
    if object.createOnly {
      guard !isPresigned else { throw Self.notSupported("writing only if the name is free") }
      headers["x-goog-if-generation-match"] = "0"
    }
    let response = try await send(
      "PUT", object.key, headers: headers, body: object.body, accepting: object.createOnly ? [200, 412] : [200])
    if response.status == 412 { return try await accept(object) }
    return StoredObject(
      key: object.key, size: object.size, etag: response.headers["ETag"]?.filter { $0 != "\"" },
      metadata: object.metadata, contentMD5: Self.md5(response))
  }

  /// What lies under `key`. A presigned address can't tell.
  public func head(_ key: String) async throws -> StoredObject? {
    guard !isPresigned else { throw Self.notSupported("looking at an object") }
    let response = try await send("HEAD", key, accepting: [200, 404])
    guard response.status == 200 else { return nil }
    let size = response.headers["x-goog-stored-content-length"] ?? response.headers["Content-Length"]
    return StoredObject(
      key: key, size: size.flatMap { Int($0) } ?? 0, etag: response.headers["ETag"]?.filter { $0 != "\"" },
      metadata: ObjectMetadata.read(response.headers, prefix: "x-goog-meta-"), contentMD5: Self.md5(response))
  }

  /// Removes it.
  public func delete(_ key: String) async throws {
    guard !isPresigned else { throw Self.notSupported("removing an object") }
    _ = try await send("DELETE", key, accepting: [204, 200, 404])
  }

  var isPresigned: Bool {
    credentials.withLock { if case .presigned = $0 { true } else { false } }
  }

  private func accept(_ object: ObjectUpload) async throws -> StoredObject {
    guard var found = try await head(object.key) else { throw Refusal.vanished(object.key) }
    guard found.isProvenEqual(to: object) else { throw Refusal.exists(object.key) }
    found.wasThere = true
    return found
  }

  func send(
    _ method: String, _ key: String, headers: HTTPHeaders = HTTPHeaders(), body: HTTPBody = .none,
    maxResponseBytes: Int = 1 << 20, accepting accepted: Set<Int>
  ) async throws -> HTTPResponse {
    try await context.retrier.run { attempt in
      var request = HTTPRequest(
        method: method, url: try url(key), headers: headers, body: body, timeout: context.timeout,
        maxResponseBytes: maxResponseBytes)
      if case .bearer(let token) = credentials.withLock({ $0 }) {
        request.headers["Authorization"] = "Bearer \(token)"
      }
      let response = try await context.client.perform(request)
      let answer = GCSAnswer(response, operation: "\(method) of \(key)", bucket: bucket, isPresigned: isPresigned)
      if accepted.contains(response.status), !answer.lacksBucket { return .done(response) }
      let (error, failure) = answer.failure(attempt: attempt)
      return .failed(error, failure, retryAfter: response.retryAfter)
    }
  }

  private func url(_ key: String) throws(NebulaError) -> String {
    if case .presigned(let url) = credentials.withLock({ $0 }) { return url }
    let encoded = PercentEncoding.encodePath(try ObjectKey.checked(key))
    guard usesVirtualHost, let scheme = endPoint.firstRange(of: "://") else {
      return "\(endPoint)/\(PercentEncoding.encode(bucket))/\(encoded)"
    }
    return "\(endPoint[..<scheme.upperBound])\(bucket).\(endPoint[scheme.upperBound...])/\(encoded)"
  }

  /// `x-goog-hash: crc32c=…,md5=…`, in one field or two.
  private static func md5(_ response: HTTPResponse) -> [UInt8]? {
    response.headers.all("x-goog-hash").flatMap { $0.split(separator: ",") }
      .first { $0.hasPrefix("md5=") }
      .flatMap { Crypto.bytes(base64: String($0.dropFirst(4))) }
  }

  private static func notSupported(_ what: String) -> NebulaError {
    NebulaError(
      .objectsNotSupported, "A presigned address of Google Cloud Storage does not allow \(what).",
      remedy: "Use an access token, or do without.")
  }
}
