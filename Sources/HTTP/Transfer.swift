internal import CCurl
internal import NebulaCore

/// One request on its way: its body, what came back so far, and who waits for it.
///
/// Used by the loop's thread only, after `init`; hence no lock.
final class Transfer: @unchecked Sendable {
  let id: UInt64
  let request: HTTPRequest
  let url: CheckedURL
  private let complete: @Sendable (Result<HTTPResponse, any Error>) -> Void

  private var reader: BodyReader?
  private var status = 0
  private var headers = HTTPHeaders()
  private var headerBytes = 0
  private var body: [UInt8] = []
  private var isTooLarge = false
  /// How often the request was about to be sent.
  private var sendings = 0

  private var handle: UnsafeMutableRawPointer?
  private var list: UnsafeMutablePointer<curl_slist>?
  private let reason = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))

  init(
    id: UInt64, request: HTTPRequest, url: CheckedURL,
    complete: @escaping @Sendable (Result<HTTPResponse, any Error>) -> Void
  ) {
    self.id = id
    self.request = request
    self.url = url
    self.complete = complete
    reason.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
  }

  deinit { reason.deallocate() }

  /// Makes the handle that curl works on; nil and completed when that fails.
  func start(_ options: HTTPClientOptions) -> UnsafeMutableRawPointer? {
    do {
      reader = try BodyReader(request.body)
    } catch {
      finish(.failure(error))
      return nil
    }
    guard let handle = curl_easy_init() else {
      finish(.failure(NebulaError(.httpFailed, "libcurl has no memory for a request.", remedy: "Free memory.")))
      return nil
    }
    self.handle = handle
    let setup = TransferSetup(handle: handle, request: request, url: url, options: options)
    list = setup.apply(context: Unmanaged.passUnretained(self).toOpaque(), reason: reason)
    return handle
  }

  /// Frees the handle, which the multi handle must have let go before.
  func release() {
    if let handle { curl_easy_cleanup(handle) }
    handle = nil
    curl_slist_free_all(list)
    list = nil
    reader = nil
  }

  /// Tells the caller. Called once: a transfer is in exactly one of the loop's collections until then.
  func finish(_ result: Result<HTTPResponse, any Error>) { complete(result) }

  /// What came of it, now that curl is done.
  func result(_ code: CURLcode) -> Result<HTTPResponse, any Error> {
    if code == CURLE_OK {
      return .success(HTTPResponse(status: status, headers: headers, body: body))
    }
    if let failure = reader?.failure { return .failure(failure) }
    return .failure(
      TransferFailure(
        code: code, reason: String(cString: reason), url: url, wasSent: sendings > 0, isTooLarge: isTooLarge,
        limit: request.maxResponseBytes
      ).error)
  }

  // MARK: What curl calls

  func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count <= request.maxResponseBytes - body.count else {
      isTooLarge = true
      return false
    }
    body.append(contentsOf: bytes)
    return true
  }

  func receiveHeader(_ bytes: UnsafeRawBufferPointer) -> Bool {
    headerBytes += bytes.count
    guard headerBytes <= 256 << 10 else {
      isTooLarge = true
      return false
    }
    let line = String(decoding: bytes, as: UTF8.self).prefix { $0 != "\r" && $0 != "\n" && $0 != "\r\n" }
    if line.hasPrefix("HTTP/") {  // an interim answer (100) may have come before
      headers = HTTPHeaders()
      status = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    } else if let colon = line.firstIndex(of: ":") {
      headers.add(String(line[..<colon]), String(line[line.index(after: colon)...]))
    }
    return true
  }

  func send(into target: UnsafeMutableRawBufferPointer) -> Int? { reader?.read(into: target) ?? nil }

  func seek(to offset: Int) -> Bool { reader?.seek(to: offset) ?? false }

  /// curl sends a request again by itself when a kept connection dies before any answer: only if that is allowed.
  func mayBeSent() -> Bool {
    if sendings > 0, !request.resendsOnStaleConnection { return false }
    sendings += 1
    return true
  }
}
