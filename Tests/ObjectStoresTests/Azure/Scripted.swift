import Foundation
import NebulaCore
import NebulaHTTP
import NebulaObjectStores
import Synchronization
import Testing

/// A server that answers as it is told and writes down what it was asked, and a clock that never really waits.
final class Scripted: Sendable {
  static let shared = Result { try PythonServer("scripted_server.py") }
  static let client = HTTPClient()
  static let key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
  let server: PythonServer
  let waits = Mutex<[Duration]>([])
  /// What the clock shows: milliseconds since 1970, and since the test began.
  let wall: Mutex<Int64>
  let elapsed = Mutex<Duration>(.zero)

  init() async throws {
    server = try Self.shared.get()
    wall = Mutex(Int64(Date().timeIntervalSince1970) * 1000)
    try await control(["reset": true])
  }

  func control(_ order: JSONValue) async throws {
    let request = HTTPRequest(method: "POST", url: server.url("/__ctl"), body: .bytes(order.bytes))
    #expect(try await Self.client.perform(request).status == 200)
  }

  /// What the next `n` requests that match are answered.
  func answer(
    _ match: String = "", n: Int64 = 1, _ status: Int64, code: String = "", headers: [(String, String)] = [],
    body: String = "", drop: Bool = false
  ) async throws {
    let all = (code.isEmpty ? [] : [("x-ms-error-code", code)]) + headers
    try await control([
      "answers": [
        [
          "match": .string(match), "n": .integer(n), "status": .integer(status), "body": .string(body),
          "drop": .bool(drop), "headers": .object(all.map { JSONValue.Member($0.0, .string($0.1)) }),
        ]
      ]
    ])
  }

  func drop(_ match: String = "") async throws { try await answer(match, 0, drop: true) }

  struct Seen {
    let method: String
    let path: String
    let headers: [String: String]
    let body: String
  }
  /// Every request since the start of the test.
  func seen() async throws -> [Seen] {
    let log = try JSONValue(parsing: try await Self.client.perform(HTTPRequest(url: server.url("/__log"))).body)
    return (log.array ?? []).map { entry in
      let headers = (entry["headers"]?.object ?? []).map { ($0.name, $0.value.string ?? "") }
      return Seen(
        method: entry["method"]?.string ?? "", path: entry["path"]?.string ?? "",
        headers: Dictionary(headers) { $1 }, body: entry["body"]?.string ?? "")
    }
  }

  var clock: Timekeeper {
    Timekeeper(
      monotonic: { self.elapsed.withLock { $0 } }, wall: { self.wall.withLock { $0 } },
      sleep: { wait in
        try Task.checkCancellation()
        self.waits.withLock { $0.append(wait) }
        self.wall.withLock { $0 += 1000 }  // each attempt has another date
      })
  }
  var context: ObjectStoreContext {
    ObjectStoreContext(
      client: Self.client, clock: clock, retry: RetryPolicy(maxAttempts: 4), timeout: .seconds(60))
  }
  var tokens: TokenContext { TokenContext(client: Self.client, clock: clock) }

  func store(_ credential: AzureCredential? = nil) throws -> AzureDataLakeStore {
    AzureDataLakeStore(
      try AzureLakeLocation(accountURL: server.url("/acct"), fileSystem: "raw"),
      credential: try credential ?? .sharedKey(AzureSharedKey(account: "acct", base64: Self.key)), context: context)
  }
}

/// Every suite here shares one server that is told what to do: one test after another.
@Suite(.serialized) struct AzureTests {}
