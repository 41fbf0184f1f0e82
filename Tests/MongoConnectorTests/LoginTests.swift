import NebulaCore
import Testing

@testable import MongoConnector

/// Logins that fail after one has succeeded.
@Suite(.serialized, .timeLimit(.minutes(2))) struct LoginTests {
  /// Starts to follow, breaks the connection, lets `rule` meet the next login, and only then writes.
  func follow(_ rule: String) async throws -> Pulled {
    let standin = try Standin(login: ("reader", "right"))
    defer { standin.stop() }
    let source = try source(standin) { $0.start = .now }
    var stream = try await source.open(from: nil, through: nil)
    _ = try await stream.next()
    try standin.faults(#"{"command": "streamGetMore", "close": "before"}"#, rule)
    do {
      _ = try await pull(&stream) { _ in (try? standin.hits) != 0 }
      try standin.insert(0..<3)
      let pulled = try await pull(&stream, seconds: 40) { $0.rows.count == 3 }
      await source.close()
      return pulled
    } catch {
      await source.close()
      throw error
    }
  }

  @Test(arguments: [#""close": "before""#, #""code": 91"#, #""code": 18"#])
  func aLoginThatBreaksIsTriedAgain(fault: String) async throws {
    let pulled = try await follow(#"{"command": "saslContinue", \#(fault)}"#)
    #expect(pulled.rows.count == 3)
  }

  @Test func aLoginThatIsRefusedFromNowOnEndsTheSessionOnly() async throws {
    let error = await #expect(throws: NebulaError.self) {
      try await follow(#"{"command": "saslContinue", "code": 18, "times": -1}"#)
    }
    #expect(error?.code == "mongo.authentication_failed" && error?.isRetryable == true)
  }

  @Test func aFirstLoginThatIsRefusedStops() async throws {
    let standin = try Standin(login: ("reader", "right"))
    defer { standin.stop() }
    let error = await #expect(throws: NebulaError.self) {
      try await read(source(standin) { $0.uri = standin.uri.replacing("right", with: "wrong") })
    }
    #expect(error?.code == "mongo.authentication_failed" && error?.isRetryable == false)
  }
}
