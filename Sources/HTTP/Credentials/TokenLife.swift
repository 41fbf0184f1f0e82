internal import NebulaCore

typealias TokenLife = CredentialLife<AccessToken>

/// When a credential is used and when a new one is asked for: a pure value.
struct CredentialLife<Credential: ExpiringCredential>: Sendable {
  enum Decision: Sendable, Hashable {
    case use(Credential)
    /// Ask for a new one; when that fails, the old one still serves.
    case refresh(fallback: Credential?)
  }
  /// So long before its end it is replaced.
  static var margin: Duration { .seconds(300) }
  /// So long nothing is asked after a failure, while the old one serves.
  static var pause: Duration { .seconds(30) }

  private var token: Credential?
  private var end: Duration = .zero
  private var quietUntil: Duration?
  /// Whether there ever was one: then what fails now may pass.
  private(set) var hasWorked = false

  func decide(now: Duration) -> Decision {
    guard let token, now < end else { return .refresh(fallback: nil) }
    // a token that lives shorter than the margin is used for half of its life
    let isFresh = now < end - min(Self.margin, token.lifetime / 2)
    return isFresh || now < quietUntil ?? now ? .use(token) : .refresh(fallback: token)
  }

  /// A new one, asked for at `start`.
  mutating func arrived(_ new: Credential, askedAt start: Duration) {
    token = new
    end = start + new.lifetime
    quietUntil = nil
    hasWorked = true
  }

  mutating func failed(now: Duration) { quietUntil = now + Self.pause }

  /// The other side refused this one. Nothing happens if another has taken its place since.
  mutating func refused(_ value: String) {
    if token?.proof == value { token = nil }
  }
}
