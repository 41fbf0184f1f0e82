internal import NebulaCore
internal import NebulaHTTP

extension AzureDataLakeStore: AppendableFileStore {
  /// Makes an empty file, and the folders on the way to it.
  public func createFile(_ file: NewFile) async throws -> FileCreation {
    let mark = Crypto.hex(try Crypto.randomBytes(8))
    let answer = try await session.send(try Self.creation(file, mark: mark)) {
      CreateFileRule.reading($0, createOnly: file.createOnly) != .refused
    }
    guard CreateFileRule.reading(answer, createOnly: file.createOnly) == .look else {
      return .created(etag: answer.etag)
    }
    guard let outcome = CreateFileRule.outcome(found: try await markedFile(file.key), mark: mark) else {
      throw Refusal.vanished(file.key)
    }
    return outcome
  }

  private static func creation(_ file: NewFile, mark: String) throws(NebulaError) -> AzureCall {
    try check(file.key)
    var call = AzureCall(
      operation: "Making \(file.key)", service: .dfs, method: "PUT", key: file.key, query: [("resource", "file")])
    var properties = file.properties
    properties[AzureProperties.mark] = mark
    call.headers["x-ms-properties"] = try AzureProperties.encode(properties)
    call.headers["x-ms-content-type"] = file.contentType
    if let encoding = file.contentEncoding { call.headers["x-ms-content-encoding"] = encoding }
    if file.createOnly { call.headers["If-None-Match"] = "*" }
    if let id = file.leaseID { call.headers["x-ms-lease-id"] = id }
    return call
  }

  /// Stores bytes at an offset. The same bytes at the same place may be sent again and again.
  public func append(_ append: FileAppend) async throws {
    _ = try await session.send(try Self.appending(append)) { $0.status == 202 }
  }

  /// `append`, then a flush right behind its bytes, in one request.
  public func appendAndFlush(_ append: FileAppend, closes: Bool) async throws -> FlushedFile {
    var call = try Self.appending(append)
    call.operation = "Append and flush to \(append.key)"
    call.query += [("flush", "true")] + (closes ? [("close", "true")] : [])
    return try await flush(call, length: append.offset + append.body.count, key: append.key)
  }

  private static func appending(_ append: FileAppend) throws(NebulaError) -> AzureCall {
    try check(append.key)
    guard (1...maxAppendBytes).contains(append.body.count), append.offset >= 0 else {
      throw NebulaError(
        .objectsBadPosition,
        "\(append.body.count) bytes at \(append.offset) can't be appended at once to \(append.key).",
        remedy: "Append 1 to \(maxAppendBytes) bytes.", at: .init(path: append.key))
    }
    var call = AzureCall(
      operation: "Append to \(append.key) at \(append.offset)", service: .dfs, method: "PATCH", key: append.key,
      query: [("action", "append"), ("position", String(append.offset))], body: append.body)
    call.headers["Content-Type"] = "application/octet-stream"
    if let digest = append.contentMD5 { call.headers["Content-MD5"] = Crypto.base64(digest) }
    if let id = append.leaseID { call.headers["x-ms-lease-id"] = id }
    return call
  }

  /// Makes the bytes before a length visible, and drops those behind it.
  public func flush(_ flush: FileFlush) async throws -> FlushedFile {
    try Self.check(flush.key)
    var call = AzureCall(
      operation: "Flush of \(flush.key) to \(flush.length)", service: .dfs, method: "PATCH", key: flush.key,
      query: [
        ("action", "flush"), ("position", String(flush.length)), ("retainUncommittedData", "false"),
        ("close", flush.closes ? "true" : "false"),
      ])
    if let etag = flush.ifMatch { call.headers["If-Match"] = etag }
    if let id = flush.leaseID { call.headers["x-ms-lease-id"] = id }
    return try await self.flush(call, length: flush.length, key: flush.key)
  }

  private func flush(_ call: AzureCall, length: Int, key: String) async throws -> FlushedFile {
    let answer = try await session.send(call) { FlushRule.reading($0) != .refused }
    guard FlushRule.reading(answer) == .look else { return FlushedFile(length: length, etag: answer.etag) }
    let found = try await file(key)
    guard FlushRule.isDone(found: found?.length, wanted: length) else {
      throw Refusal.badPosition(key, wanted: length, found: found?.length)
    }
    return FlushedFile(length: length, etag: found?.etag)
  }

  /// What the file is.
  public func file(_ key: String) async throws -> FileState? { try await markedFile(key)?.state }

  func markedFile(_ key: String) async throws -> MarkedFile? {
    try Self.check(key)
    let call = AzureCall(operation: "HEAD of \(key)", service: .dfs, method: "HEAD", key: key)
    let answer = try await session.send(call) { $0.status == 200 || $0.isMissing }
    return answer.status == 200 ? answer.markedFile(key) : nil
  }

  /// Replaces all properties.
  public func setProperties(
    _ properties: [String: String], of key: String, leaseID: String?, ifMatch: String?
  ) async throws -> String? {
    try Self.check(key)
    var call = AzureCall(
      operation: "Setting the properties of \(key)", service: .dfs, method: "PATCH", key: key,
      query: [("action", "setProperties")])
    call.headers["x-ms-properties"] = try AzureProperties.encode(properties)
    if let ifMatch { call.headers["If-Match"] = ifMatch }
    if let leaseID { call.headers["x-ms-lease-id"] = leaseID }
    let answer = try await session.send(call) { PropertiesRule.reading($0) != .refused }
    guard PropertiesRule.reading(answer) == .look else { return answer.etag }
    let found = try await file(key)
    guard PropertiesRule.isDone(found: found?.properties, wanted: properties) else { throw Refusal.changed(key) }
    return found?.etag
  }

  /// Removes a file; not there is as good.
  public func deleteFile(_ key: String, leaseID: String?, ifMatch: String?) async throws {
    try Self.check(key)
    var call = AzureCall(operation: "DELETE of \(key)", service: .dfs, method: "DELETE", key: key)
    if let ifMatch { call.headers["If-Match"] = ifMatch }
    if let leaseID { call.headers["x-ms-lease-id"] = leaseID }
    _ = try await session.send(call) { $0.status == 200 || $0.status == 202 || $0.isMissing }
  }
}
