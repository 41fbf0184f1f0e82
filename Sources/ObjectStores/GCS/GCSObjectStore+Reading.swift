internal import NebulaCore
internal import NebulaHTTP

extension GCSObjectStore: ReadableObjectStore {
  /// The bytes of `range`, as they are stored, with the object's metadata; nil when nothing lies under `key`.
  public func read(_ key: String, range: Range<Int>?, ifMatch: String?) async throws -> ObjectContent? {
    // Without it, what is stored as gzip would be unpacked on the way.
    var headers: HTTPHeaders = ["Accept-Encoding": "gzip"]
    if let range, !range.isEmpty { headers["Range"] = RangeReading.header(range) }
    if let ifMatch { headers["If-Match"] = "\"\(ifMatch)\"" }
    let response = try await send(
      "GET", key, headers: headers, maxResponseBytes: RangeReading.largestAnswer(range),
      accepting: [200, 206, 404, 412, 416])
    switch response.status {
    case 404: return nil
    case 412: throw Refusal.changed(key)
    case 416:  // it ends before the range
      guard let range, range.lowerBound > 0, let all = try await read(key, range: 0..<1, ifMatch: ifMatch) else {
        return ObjectContent(bytes: [], object: StoredObject(key: key, size: 0))
      }
      return ObjectContent(bytes: [], object: all.object)
    default:
      return response.content(of: range) {
        StoredObject(
          key: key, size: $0, etag: response.headers["ETag"]?.filter { $0 != "\"" },
          metadata: ObjectMetadata.read(response.headers, prefix: "x-goog-meta-"))
      }
    }
  }
}
