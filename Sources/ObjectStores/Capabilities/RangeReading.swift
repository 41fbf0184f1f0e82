internal import NebulaCore
internal import NebulaHTTP

/// What reading a part of an object is in every store's HTTP.
enum RangeReading {
  /// The value of the `Range` header: `bytes=0-9`. The range is not empty.
  static func header(_ range: Range<Int>) -> String { "bytes=\(range.lowerBound)-\(range.upperBound - 1)" }

  /// How large the answer may be: an error's text has room beside the range, and a whole object has 1 GiB.
  static func largestAnswer(_ range: Range<Int>?) -> Int { range.map { $0.count + (1 << 16) } ?? 1 << 30 }
}

extension ReadableObjectStore {
  /// What is read where nothing is asked for, or nothing is left there.
  func emptyContent(_ key: String, ifMatch: String?) async throws -> ObjectContent? {
    guard let object = try await head(key) else { return nil }
    guard ifMatch == nil || isSameETag(object.etag, ifMatch) else { throw Refusal.changed(key) }
    return ObjectContent(bytes: [], object: object)
  }
}

extension HTTPResponse {
  /// What was read: a service that does not know ranges sends all of it. `describe` is given the object's whole length.
  func content(of range: Range<Int>?, _ describe: (Int) -> StoredObject) -> ObjectContent {
    let whole = headers["Content-Range"]?.split(separator: "/").last.flatMap { Int($0) } ?? body.count
    let isCut = status == 206 || range == nil
    return ObjectContent(
      bytes: isCut ? body : Array(body[(range ?? 0..<body.count).clamped(to: 0..<body.count)]), object: describe(whole))
  }
}
