internal import NebulaCore
internal import NebulaHTTP

/// An upload in parts: nothing is visible until it is completed; a failed one is aborted, so that its parts cost nothing.
struct S3MultipartUpload: Sendable {
  let session: S3Session
  let object: ObjectUpload
  let store: S3ObjectStore

  private static let mostParts = 10_000
  /// Another writer's request for the same name was under way at the completion: S3 asks for the whole upload again.
  private static let mostConflicts = 5

  func run() async throws -> StoredObject {
    for _ in 0..<Self.mostConflicts {
      if let stored = try await once() { return stored }
      let context = session.context
      try await context.clock.sleep(.milliseconds(Int64(context.random(200..<2000))))
    }
    throw NebulaError(
      .objectsUnavailable, "Completing \(object.key) came again and again into conflict with another writer's request.",
      remedy: "Find out who else writes there.", at: .init(path: object.key), disposition: .retry(after: nil))
  }

  /// One upload; nil when its completion was in conflict with another request.
  private func once() async throws -> StoredObject? {
    let id = try await create()
    do {
      let context = session.context
      let size = max(context.partSize, session.smallestPart)
      let plan = PartPlan(size: object.size, partSize: size, maxParts: Self.mostParts)
      let etags = try await plan.upload(parallel: context.parallelParts) { try await put($0, id) }
      guard etags.count == plan.parts.count else { throw Refusal.corrupt(object.key, "a part is missing") }
      return try await complete(id, etags)
    } catch {
      await abort(id)
      throw error
    }
  }

  private func create() async throws -> String {
    let response = try await session.send(
      .init(
        operation: "Starting the upload of \(object.key)", method: "POST", key: object.key, query: [("uploads", "")],
        headers: try store.headers(object)), accepting: [200])
    guard let id = XMLText.first("UploadId", in: response.text), !id.isEmpty else {
      throw Refusal.corrupt(object.key, "the answer to its start holds no upload id")
    }
    return id
  }

  private func put(_ part: PartPlan.Part, _ id: String) async throws -> String {
    let body = object.body.slice(part)
    let response = try await session.send(
      .init(
        operation: "PUT of part \(part.index + 1) of \(object.key)", method: "PUT", key: object.key,
        query: [("partNumber", String(part.index + 1)), ("uploadId", id)], headers: try object.headers(ofPart: body),
        body: body), accepting: [200])
    guard let etag = response.headers["ETag"], !etag.isEmpty else {
      throw Refusal.corrupt(object.key, "the answer to part \(part.index + 1) holds no ETag")
    }
    return etag
  }

  private func complete(_ id: String, _ etags: [String]) async throws -> StoredObject? {
    let parts = etags.enumerated().map {
      "<Part><PartNumber>\($0.offset + 1)</PartNumber><ETag>\(XMLText.escape($0.element))</ETag></Part>"
    }
    let xml =
      "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\(parts.joined())"
      + "</CompleteMultipartUpload>"
    var headers: HTTPHeaders = ["Content-Type": "application/xml"]
    if object.createOnly { headers["If-None-Match"] = "*" }
    let response = try await session.send(
      .init(
        operation: "Completing \(object.key)", method: "POST", key: object.key, query: [("uploadId", id)],
        headers: headers, body: .bytes(Array(xml.utf8))), accepting: [200, 404, 412],
      codes: ["ConditionalRequestConflict"])
    switch response.status {
    case 409:
      await abort(id)
      return nil
    case 412: return try await refuseAfterAborting(id, etags)
    case 404: return try await store.accept(object, etag: Self.etag(of: etags))  // done before, its answer was lost
    default:
      return StoredObject(
        key: object.key, size: object.size, etag: XMLText.first("ETag", in: response.text)?.filter { $0 != "\"" },
        metadata: object.metadata)
    }
  }

  /// The name is taken: by our own completion whose answer was lost, or by another's object.
  private func refuseAfterAborting(_ id: String, _ etags: [String]) async throws -> StoredObject {
    let found = try await store.accept(object, etag: Self.etag(of: etags))
    await abort(id)
    return found
  }

  /// In a task of its own: this one may be cancelled, and would not be able to send anything. Best effort.
  private func abort(_ id: String) async {
    let session = session
    let call = S3Session.Call(
      operation: "Aborting \(object.key)", method: "DELETE", key: object.key, query: [("uploadId", id)])
    await Task.detached { _ = try? await session.send(call, accepting: [204, 200, 404]) }.value
  }

  /// The ETag that S3 gives to an object in parts: MD5 over the parts' MD5s; nil when a part's ETag is no MD5.
  static func etag(of parts: [String]) -> String? {
    var digests: [UInt8] = []
    for part in parts {
      let text = part.filter { $0 != "\"" }
      guard text.count == 32, let digest = Crypto.bytes(hex: text) else { return nil }
      digests += digest
    }
    return "\(Crypto.hex(Crypto.md5(digests)))-\(parts.count)"
  }
}
