import NebulaCore
import NebulaHTTP
import Synchronization
import Testing

@testable import SnowflakeConnector

/// A server that takes each passcode once, and gives a token or none.
private final class Door: Sendable {
  struct State {
    var shown: [SecondFactor.Proof] = []
    var token: String?
    var isUsed = false
    var failures = 0
  }
  let state: Mutex<State>
  init(token: String?, failures: Int = 0) {
    state = Mutex(State(token: token, failures: failures))
  }
  var shown: [SecondFactor.Proof] { state.withLock { $0.shown } }
  func forget() { state.withLock { $0.token = "other" } }

  func answer(_ proof: SecondFactor.Proof) async throws -> Envelope {
    await Task.yield()
    let body: String = try state.withLock { state in
      state.shown.append(proof)
      if state.failures > 0 {
        state.failures -= 1
        throw NebulaError("http.refused", "no way", remedy: "", disposition: .retry(after: nil))
      }
      let isGood: Bool
      switch proof {
      case .passcode(let code): isGood = code == "123456" && !state.isUsed
      case .push: isGood = true
      case .token(let token): isGood = token == state.token
      }
      if case .passcode = proof { state.isUsed = true }
      guard isGood else { return #"{"success":false,"code":"390127","message":"refused","data":{}}"# }
      let token = state.token.map { #","mfaToken":"\#($0)""# } ?? ""
      return #"{"success":true,"data":{"token":"t"\#(token)}}"#
    }
    return try Envelope(HTTPResponse(status: 200, headers: [:], body: Array(body.utf8)))
  }
}

@Suite struct SecondFactorTests {
  private func factor(_ passcode: String?, sessions: Int = 4, log: Lines = Lines()) -> SecondFactor {
    SecondFactor(passcode: passcode, user: "U", sessions: sessions, log: Logger { log.add("\($0) \($1)") })
  }

  @Test(arguments: 0..<20) func manySessionsUseOnePasscodeOnce(_ round: Int) async throws {
    let door = Door(token: "cached")
    let factor = factor("123456")
    try await withThrowingTaskGroup(of: Envelope.self) { group in
      for _ in 0..<8 { group.addTask { try await factor.logIn { try await door.answer($0) } } }
      for try await envelope in group { #expect(envelope.isSuccess) }
    }
    try await factor.checkFurtherLogins()
    #expect(door.shown.filter { $0 == .passcode("123456") }.count == 1)
    #expect(door.shown.count == 8 && door.shown.dropFirst().allSatisfy { $0 == .token("cached") })
  }

  @Test func withoutATokenASecondSessionIsRefusedBeforeItAsks() async throws {
    let door = Door(token: nil)
    let factor = factor("123456")
    _ = try await factor.logIn { try await door.answer($0) }
    for attempt in [{ try await factor.checkFurtherLogins() }, { _ = try await factor.logIn(door.answer) }] {
      let error = await #expect(throws: NebulaError.self) { try await attempt() }
      #expect(error?.code == .passcodeSpent && error?.remedy.contains("connection_pool_size: 1") == true)
      #expect(error?.remedy.contains("ALLOW_CLIENT_MFA_CACHING") == true && error?.disposition == .stop)
      #expect(!"\(error as Any)".contains("123456"))
    }
    #expect(door.shown.count == 1)
  }

  @Test func oneSessionNeedsNoToken() async throws {
    let door = Door(token: nil)
    let factor = factor("123456", sessions: 1)
    _ = try await factor.logIn { try await door.answer($0) }
    try await factor.checkFurtherLogins()
  }

  @Test func aTokenThatIsNoLongerTakenIsForgotten() async throws {
    let door = Door(token: "cached")
    let factor = factor("123456")
    _ = try await factor.logIn { try await door.answer($0) }
    door.forget()
    let error = await #expect(throws: NebulaError.self) { _ = try await factor.logIn(door.answer) }
    #expect(error?.code == .passcodeSpent)
    #expect(door.shown == [.passcode("123456"), .token("cached")])
  }

  @Test func anAnswerThatNeverCameSpendsNothing() async throws {
    let door = Door(token: "cached", failures: 1)
    let factor = factor("123456")
    await #expect(throws: NebulaError.self) { _ = try await factor.logIn(door.answer) }
    #expect(try await factor.logIn { try await door.answer($0) }.isSuccess)
  }

  @Test func withoutAPasscodeTheDeviceIsAskedAndThePersonTold() async throws {
    let (door, log) = (Door(token: nil), Lines())
    let factor = factor(nil, log: log)
    _ = try await factor.logIn { try await door.answer($0) }
    try await factor.checkFurtherLogins()
    #expect(door.shown == [.push] && log.all.count == 2)
    #expect(log.all[0].hasPrefix("warning Approve the login of U on your device"))
  }
}

@Suite struct ClientCredentialsTests {
  private func source(_ change: (inout SnowflakeOptions) -> Void) throws -> OAuthClientCredentials {
    var options = SnowflakeOptions()
    options.account = "acme-eu1"
    (options.oauthClientID, options.oauthClientSecret, options.role) = ("client", "s3cr+t", "LOADER")
    change(&options)
    let http = HTTPClient(HTTPClientOptions(userAgent: "test"))
    return OAuthClientCredentials(
      options, endpoint: try Endpoint(options), context: TokenContext(client: http, clock: .quick))
  }

  @Test func whatIsAskedFor() throws {
    let usual = try source { _ in }
    #expect(usual.address == "https://acme-eu1.snowflakecomputing.com/oauth/token-request")
    let request = usual.request
    #expect(request.headers["Authorization"] == "Basic Y2xpZW50OnMzY3IrdA==")
    guard case .bytes(let body) = request.body else { return #expect(Bool(false)) }
    #expect(
      String(decoding: body, as: UTF8.self) == "grant_type=client_credentials&scope=session%3Arole%3ALOADER")
    let own = try source {
      ($0.oauthScope, $0.oauthTokenRequestURL) = ("a b", "https://login.example.com/t")
    }
    #expect(own.scope == "a b" && own.address == "https://login.example.com/t")
    #expect(try source { $0.role = nil }.scope == "")
  }
}
