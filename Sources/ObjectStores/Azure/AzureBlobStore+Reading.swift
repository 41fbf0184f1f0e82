internal import NebulaCore
internal import NebulaHTTP

extension AzureBlobStore: ReadableObjectStore, PrefixListableStore {
  /// The bytes of `range`; nil when nothing lies under `key`.
  public func read(_ key: String, range: Range<Int>?, ifMatch: String?) async throws -> ObjectContent? {
    if let range, range.isEmpty { return try await emptyContent(key, ifMatch: ifMatch) }
    var call = AzureCall(operation: "GET of \(key)", service: .blob, method: "GET", key: key)
    if let range { call.headers["x-ms-range"] = RangeReading.header(range) }
    if let ifMatch { call.headers["If-Match"] = ifMatch }
    call.maxResponseBytes = RangeReading.largestAnswer(range)
    let answer = try await session.send(call) {
      [200, 206, 416].contains($0.status) || $0.isMissing || $0.isConditionFailed
    }
    if answer.isMissing { return nil }
    if answer.isConditionFailed { throw Refusal.changed(key) }
    if answer.status == 416 { return try await emptyContent(key, ifMatch: ifMatch) }  // it ends before the range
    return answer.response.content(of: range) {
      var metadata = ObjectMetadata.read(answer.headers, prefix: "x-ms-meta-")
      metadata.removeValue(forKey: AzureProperties.mark)
      return StoredObject(key: key, size: $0, etag: answer.etag, metadata: metadata)
    }
  }

  /// One page of the names that begin with `prefix`.
  public func list(
    prefix: String, stopsAtSlash: Bool, continuation: String?, limit: Int?
  ) async throws -> ObjectListing {
    var query = [("restype", "container"), ("comp", "list")]
    if !prefix.isEmpty { query.append(("prefix", prefix)) }
    if stopsAtSlash { query.append(("delimiter", "/")) }
    if let continuation { query.append(("marker", continuation)) }
    if let limit { query.append(("maxresults", String(min(max(1, limit), 5000)))) }
    var call = AzureCall(operation: "The list of \(prefix)", service: .blob, method: "GET", query: query)
    call.maxResponseBytes = 32 << 20
    let answer = try await session.send(call) { $0.status == 200 }
    guard let listing = AzureBlobListing.read(answer.response.body) else {
      throw Refusal.corrupt(prefix, "the store answered a list that can't be read")
    }
    return listing
  }
}

/// The form of a list of blobs.
enum AzureBlobListing {
  static func read(_ body: [UInt8]) -> ObjectListing? {
    guard let result = XMLText.element("EnumerationResults", in: body[...])?.content else { return nil }
    var objects: [ListedObject] = []
    for blob in XMLText.all("Blob", in: result) {
      // an account with a hierarchy lists its folders as well
      if XMLText.first("ResourceType", in: blob) == "directory" { continue }
      guard let name = name(in: blob), let size = XMLText.first("Content-Length", in: blob).flatMap({ Int($0) }) else {
        return nil
      }
      objects.append(ListedObject(key: name, size: size, etag: XMLText.first("Etag", in: blob)))
    }
    let folders = XMLText.all("BlobPrefix", in: result).compactMap { name(in: $0) }
    return ObjectListing(objects, folders: folders, next: XMLText.first("NextMarker", in: result))
  }

  /// A name that XML can't hold comes in percent signs, and says so.
  private static func name(in bytes: ArraySlice<UInt8>) -> String? {
    guard let element = XMLText.element("Name", in: bytes) else { return nil }
    let text = XMLText.unescape(element.content)
    let isEncoded = String(decoding: element.attributes, as: UTF8.self).contains("Encoded=\"true\"")
    return isEncoded ? PercentEncoding.decode(text) : text
  }
}
