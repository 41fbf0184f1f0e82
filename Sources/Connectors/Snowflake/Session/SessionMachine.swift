internal import NebulaCore

/// The two tokens of a session, and how long they live.
struct SessionTokens: Sendable, Hashable {
  var session: String
  var master: String
  /// Seconds.
  var masterValidity: Int64
  var sessionID: String
}

/// Decides what a session does next; a value, so it is tested without sockets and clocks.
struct SessionMachine: Sendable {
  enum Step: Sendable, Hashable {
    /// Hand the answer on.
    case deliver
    /// Renew the tokens, then send the same request again.
    case renew
    /// Another call has renewed them meanwhile: send the same request again.
    case resend
    /// Log in anew, then send the same request again.
    case login
    /// The session is gone, and a transaction with it: nobody may go on as if nothing had happened.
    case lost
  }

  /// Nil before the first login, and when a new one is needed.
  private(set) var tokens: SessionTokens?
  /// Between BEGIN and the answer to COMMIT or ROLLBACK.
  private(set) var isInTransaction = false
  /// Once true, this session is not used again.
  private(set) var isLost = false

  mutating func loggedIn(_ tokens: SessionTokens) { self.tokens = tokens }
  mutating func renewed(_ tokens: SessionTokens) { self.tokens = tokens }
  mutating func began() { isInTransaction = true }
  mutating func ended() { isInTransaction = false }
  mutating func lose() {
    isLost = true
    tokens = nil
  }

  /// What an answer with this code asks for; `token` is the one that its request was sent with.
  mutating func step(after code: String?, sentWith token: String) -> Step {
    guard let code else { return .deliver }
    switch code {
    case "390112":  // the session token has expired
      guard let tokens else { return again() }
      return tokens.session == token ? .renew : .resend
    // the master token, the session, or the OAuth token that it was made with
    case "390113", "390114", "390115", "390110", "390104", "390111", "390400", "390303", "390318":
      if let tokens, tokens.session != token { return .resend }
      return again()
    default: return .deliver
    }
  }

  /// What a refused renewal asks for.
  mutating func stepAfterRefusedRenewal() -> Step { again() }

  private mutating func again() -> Step {
    tokens = nil
    guard !isInTransaction else {
      isLost = true
      return .lost
    }
    return .login
  }
}
