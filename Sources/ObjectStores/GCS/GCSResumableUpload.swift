internal import NebulaCore
internal import NebulaHTTP

/// A resumable upload: begun, sent in chunks, and after any trouble asked how far it is. Nothing is visible until its
/// last byte has come. The address of an upload is a secret: who has it may write.
struct GCSResumableUpload: Sendable {
  let session: GCSSession
  let object: ObjectUpload
  let store: GCSBucketStore

  /// Chunks, save the last, are whole multiples of this.
  static let unit = 256 << 10
  /// How often an upload that the service has forgotten is begun again.
  private static let mostStarts = 4

  func run() async throws -> StoredObject {
    for _ in 0..<Self.mostStarts {
      guard let address = try await start() else { return try await store.accept(object) }
      do {
        switch try await send(to: address) {
        case .finished(let resource): return try checked(resource)
        case .taken: return try await store.accept(object)
        case .gone: continue
        }
      } catch {
        await cancel(address)
        throw error
      }
    }
    throw NebulaError(
      .objectsUnavailable, "The upload of \(object.key) was forgotten again and again.",
      remedy: "Look at the store's status page.", at: .init(path: object.key), disposition: .retry(after: nil))
  }

  /// The upload's address; nil when the name is taken.
  private func start() async throws -> String? {
    var call = GCSSession.Call(
      operation: "Starting the upload of \(object.key)", method: "POST", key: object.key,
      query: [("uploadType", "resumable"), ("name", object.key)], isUpload: true)
    if object.createOnly { call.query.append(("ifGenerationMatch", "0")) }
    call.headers = [
      "Content-Type": "application/json; charset=UTF-8", "X-Upload-Content-Type": object.contentType,
      "X-Upload-Content-Length": String(object.size),
    ]
    call.body = .bytes(try description().bytes)
    let response = try await session.send(call, accepting: object.createOnly ? [200, 201, 412] : [200, 201])
    if response.status == 412 { return nil }
    guard let address = response.headers["Location"], !address.isEmpty else {
      throw Refusal.corrupt(object.key, "the answer to its start holds no address")
    }
    return address
  }

  private func description() throws(NebulaError) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("name", .string(object.key)), .init("contentType", .string(object.contentType)),
    ]
    if let encoding = object.contentEncoding { members.append(.init("contentEncoding", .string(encoding))) }
    // the service then refuses content that came otherwise
    if let digest = object.contentMD5 { members.append(.init("md5Hash", .string(Crypto.base64(digest)))) }
    if !object.metadata.isEmpty {
      var checked = HTTPHeaders()
      try ObjectMetadata.add(object.metadata, prefix: "", to: &checked)
      members.append(.init("metadata", .object(checked.fields.map { .init($0.name, .string($0.value)) })))
    }
    return .object(members)
  }

  private enum End {
    case finished(GCSResource)
    case taken
    case gone
  }

  private func send(to address: String) async throws -> End {
    let context = session.context
    let whole = object.size <= context.partThreshold
    let chunk = whole ? max(object.size, 1) : (max(context.partSize, Self.unit) + Self.unit - 1) / Self.unit * Self.unit
    var (stored, isSure) = (0, true)
    while true {
      let before = stored
      // attempts are counted anew only when more lies there than before
      let reading = try await context.retrier.run { _ -> Retrier.Outcome<GCSResumeRule.Reading> in
        if !isSure {
          let response = try await ask(address, nil)
          let reading = GCSResumeRule.reading(response, size: object.size, sent: nil)
          guard case .stored(let count) = reading else { return outcome(reading, response) }
          stored = count
          if count > before { return .done(reading) }
        }
        isSure = false  // until an answer says so
        let range = stored..<min(stored + chunk, object.size)
        let response = try await ask(address, range)
        return outcome(GCSResumeRule.reading(response, size: object.size, sent: range), response)
      }
      switch reading {
      case .stored(let count): (stored, isSure) = (count, true)
      case .finished(let body):
        guard let resource = GCSResource(body) else {
          throw Refusal.corrupt(object.key, "the store answered a description that can't be read")
        }
        return .finished(resource)
      case .taken: return .taken
      case .gone: return .gone
      case .refused: throw noProgress
      }
    }
  }

  private func outcome(
    _ reading: GCSResumeRule.Reading, _ response: HTTPResponse
  ) -> Retrier.Outcome<GCSResumeRule.Reading> {
    guard reading == .refused else { return .done(reading) }
    guard response.status >= 400 else { return .failed(noProgress, .server, retryAfter: response.retryAfter) }
    let refusal = session.refusal(response, "PUT of \(object.key)")
    return .failed(refusal.error, refusal.failure, retryAfter: response.retryAfter)
  }

  private var noProgress: NebulaError {
    NebulaError(
      .objectsUnavailable,
      "The upload of \(object.key) makes no progress: the service keeps nothing of what it is sent.",
      remedy: "Look at the store's status page if it stays.", at: .init(path: object.key),
      disposition: .retry(after: nil))
  }

  /// Sends a piece; without one, asks how much lies there.
  private func ask(_ address: String, _ range: Range<Int>?) async throws -> HTTPResponse {
    guard let range, !range.isEmpty else {
      return try await session.perform(
        "PUT", session: address, headers: ["Content-Range": "bytes */\(object.size)"], body: .none)
    }
    let part = PartPlan.Part(index: 0, offset: range.lowerBound, length: range.count)
    return try await session.perform(
      "PUT", session: address,
      headers: ["Content-Range": "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(object.size)"],
      body: object.body.slice(part))
  }

  private func checked(_ resource: GCSResource) throws(NebulaError) -> StoredObject {
    let stored = resource.stored
    let digests = (object.contentMD5, stored.contentMD5)
    let isWrong = if case (let ours?, let theirs?) = digests { ours != theirs } else { false }
    guard stored.size == object.size, !isWrong else {
      throw Refusal.corrupt(object.key, "the store says that it has \(stored.size) bytes, or another checksum")
    }
    return stored
  }

  /// In a task of its own: this one may be cancelled, and would not be able to send anything. Best effort.
  private func cancel(_ address: String) async {
    let session = session
    await Task.detached {
      _ = try? await session.perform("DELETE", session: address, headers: [:], body: .none)
    }.value
  }
}

/// What an answer inside a resumable upload means: a pure value.
enum GCSResumeRule {
  enum Reading: Sendable, Hashable {
    /// So many bytes lie there; send what follows.
    case stored(Int)
    /// All of it lies there; the object is described.
    case finished([UInt8])
    /// The name is taken meanwhile.
    case taken
    /// The service knows nothing of this upload (any more): begin again.
    case gone
    /// No progress: the answer says why.
    case refused
  }

  /// `sent` is what the request held; nil when it only asked.
  static func reading(_ response: HTTPResponse, size: Int, sent: Range<Int>?) -> Reading {
    switch response.status {
    case 200, 201: return .finished(response.body)
    case 308:
      guard let count = stored(response.headers["Range"]), count <= size else { return .refused }
      // sent again without end otherwise
      if let sent, count <= sent.lowerBound { return .refused }
      return count == size && size > 0 && sent == nil ? .refused : .stored(count)
    case 412: return .taken
    case 404, 410: return .gone
    default: return .refused
    }
  }

  /// `bytes=0-42`: 43 bytes; without the field, none.
  private static func stored(_ range: String?) -> Int? {
    guard let range else { return 0 }
    let words = range.replacing("bytes=", with: "").split(separator: "-")
    guard words.count == 2, words[0] == "0", let last = Int(words[1]) else { return nil }
    return last + 1
  }
}
