internal import NebulaCore
internal import NebulaHTTP

extension AzureDataLakeStore: ReadableObjectStore, ListableObjectStore {
  /// The bytes of `range`; nil when nothing lies under `key`.
  public func read(_ key: String, range: Range<Int>?, ifMatch: String?) async throws -> ObjectContent? {
    try Self.check(key)
    if let range, range.isEmpty { return try await emptyContent(key, ifMatch: ifMatch) }
    var call = AzureCall(operation: "GET of \(key)", service: .dfs, method: "GET", key: key)
    if let range { call.headers["x-ms-range"] = RangeReading.header(range) }
    if let ifMatch { call.headers["If-Match"] = ifMatch }
    call.maxResponseBytes = RangeReading.largestAnswer(range)
    let answer = try await session.send(call) {
      $0.status == 200 || $0.status == 206 || $0.isMissing || $0.status == 416
    }
    if answer.isMissing { return nil }
    if answer.status == 416 { return try await emptyContent(key, ifMatch: ifMatch) }
    return answer.response.content(of: range) { answer.object(key, size: $0) }
  }

  /// One page of a folder.
  public func list(
    _ folder: String, recursive: Bool, continuation: String?, limit: Int?
  ) async throws -> ObjectListing {
    if !folder.isEmpty { try Self.check(folder) }
    var query = [("resource", "filesystem"), ("recursive", recursive ? "true" : "false")]
    if !folder.isEmpty { query.append(("directory", folder)) }
    if let limit { query.append(("maxResults", String(min(max(1, limit), 5000)))) }
    if let continuation { query.append(("continuation", continuation)) }
    var call = AzureCall(operation: "The list of \(folder)/", service: .dfs, method: "GET", query: query)
    call.maxResponseBytes = 32 << 20
    let answer = try await session.send(call) { $0.status == 200 || $0.isMissing }
    guard answer.status == 200 else { return ObjectListing(entries: []) }
    guard let entries = AzureListing.entries(answer.response.body) else {
      throw Refusal.corrupt(folder, "the store answered a list that can't be read")
    }
    return ObjectListing(entries: entries, next: answer.headers["x-ms-continuation"].flatMap { $0.isEmpty ? nil : $0 })
  }
}

/// The form of a DFS listing.
enum AzureListing {
  static func entries(_ body: [UInt8]) -> [ListedObject]? {
    guard let paths = (try? JSONValue(parsing: body))?["paths"]?.array else { return nil }
    var entries: [ListedObject] = []
    entries.reserveCapacity(paths.count)
    for path in paths {
      // numbers and booleans come as text
      guard let name = path["name"]?.string else { return nil }
      let isFolder = path["isDirectory"]?.string?.lowercased() == "true" || path["isDirectory"]?.bool == true
      let size = path["contentLength"]?.stringOrNumber.flatMap { Int($0) }
      guard isFolder || size != nil else { return nil }
      entries.append(ListedObject(key: name, size: size ?? 0, etag: path["etag"]?.string, isFolder: isFolder))
    }
    return entries
  }
}

extension AzureAnswer {
  /// The file that a GET is of; `size` is its whole length.
  func object(_ key: String, size: Int) -> StoredObject {
    let file = markedFile(key).state
    return StoredObject(key: key, size: size, etag: file.etag, metadata: file.properties)
  }

  /// A file's description, and the mark of what made it.
  func markedFile(_ key: String) -> MarkedFile {
    var properties = AzureProperties.decode(headers["x-ms-properties"] ?? "")
    let mark = properties.removeValue(forKey: AzureProperties.mark)
    let isFolder = headers["x-ms-resource-type"] == "directory"
    if isFolder { properties.removeValue(forKey: "hdi_isfolder") }
    let state = FileState(
      key: key, length: length, etag: etag, properties: properties,
      lease: headers["x-ms-lease-state"].flatMap { LeaseState(rawValue: $0) } ?? .available, isFolder: isFolder)
    return MarkedFile(state: state, mark: mark)
  }
}
