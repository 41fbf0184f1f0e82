internal import NebulaCore
internal import NebulaHTTP

/// A container of Azure Blob Storage: block blobs.
public final class AzureBlobStore: ConditionalObjectStore {
  let session: AzureSession

  /// Opens a container; nothing is sent. `renewal` is asked when the signature has expired, also inside an upload in
  /// blocks, which then goes on where it was.
  public init(
    _ location: AzureBlobLocation, sas: AzureSAS, renewal: CredentialRenewal<AzureSAS>? = nil,
    context: ObjectStoreContext
  ) {
    session = AzureSession(
      AzureEndPoints(location), .sas(sas), context, isRenewedOutside: true, renewal: renewal)
  }
  /// Opens a container with any of Azure's ways of logging in; nothing is sent.
  public init(_ location: AzureBlobLocation, credential: AzureCredential, context: ObjectStoreContext) {
    session = AzureSession(AzureEndPoints(location), credential, context)
  }
  init(_ session: AzureSession) { self.session = session }

  /// Uses another signature from now on, also for requests that are tried again.
  public func replaceCredentials(_ sas: AzureSAS) { session.replaceCredentials(.sas(sas)) }

  /// Writes a blob: one PUT, or blocks and their list above `partThreshold`.
  public func put(_ object: ObjectUpload) async throws -> StoredObject {
    let context = session.context
    guard object.size > context.partThreshold else {
      return try await publish(object, headers: try Self.wholeHeaders(object), query: [], body: object.body)
    }
    let plan = PartPlan(size: object.size, partSize: context.partSize, maxParts: 50_000)
    let ids = try await upload(object, plan)
    let list = ids.map { "<Latest>\($0)</Latest>" }.joined()
    var headers = try Self.headers(object)
    headers["Content-Type"] = "application/xml"
    return try await publish(
      object, headers: headers, query: [("comp", "blocklist")],
      body: .bytes(Array("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>\(list)</BlockList>".utf8)))
  }

  /// What lies under `key`.
  public func head(_ key: String) async throws -> StoredObject? { try await marked(key)?.object }

  private func marked(_ key: String) async throws -> (object: StoredObject, mark: String?)? {
    let answer = try await session.send(
      .init(operation: "HEAD of \(key)", service: .blob, method: "HEAD", key: key)
    ) {
      $0.status == 200 || $0.isMissing
    }
    guard answer.status == 200 else { return nil }
    var metadata = ObjectMetadata.read(answer.headers, prefix: "x-ms-meta-")
    let mark = metadata.removeValue(forKey: AzureProperties.mark)
    let object = StoredObject(
      key: key, size: answer.length, etag: answer.etag, metadata: metadata,
      contentMD5: answer.headers["Content-MD5"].flatMap { Crypto.bytes(base64: $0) })
    return (object, mark)
  }

  /// Removes it.
  public func delete(_ key: String) async throws {
    _ = try await session.send(.init(operation: "DELETE of \(key)", service: .blob, method: "DELETE", key: key)) {
      $0.status == 202 || $0.status == 200 || $0.isMissing
    }
  }

  /// Writes a small blob if `condition` holds, marked so that a lost answer is no riddle.
  public func put(_ object: ObjectUpload, if condition: WriteCondition) async throws -> ConditionalWrite {
    let mark = Crypto.hex(try Crypto.randomBytes(8))
    var marked = object
    marked.metadata[AzureProperties.mark] = mark
    var call = AzureCall(
      operation: "PUT of \(object.key)", service: .blob, method: "PUT", key: object.key,
      headers: try Self.wholeHeaders(marked), body: object.body)
    switch condition {
    case .absent: call.headers["If-None-Match"] = "*"
    case .matches(let etag): call.headers["If-Match"] = etag
    }
    let answer = try await session.send(call) { ConditionalWriteRule.reading($0) != .refused }
    if ConditionalWriteRule.reading(answer) == .done {
      return .written(
        StoredObject(key: object.key, size: object.size, etag: answer.etag, metadata: object.metadata))
    }
    let found = try await self.marked(object.key)
    let isOurs = ConditionalWriteRule.isOurs(foundMark: found?.mark, mark: mark)
    guard isOurs, let found else { return .refused(found?.object) }
    return .written(found.object)
  }

  /// The blocks' ids hold a number of this upload's own: another writer of the same name can't put its blocks among
  /// ours. Blocks that no list names are dropped by the service after a week.
  private func upload(_ object: ObjectUpload, _ plan: PartPlan) async throws -> [String] {
    let own = Crypto.hex(try Crypto.randomBytes(8))
    let session = session
    return try await plan.upload(parallel: session.context.parallelParts) { part in
      let number = String(part.index)
      let padded = String(repeating: "0", count: max(0, 6 - number.utf8.count)) + number
      let id = Crypto.base64(Array("\(own)-\(padded)".utf8))
      let body = object.body.slice(part)
      _ = try await session.send(
        .init(
          operation: "PUT of block \(part.index + 1) of \(object.key)", service: .blob, method: "PUT",
          key: object.key, query: [("comp", "block"), ("blockid", id)], headers: try object.headers(ofPart: body),
          body: body)
      ) { $0.status == 201 }
      return id
    }
  }

  /// The request that makes the blob visible.
  private func publish(
    _ object: ObjectUpload, headers: HTTPHeaders, query: [(String, String)], body: HTTPBody
  ) async throws -> StoredObject {
    var headers = headers
    if object.createOnly { headers["If-None-Match"] = "*" }
    let response = try await session.send(
      .init(
        operation: "PUT of \(object.key)", service: .blob, method: "PUT", key: object.key, query: query,
        headers: headers, body: body)
    ) { answer in
      answer.status == 201 || (object.createOnly && answer.isConditionFailed)
        // the blocks are gone, since our own list was taken and its answer lost
        || (!query.isEmpty && answer.code == "InvalidBlockList")
    }
    if response.status == 201 {
      return StoredObject(
        key: object.key, size: object.size, etag: response.etag, metadata: object.metadata)
    }
    guard var found = try await head(object.key) else { throw Refusal.vanished(object.key) }
    guard found.isProvenEqual(to: object) else { throw Refusal.exists(object.key) }
    found.wasThere = true
    return found
  }

  /// For a blob in one piece.
  private static func wholeHeaders(_ object: ObjectUpload) throws(NebulaError) -> HTTPHeaders {
    var headers = try headers(object)
    headers["x-ms-blob-type"] = "BlockBlob"
    if let digest = object.contentMD5 { headers["Content-MD5"] = Crypto.base64(digest) }
    return headers
  }

  private static func headers(_ object: ObjectUpload) throws(NebulaError) -> HTTPHeaders {
    var headers: HTTPHeaders = ["Content-Type": object.contentType, "x-ms-blob-content-type": object.contentType]
    if let encoding = object.contentEncoding { headers["x-ms-blob-content-encoding"] = encoding }
    // blocks: the service would not know it otherwise
    if let digest = object.contentMD5 { headers["x-ms-blob-content-md5"] = Crypto.base64(digest) }
    try ObjectMetadata.add(object.metadata, prefix: "x-ms-meta-", to: &headers)
    return headers
  }
}
