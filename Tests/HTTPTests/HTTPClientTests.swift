import Foundation
import NebulaCore
import NebulaHTTP
import Synchronization
import Testing

@Suite struct HTTPClientTests {
  static let server = Result { try PythonServer("http_server.py") }
  let server: PythonServer
  let client = HTTPClient()
  init() throws { server = try Self.server.get() }

  func code(_ error: any Error) -> NebulaError.Code? { (error as? NebulaError)?.code }

  func failure(_ request: HTTPRequest, _ client: HTTPClient? = nil) async throws -> NebulaError {
    do {
      let response = try await (client ?? self.client).perform(request)
      throw NebulaError("test.no_failure", "answered \(response.status)", remedy: "")
    } catch let error as NebulaError {
      #expect(!error.description.contains("SECRET"))
      return error
    }
  }

  func echo(_ request: HTTPRequest) async throws -> JSONValue {
    let response = try await client.perform(request)
    #expect(response.status == 200)
    return try JSONValue(parsing: response.body)
  }

  func sent(_ name: String, _ echo: JSONValue) -> [String] {
    (echo["headers"]?.array ?? []).filter { $0[0]?.string?.lowercased() == name.lowercased() }
      .compactMap { $0[1]?.string }
  }

  @Test(arguments: ["GET", "PUT", "POST", "DELETE", "PATCH"])
  func methodsAndBodies(method: String) async throws {
    let body = method == "GET" ? [] : Array("héllo".utf8)
    let told = try await echo(
      HTTPRequest(
        method: method, url: server.url("/echo/a%2Fb/../c?x=%20"), headers: ["X-Empty": "", "x-a": "1"],
        body: body.isEmpty ? .none : .bytes(body)))
    #expect(told["method"]?.string == method)
    #expect(told["path"]?.string == "/echo/a%2Fb/../c?x=%20")  // as given: dots are not resolved
    #expect(told["sha256"]?.string == Crypto.hex(Crypto.sha256(body)))
    #expect(sent("X-Empty", told) == [""])
    #expect(sent("x-a", told) == ["1"])
    #expect(sent("Expect", told) == [])
    #expect(sent("Content-Length", told) == (method == "GET" ? [] : ["\(body.count)"]))
    #expect(sent("Transfer-Encoding", told) == [])
    #expect(sent("User-Agent", told) == ["nebula-swift"])
    #expect(sent("Content-Type", told) == [])
  }

  @Test(arguments: ["PUT", "POST"]) func emptyBodySaysItsLength(method: String) async throws {
    let told = try await echo(HTTPRequest(method: method, url: server.url("/echo")))
    #expect(sent("Content-Length", told) == ["0"])
  }

  @Test func headHasNoBody() async throws {
    let response = try await client.perform(
      HTTPRequest(method: "HEAD", url: server.url("/large/100000000"), maxResponseBytes: 10))
    #expect(response.status == 200)
    #expect(response.headers["content-length"] == "100000000")
    #expect(response.body.isEmpty)
  }

  @Test func statusesAreAnswers() async throws {
    let response = try await client.perform(HTTPRequest(url: server.url("/status/503?Retry-After=7")))
    #expect(response.status == 503)
    #expect(response.retryAfter == .seconds(7))
    #expect(try await client.perform(HTTPRequest(url: server.url("/interim"))).text == "after")
    let redirect = try await client.perform(HTTPRequest(url: server.url("/redirect")))
    #expect(redirect.status == 302)  // not followed
  }

  @Test func connectionsAreKept() async throws {
    let client = HTTPClient(HTTPClientOptions(maxConnectionsPerHost: 1))
    var ports: Set<Int64> = []
    for _ in 0..<5 {
      let response = try await client.perform(HTTPRequest(url: server.url("/echo")))
      ports.insert(try JSONValue(parsing: response.body)["port"]?.integer ?? 0)
    }
    #expect(ports.count == 1)
  }

  /// A connection whose other end has vanished is found out by the system, however long a request waits.
  @Test func silentConnectionsAreProbed() async throws {
    let client = client
    let url = server.url("/hang/probed")
    let task = Task { try await client.perform(HTTPRequest(url: url)) }
    try await waitFor("hang probed")
    let port = server.port()
    // A connection that is closed meanwhile says nothing: those count that are there before and after.
    let before = Self.descriptors(connectedTo: port)
    let options = Self.probes(of: before)
    let after = Set(Self.descriptors(connectedTo: port))
    let probes = zip(before, options).filter { after.contains($0.0) && $0.1 != [-1, -1, -1] }.map(\.1)
    #expect(!probes.isEmpty && probes.allSatisfy { $0 == [1, 30, 10] }, "\(probes)")
    task.cancel()
    _ = try? await task.value
  }

  /// This process' sockets that are connected to a port of this machine.
  static func descriptors(connectedTo port: Int) -> [Int32] {
    (0..<1024).filter { descriptor in
      var address = sockaddr_in()
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let status = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) }
      }
      return status == 0 && address.sin_family == sa_family_t(AF_INET)
        && Int(UInt16(bigEndian: address.sin_port)) == port
    }
  }

  /// Whether probes are on, after how many seconds of silence, and how far apart.
  static func probes(of descriptors: [Int32]) -> [[Int32]] {
    descriptors.map { descriptor in
      [(SOL_SOCKET, SO_KEEPALIVE), (Int32(IPPROTO_TCP), TCP_KEEPIDLE), (Int32(IPPROTO_TCP), TCP_KEEPINTVL)].map {
        var value: Int32 = -1
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, $0.0, $0.1, &value, &length)
        return value
      }
    }
  }

  @Test func fileIsSentEqual() async throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("nebula-\(UUID()).bin").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let bytes = try Crypto.randomBytes(5_000_001)
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    let all = try await echo(
      HTTPRequest(method: "PUT", url: server.url("/echo"), body: .file(path: path, offset: 0, length: bytes.count)))
    #expect(all["sha256"]?.string == Crypto.hex(Crypto.sha256(bytes)))
    let piece = try await echo(
      HTTPRequest(method: "PUT", url: server.url("/echo"), body: .file(path: path, offset: 1_000_003, length: 77_777)))
    #expect(piece["sha256"]?.string == Crypto.hex(Crypto.sha256(Array(bytes[1_000_003..<1_077_780]))))
    let tooLong = HTTPRequest(
      method: "PUT", url: server.url("/echo"), body: .file(path: path, offset: 0, length: bytes.count + 1))
    #expect(try await failure(tooLong).code == .httpBodyUnreadable)
    let missing = HTTPRequest(
      method: "PUT", url: server.url("/echo"), body: .file(path: path + "x", offset: 0, length: 1))
    #expect(try await failure(missing).code == .httpBodyUnreadable)
  }

  @Test func sharedBytesAreSentEqual() async throws {
    let bytes = try Crypto.randomBytes(300_000)
    let told = try await echo(
      HTTPRequest(method: "PUT", url: server.url("/echo"), body: .shared(SharedBytes(copying: bytes))))
    #expect(told["sha256"]?.string == Crypto.hex(Crypto.sha256(bytes)))
  }

  @Test func largeAnswersAreRefused() async throws {
    let fits = HTTPRequest(url: server.url("/large/1000"), maxResponseBytes: 1000)
    #expect(try await client.perform(fits).body.count == 1000)
    for path in ["/large/1001", "/chunked/2"] {
      let error = try await failure(HTTPRequest(url: server.url(path), maxResponseBytes: 1000))
      #expect(error.code == .httpTooLarge)
      #expect(error.httpRequestMayHaveBeenCarriedOut)
    }
  }

  @Test func gzipOnlyIfAsked() async throws {
    let plain = try await client.perform(HTTPRequest(url: server.url("/gzip/100")))
    let zipped = try await client.perform(HTTPRequest(url: server.url("/gzip/100"), acceptsGzip: true))
    #expect(plain.body == zipped.body && plain.body.count == 2100)
    let bomb = HTTPRequest(url: server.url("/gzip/100000"), maxResponseBytes: 10_000, acceptsGzip: true)
    #expect(try await failure(bomb).code == .httpTooLarge)
  }

  @Test func brokenAnswersAreAmbiguous() async throws {
    for path in ["/truncate?sig=SECRET", "/drop?sig=SECRET"] {
      let error = try await failure(HTTPRequest(method: "POST", url: server.url(path), body: .bytes([1, 2, 3])))
      #expect(error.code == .httpConnectionLost)
      #expect(error.httpRequestMayHaveBeenCarriedOut && error.isRetryable)
    }
    let cut = HTTPRequest(
      method: "PUT", url: server.url("/reset"), body: .bytes([UInt8](repeating: 1, count: 20_000_000)))
    let error = try await failure(cut)
    #expect(error.httpRequestMayHaveBeenCarriedOut && error.isRetryable)
  }

  @Test func refusedWasNeverSent() async throws {
    let error = try await failure(HTTPRequest(method: "POST", url: "http://127.0.0.1:1/x?sig=SECRET"))
    #expect(error.code == .httpRefused && !error.httpRequestMayHaveBeenCarriedOut && error.isRetryable)
  }

  @Test func unknownNames() async throws {
    let client = HTTPClient(HTTPClientOptions(usesProxyFromEnvironment: false))
    let error = try await failure(HTTPRequest(url: "https://nothing.invalid/x?sig=SECRET"), client)
    #expect(error.code == .httpNotResolved && !error.httpRequestMayHaveBeenCarriedOut)
  }

  @Test func timeouts() async throws {
    for path in ["/hang/timeout?sig=SECRET", "/drip"] {
      let error = try await failure(HTTPRequest(url: server.url(path), timeout: .milliseconds(200)))
      #expect(error.code == .httpTimeout && error.httpRequestMayHaveBeenCarriedOut)
    }
    let stalled = HTTPRequest(url: server.url("/drip"), stallTimeout: .seconds(1))
    #expect(try await failure(stalled).code == .httpTimeout)
  }

  /// The limit runs from the moment that a connection is free: one that waits for longer has not failed.
  @Test func waitingForATurnIsNoTimeout() async throws {
    let client = HTTPClient(HTTPClientOptions(maxConnectionsPerHost: 1))
    let busyURL = server.url("/hang/turn")
    let waitingURL = server.url("/echo")
    let busy = Task { try await client.perform(HTTPRequest(url: busyURL)) }
    try await waitFor("hang turn")
    let hasEnded = Mutex(false)
    let start = ContinuousClock.now
    let waiting = Task {
      defer { hasEnded.withLock { $0 = true } }
      return try await client.perform(HTTPRequest(url: waitingURL, timeout: .milliseconds(100)))
    }
    while ContinuousClock.now - start < .milliseconds(600) { _ = try await events() }
    #expect(!hasEnded.withLock { $0 })
    waiting.cancel()
    busy.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    _ = try? await busy.value
  }

  @Test func cancellationIsPromptAndClosesTheConnection() async throws {
    let client = client
    let url = server.url("/hang/cancelled")
    let task = Task { try await client.perform(HTTPRequest(url: url)) }
    try await waitFor("hang cancelled")
    let start = ContinuousClock.now
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    // The server would never have answered.
    #expect(ContinuousClock.now - start < .seconds(10))
    try await waitFor("gone cancelled")
  }

  @Test func cancelledBeforeItBegins() async throws {
    let client = client
    let url = server.url("/echo")
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try await client.perform(HTTPRequest(url: url))
    }
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  @Test func cancelledWhileWaitingForATurn() async throws {
    let client = HTTPClient(HTTPClientOptions(maxConnectionsPerHost: 1))
    let busyURL = server.url("/hang/busy")
    let waitingURL = server.url("/echo")
    let busy = Task { try await client.perform(HTTPRequest(url: busyURL)) }
    try await waitFor("hang busy")
    let waiting = Task { try await client.perform(HTTPRequest(url: waitingURL)) }
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    busy.cancel()
    _ = try? await busy.value
    #expect(try await client.perform(HTTPRequest(url: waitingURL)).status == 200)  // its turn was given back
  }

  @Test func shutdownEndsEverything() async throws {
    let client = HTTPClient()
    let url = server.url("/hang/shutdown")
    let task = Task { try await client.perform(HTTPRequest(url: url)) }
    try await waitFor("hang shutdown")
    client.shutdown()
    await #expect { try await task.value } throws: { code($0) == .httpClosed }
    await #expect { try await client.perform(HTTPRequest(url: url)) } throws: { code($0) == .httpClosed }
    client.shutdown()
  }

  /// A kept connection that dies at the second request: what is idempotent is sent again, what is not is not.
  @Test(arguments: ["GET", "POST"]) func staleConnections(method: String) async throws {
    let client = HTTPClient(HTTPClientOptions(maxConnectionsPerHost: 1))
    let request = HTTPRequest(method: method, url: server.url("/stale"))
    #expect(try await client.perform(request).status == 200)
    if method == "GET" {
      #expect(try await client.perform(request).status == 200)
    } else {
      let error = try await failure(request, client)
      #expect(error.code == .httpConnectionLost && error.httpRequestMayHaveBeenCarriedOut)
      let sendings = try await events().filter { $0.hasPrefix("stale POST") }
      #expect(sendings == ["stale POST 1", "stale POST 2"])
    }
  }

  /// The server answers none before all sixteen are there: on two pool threads that block, they never would be.
  @Test func parallelUploadsDoNotBlockThePool() async throws {
    let url = server.url("/together/16")
    let client = client
    let body = HTTPBody.shared(SharedBytes(copying: [UInt8](repeating: 7, count: 1 << 20)))
    let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<16 {
        group.addTask {
          try await client.perform(HTTPRequest(method: "PUT", url: url, body: body, timeout: .seconds(120))).status
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(statuses == Array(repeating: 200, count: 16))
  }

  // MARK: TLS

  @Test func trustedAuthority() async throws {
    let client = HTTPClient(HTTPClientOptions(caFile: server.told["authority"]?.string))
    for host in ["localhost", "127.0.0.1"] {
      let response = try await client.perform(HTTPRequest(url: "https://\(host):\(server.port("good"))/echo"))
      #expect(response.status == 200)
    }
  }

  @Test func untrustedCertificates() async throws {
    let trusting = HTTPClient(HTTPClientOptions(caFile: server.told["authority"]?.string))
    let cases: [(HTTPClient, String)] = [(client, "own"), (trusting, "own"), (client, "good"), (trusting, "wrong")]
    for (client, name) in cases {
      let error = try await failure(
        HTTPRequest(method: "POST", url: "https://localhost:\(server.port(name))/echo?sig=SECRET"), client)
      #expect(error.code == .httpTLS)
      #expect(!error.httpRequestMayHaveBeenCarriedOut && !error.isRetryable)
      #expect(error.remedy.contains("authority"))
    }
  }

  @Test func tlsToAPlainPort() async throws {
    let error = try await failure(HTTPRequest(url: "https://127.0.0.1:\(server.port())/echo"))
    #expect(error.code == .httpTLS && !error.httpRequestMayHaveBeenCarriedOut)
  }

  @Test func caFileThatIsNotThere() async throws {
    let client = HTTPClient(HTTPClientOptions(caFile: "/nothing.pem"))
    let error = try await failure(HTTPRequest(url: "https://localhost:\(server.port("good"))/echo"), client)
    #expect(error.code == .httpTLS)
  }

  // MARK: What is refused before anything is sent

  @Test(arguments: [
    "http://example.com/?sig=SECRET", "http://127.0.0.1.example.com/?sig=SECRET", "http://128.0.0.1/",
    "http://127.1.1.256/",
    "http://localhost.example.com/", "http://[::2]/", "http://0.0.0.0/", "HTTP://EXAMPLE.com/",
  ]) func plainOnlyToLoopback(url: String) async throws {
    let error = try await failure(HTTPRequest(url: url))
    #expect(error.code == .httpInsecure || error.code == .httpBadRequest, "\(error)")
  }

  @Test(arguments: [
    "", "ftp://127.0.0.1/", "file:///etc/passwd", "https://user:SECRET@example.com/", "https://example.com/a b",
    "https://example.com/\r\nX: y", "https://example.com/é", "https:///path",
  ]) func badAddresses(url: String) async throws {
    #expect(try await failure(HTTPRequest(url: url)).code == .httpBadRequest)
  }

  @Test func headersCannotBeSmuggled() async throws {
    for headers: HTTPHeaders in [
      ["X": "a\r\nY: b"], ["X\r\nY": "b"], ["X": "a\nb"], ["": "x"], ["a b": "x"], ["X": "a\0b"],
    ] {
      #expect(try await failure(HTTPRequest(url: server.url("/echo"), headers: headers)).code == .httpBadRequest)
    }
    #expect(
      try await failure(HTTPRequest(method: "GET /x HTTP/1.1\r\nX:", url: server.url("/echo"))).code == .httpBadRequest)
  }

  // MARK: Helpers

  func events() async throws -> [String] {
    let response = try await HTTPClient().perform(HTTPRequest(url: server.url("/__events")))
    return try JSONValue(parsing: response.body).array?.compactMap(\.string) ?? []
  }

  /// Asks the server until it has seen `event`; each look is an exchange, nothing sleeps.
  func waitFor(_ event: String) async throws {
    let start = ContinuousClock.now
    while try await !events().contains(event) {
      try #require(ContinuousClock.now - start < .seconds(120), "never seen: \(event)")
    }
  }
}
