internal import NebulaCore
internal import NebulaHTTP

/// A container of Azure Blob Storage: block blobs, opened with a shared access signature.
public final class AzureBlobStore: ObjectStore {
  private let session: AzureBlobSession

  /// Opens a container; nothing is sent. `renewal` is asked when the signature has expired, also inside an upload in
  /// blocks, which then goes on where it was.
  public init(
    _ location: AzureBlobLocation, sas: AzureSAS, renewal: CredentialRenewal<AzureSAS>? = nil,
    context: ObjectStoreContext
  ) {
    session = AzureBlobSession(location, sas, renewal, context)
  }

  /// Uses another signature from now on, also for requests that are tried again.
  public func replaceCredentials(_ sas: AzureSAS) { session.replaceCredentials(sas) }

  /// Writes a blob: one PUT, or blocks and their list above `partThreshold`.
  public func put(_ object: ObjectUpload) async throws -> StoredObject {
    let context = session.context
    guard object.size > context.partThreshold else {
      var headers = try Self.headers(object)
      headers["x-ms-blob-type"] = "BlockBlob"
      if let digest = object.contentMD5 { headers["Content-MD5"] = Crypto.base64(digest) }
      return try await publish(object, headers: headers, query: [], body: object.body)
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
  public func head(_ key: String) async throws -> StoredObject? {
    let response = try await session.send(
      .init(operation: "HEAD of \(key)", method: "HEAD", key: key), accepting: [200, 404])
    guard response.status == 200 else { return nil }
    return StoredObject(
      key: key, size: response.headers["Content-Length"].flatMap { Int($0) } ?? 0, etag: response.headers["ETag"],
      metadata: ObjectMetadata.read(response.headers, prefix: "x-ms-meta-"),
      contentMD5: response.headers["Content-MD5"].flatMap { Crypto.bytes(base64: $0) })
  }

  /// Removes it.
  public func delete(_ key: String) async throws {
    _ = try await session.send(
      .init(operation: "DELETE of \(key)", method: "DELETE", key: key), accepting: [202, 200, 404])
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
      _ = try await session.send(
        .init(
          operation: "PUT of block \(part.index + 1) of \(object.key)", method: "PUT", key: object.key,
          query: [("comp", "block"), ("blockid", id)], body: object.body.slice(part)),
        accepting: [201])
      return id
    }
  }

  /// The request that makes the blob visible.
  private func publish(
    _ object: ObjectUpload, headers: HTTPHeaders, query: [(String, String)], body: HTTPBody
  ) async throws -> StoredObject {
    var headers = headers
    if object.createOnly { headers["If-None-Match"] = "*" }
    // 400: the blocks are gone, since our own list was taken and its answer lost
    let accepted = Set([201] + (object.createOnly ? [409, 412] : []) + (query.isEmpty ? [] : [400]))
    let response = try await session.send(
      .init(
        operation: "PUT of \(object.key)", method: "PUT", key: object.key, query: query, headers: headers, body: body),
      accepting: accepted)
    if response.status == 201 {
      return StoredObject(
        key: object.key, size: object.size, etag: response.headers["ETag"], metadata: object.metadata)
    }
    guard var found = try await head(object.key) else { throw Refusal.vanished(object.key) }
    guard found.isProvenEqual(to: object) else { throw Refusal.exists(object.key) }
    found.wasThere = true
    return found
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
