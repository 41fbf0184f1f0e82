internal import NebulaCore
internal import NebulaHTTP

extension S3ObjectStore: ReadableObjectStore, PrefixListableStore {
  /// The bytes of `range`; nil when nothing lies under `key`.
  public func read(_ key: String, range: Range<Int>?, ifMatch: String?) async throws -> ObjectContent? {
    if let range, range.isEmpty { return try await emptyContent(key, ifMatch: ifMatch) }
    var call = S3Session.Call(operation: "GET of \(key)", method: "GET", key: key)
    if let range { call.headers["Range"] = RangeReading.header(range) }
    if let ifMatch { call.headers["If-Match"] = "\"\(ifMatch.bareETag)\"" }
    call.maxResponseBytes = RangeReading.largestAnswer(range)
    let response = try await session.send(call, accepting: [200, 206, 404, 412, 416])
    switch response.status {
    case 404: return nil
    case 412: throw Refusal.changed(key)
    case 416: return try await emptyContent(key, ifMatch: ifMatch)  // it ends before the range
    default: return response.content(of: range) { Self.described(key, response, size: $0) }
    }
  }

  /// One page of the names that begin with `prefix`.
  public func list(
    prefix: String, stopsAtSlash: Bool, continuation: String?, limit: Int?
  ) async throws -> ObjectListing {
    var call = S3Session.Call(
      operation: "The list of \(prefix)", method: "GET", key: nil, query: [("list-type", "2"), ("prefix", prefix)])
    if stopsAtSlash { call.query.append(("delimiter", "/")) }
    if let continuation { call.query.append(("continuation-token", continuation)) }
    if let limit { call.query.append(("max-keys", String(min(max(1, limit), 1000)))) }
    call.maxResponseBytes = 16 << 20
    let response = try await session.send(call, accepting: [200])
    guard let listing = S3Listing.read(response.body) else {
      throw Refusal.corrupt(prefix, "the store answered a list that can't be read")
    }
    return listing
  }
}

/// The form of an answer to ListObjectsV2.
enum S3Listing {
  static func read(_ body: [UInt8]) -> ObjectListing? {
    guard let result = XMLText.element("ListBucketResult", in: body[...])?.content else { return nil }
    var objects: [ListedObject] = []
    for entry in XMLText.all("Contents", in: result) {
      guard let key = XMLText.first("Key", in: entry), let size = XMLText.first("Size", in: entry).flatMap({ Int($0) })
      else { return nil }
      objects.append(ListedObject(key: key, size: size, etag: XMLText.first("ETag", in: entry)?.bareETag))
    }
    let folders = XMLText.all("CommonPrefixes", in: result).compactMap { XMLText.first("Prefix", in: $0) }
    let next = XMLText.first("NextContinuationToken", in: result)
    // what says that it is cut and not where would be taken for all
    guard XMLText.first("IsTruncated", in: result) != "true" || next?.isEmpty == false else { return nil }
    return ObjectListing(objects, folders: folders, next: next)
  }
}
