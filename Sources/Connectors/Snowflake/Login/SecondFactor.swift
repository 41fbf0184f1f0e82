internal import NebulaCore
internal import NebulaHTTP

/// The second factor of a password. A passcode is good for one login and sessions are many, so the first login asks for
/// an MFA token, which is kept in memory only and proves the second factor from then on.
actor SecondFactor {
  /// What one login shows.
  enum Proof: Sendable, Hashable {
    case passcode(String)
    /// The server asks on the user's device and answers when it is approved there.
    case push
    case token(String)

    var members: [JSONValue.Member] {
      switch self {
      case .passcode(let code):
        [.init("EXT_AUTHN_DUO_METHOD", "passcode"), .init("PASSCODE", .string(code))]
      case .push: [.init("EXT_AUTHN_DUO_METHOD", "push")]
      case .token(let token): [.init("TOKEN", .string(token))]
      }
    }
  }
  typealias Send = @Sendable (Proof) async throws -> Envelope

  private let passcode: String?
  private let user: String
  private let sessions: Int
  private let log: Logger
  private var isSpent = false
  private var token: String?
  private var asking: SharedRequest<Envelope>?

  init(passcode: String?, user: String, sessions: Int, log: Logger) {
    self.passcode = passcode
    self.user = user
    self.sessions = sessions
    self.log = log
  }

  /// Logs in by what is there: the token, else the person's factor, which is used by one login at a time.
  func logIn(_ send: @escaping Send) async throws -> Envelope {
    while true {
      if let known = token {
        let envelope = try await send(.token(known))
        if envelope.isSuccess { return envelope }
        // It has expired, or the account no longer takes it.
        if token == known { token = nil }
        continue
      }
      if let asking, asking.isUnderway {
        // Whether it worked is for its own login to say; then there is a token, or it is this one's turn.
        do { _ = try await asking.answer() } catch { try Task.checkCancellation() }
        continue
      }
      return try await ask(send)
    }
  }

  private func ask(_ send: @escaping Send) async throws -> Envelope {
    if passcode != nil, isSpent { throw spent("it was used") }
    if passcode == nil { log.warning("Approve the login of \(user) on your device: Snowflake asks there, now.") }
    let proof: Proof = passcode.map { .passcode($0) } ?? .push
    let request = SharedRequest {
      let envelope = try await send(proof)
      // before anyone who waits looks again
      await self.note(envelope)
      return envelope
    }
    asking = request
    return try await request.answer()
  }

  private func note(_ envelope: Envelope) {
    isSpent = true
    if envelope.isSuccess { token = envelope.data["mfaToken"]?.string.flatMap { $0.isEmpty ? nil : $0 } }
  }

  /// After a login: without a token there is none for further sessions, which is better said now than in the middle of a
  /// load.
  func checkFurtherLogins() throws {
    guard token == nil, sessions > 1 else { return }
    if passcode != nil { throw spent("the account gives no MFA token, and connection_pool_size is \(sessions)") }
    log.warning("The account gives no MFA token: each further session of up to \(sessions) asks on your device again.")
  }

  private func spent(_ why: String) -> NebulaError {
    NebulaError(
      .passcodeSpent, "A passcode is good for one login: \(why).",
      remedy: "ALTER ACCOUNT SET ALLOW_CLIENT_MFA_CACHING = TRUE; or set connection_pool_size: 1 and give a new "
        + "passcode; or use a key pair, which needs no person.", exit: .environment)
  }
}
