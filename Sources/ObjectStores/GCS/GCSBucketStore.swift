internal import NebulaCore
internal import NebulaHTTP

/// A bucket of Google Cloud Storage, by its JSON interface and OAuth tokens.
///
/// An object's ETag is its generation: every write gives it another.
public final class GCSBucketStore: ObjectStore {
  let session: GCSSession

  /// Opens a bucket; nothing is sent.
  public init(bucket: String, access: GCSAccess, endPoint: String? = nil, context: ObjectStoreContext) {
    session = GCSSession(bucket: bucket, endPoint: endPoint, access: access, context: context)
  }

  /// Writes an object by a resumable upload, in chunks of `partSize` above `partThreshold`.
  public func put(_ object: ObjectUpload) async throws -> StoredObject {
    try await GCSResumableUpload(session: session, object: object, store: self).run()
  }

  /// What lies under `key`.
  public func head(_ key: String) async throws -> StoredObject? { try await resource(key)?.stored }

  func resource(_ key: String) async throws -> GCSResource? {
    let response = try await session.send(
      .init(operation: "GET of \(key)", method: "GET", key: key), accepting: [200, 404])
    guard response.status == 200 else { return nil }
    guard let resource = GCSResource(response.body) else {
      throw Refusal.corrupt(key, "the store answered a description that can't be read")
    }
    return resource
  }

  /// Removes it.
  public func delete(_ key: String) async throws {
    _ = try await session.send(
      .init(operation: "DELETE of \(key)", method: "DELETE", key: key), accepting: [200, 204, 404])
  }

  /// The name is taken: by our own request whose answer was lost, or by someone else.
  func accept(_ object: ObjectUpload) async throws -> StoredObject {
    guard let found = try await resource(object.key) else { throw Refusal.vanished(object.key) }
    var stored = found.stored
    let isProven = try stored.isProvenEqual(to: object) || found.hasContent(of: object)
    guard isProven else { throw Refusal.exists(object.key) }
    stored.wasThere = true
    return stored
  }
}

extension GCSBucketStore: ReadableObjectStore, PrefixListableStore {
  /// The bytes of `range`, as they are stored; nil when nothing lies under `key`. Metadata do not come with them.
  public func read(_ key: String, range: Range<Int>?, ifMatch: String?) async throws -> ObjectContent? {
    if let range, range.isEmpty { return try await emptyContent(key, ifMatch: ifMatch) }
    var call = GCSSession.Call(operation: "GET of \(key)", method: "GET", key: key, query: [("alt", "media")])
    // without it, what is stored as gzip would be unpacked on the way
    call.headers["Accept-Encoding"] = "gzip"
    if let range { call.headers["Range"] = RangeReading.header(range) }
    if let ifMatch { call.query.append(("ifGenerationMatch", ifMatch)) }
    call.maxResponseBytes = RangeReading.largestAnswer(range)
    let response = try await session.send(call, accepting: [200, 206, 404, 412, 416])
    switch response.status {
    case 404: return nil
    case 412: throw Refusal.changed(key)
    case 416: return try await emptyContent(key, ifMatch: ifMatch)  // it ends before the range
    default:
      return response.content(of: range) {
        StoredObject(key: key, size: $0, etag: response.headers["x-goog-generation"])
      }
    }
  }

  /// One page of the names that begin with `prefix`.
  public func list(
    prefix: String, stopsAtSlash: Bool, continuation: String?, limit: Int?
  ) async throws -> ObjectListing {
    var call = GCSSession.Call(
      operation: "The list of \(prefix)", method: "GET", key: nil,
      query: [("prefix", prefix), ("fields", "items(name,size,generation),prefixes,nextPageToken")])
    if stopsAtSlash { call.query.append(("delimiter", "/")) }
    if let continuation { call.query.append(("pageToken", continuation)) }
    if let limit { call.query.append(("maxResults", String(min(max(1, limit), 1000)))) }
    call.maxResponseBytes = 16 << 20
    let response = try await session.send(call, accepting: [200])
    guard let listing = GCSListing.read(response.body) else {
      throw Refusal.corrupt(prefix, "the store answered a list that can't be read")
    }
    return listing
  }
}

/// The form of a list of objects.
enum GCSListing {
  static func read(_ body: [UInt8]) -> ObjectListing? {
    guard let json = try? JSONValue(parsing: body), json.object != nil else { return nil }
    var objects: [ListedObject] = []
    for item in json["items"]?.array ?? [] {
      guard let name = item["name"]?.string, let size = item["size"]?.stringOrNumber.flatMap({ Int($0) }) else {
        return nil
      }
      objects.append(ListedObject(key: name, size: size, etag: item["generation"]?.stringOrNumber))
    }
    return ObjectListing(
      objects, folders: (json["prefixes"]?.array ?? []).compactMap(\.string), next: json["nextPageToken"]?.string)
  }
}

/// An object as the JSON interface describes it.
struct GCSResource {
  let stored: StoredObject
  private let crc32c: [UInt8]?

  init?(_ body: [UInt8]) {
    guard let json = try? JSONValue(parsing: body), let name = json["name"]?.string,
      let size = json["size"]?.stringOrNumber.flatMap({ Int($0) })
    else { return nil }
    let metadata = (json["metadata"]?.object ?? []).map { ($0.name.lowercased(), $0.value.string ?? "") }
    stored = StoredObject(
      key: name, size: size, etag: json["generation"]?.stringOrNumber, metadata: Dictionary(metadata) { $1 },
      contentMD5: json["md5Hash"]?.string.flatMap { Crypto.bytes(base64: $0) })
    crc32c = json["crc32c"]?.string.flatMap { Crypto.bytes(base64: $0) }
  }

  /// Whether the object has the length and the checksum of `upload`: composed objects have no MD5.
  func hasContent(of upload: ObjectUpload) throws(NebulaError) -> Bool {
    guard upload.checksumMetadata == nil, upload.contentMD5 == nil || stored.contentMD5 == nil, let crc32c,
      stored.size == upload.size
    else { return false }
    return try upload.body.crc32c() == crc32c
  }
}
