public import NebulaCore

/// What a request carries: streamed from where it lies, never copied whole.
public enum HTTPBody: Sendable {
  /// Nothing.
  case none
  /// Bytes of its own.
  case bytes([UInt8])
  /// Bytes that others hold as well.
  case shared(SharedBytes)
  /// `length` bytes of a file, from `offset`.
  case file(path: String, offset: Int, length: Int)

  /// How many bytes there are.
  public var count: Int {
    switch self {
    case .none: 0
    case .bytes(let bytes): bytes.count
    case .shared(let bytes): bytes.count
    case .file(_, _, let length): length
    }
  }
}

/// One request. Redirects are never followed.
public struct HTTPRequest: Sendable {
  /// `GET`, `PUT` …
  public var method: String
  /// The whole address, percent-encoded. `http://` only to loopback addresses.
  public var url: String
  /// Fields beside those that the client makes: `Host`, `Content-Length`, `User-Agent`.
  public var headers: HTTPHeaders
  /// What is sent.
  public var body: HTTPBody
  /// Everything included, from the moment that a connection is free for it.
  public var timeout: Duration
  /// A larger answer is an error.
  public var maxResponseBytes: Int
  /// How long nothing may move; nil means the client's own limit. A server that computes before it answers needs more.
  public var stallTimeout: Duration?
  /// Asks for gzip and undoes it; `maxResponseBytes` then counts what came out.
  public var acceptsGzip: Bool
  /// Whether the request may be sent again, once, when a kept connection turns out to be dead before any answer.
  /// By default everything but `POST` and `PATCH`.
  public var resendsOnStaleConnection: Bool
  /// Plain `http://` to 169.254.0.0/16 too, never through a proxy: a cloud's metadata service lives there, and asking it
  /// never leaves the machine's own network.
  public var allowsLinkLocal = false

  /// Makes a request.
  public init(
    method: String = "GET", url: String, headers: HTTPHeaders = HTTPHeaders(), body: HTTPBody = .none,
    timeout: Duration = .seconds(300), maxResponseBytes: Int = 64 << 20, stallTimeout: Duration? = nil,
    acceptsGzip: Bool = false, resendsOnStaleConnection: Bool? = nil
  ) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
    self.timeout = timeout
    self.maxResponseBytes = maxResponseBytes
    self.stallTimeout = stallTimeout
    self.acceptsGzip = acceptsGzip
    self.resendsOnStaleConnection = resendsOnStaleConnection ?? (method != "POST" && method != "PATCH")
  }
}

/// One complete answer, of any status.
public struct HTTPResponse: Sendable {
  /// 200, 404 …
  public let status: Int
  /// Its fields.
  public let headers: HTTPHeaders
  /// All of its body.
  public let body: [UInt8]
  /// Makes an answer, for tests.
  public init(status: Int, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }
  /// True for 200 to 299.
  public var isSuccess: Bool { (200..<300).contains(status) }
  /// The body as text; bytes that are no UTF-8 are replaced.
  public var text: String { String(decoding: body, as: UTF8.self) }
}
