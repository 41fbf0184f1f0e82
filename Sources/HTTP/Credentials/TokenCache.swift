public import NebulaCore

/// The cache of a token.
public typealias TokenCache = CredentialCache<AccessToken>

/// Holds a credential, and replaces it five minutes before its end or when it was refused; one request for it at a time.
public actor CredentialCache<Credential: ExpiringCredential> {
  private let source: any CredentialSource<Credential>
  private let clock: Timekeeper
  private var life = CredentialLife<Credential>()
  private var refreshing: SharedRequest<Credential>?

  /// Makes an empty one; nothing is asked for yet.
  public init(_ source: some CredentialSource<Credential>, clock: Timekeeper) {
    self.source = source
    self.clock = clock
    name = source.name
  }

  /// Which way they come.
  public nonisolated let name: String

  /// One that is good for some minutes.
  public func token() async throws -> Credential {
    switch life.decide(now: clock.monotonic()) {
    case .use(let token): return token
    case .refresh(let fallback):
      do {
        return try await refresh()
      } catch {
        try Task.checkCancellation()
        guard let fallback else { throw lasting(error) }
        life.failed(now: clock.monotonic())
        return fallback
      }
    }
  }

  /// The other side refused `token`: the next one is new.
  public func refused(_ token: Credential) { life.refused(token.proof) }

  /// Everyone who waits gets the same answer.
  private func refresh() async throws -> Credential {
    if let refreshing, refreshing.isUnderway { return try await refreshing.answer() }
    let start = clock.monotonic()
    let request = SharedRequest { [source] in try await source.fetch() }
    refreshing = request
    let token = try await request.answer()
    life.arrived(token, askedAt: start)
    return token
  }

  /// A source that worked before and can't be reached now is asked again later; one that never did is misconfigured.
  private func lasting(_ error: any Error) -> any Error {
    guard life.hasWorked, var error = error as? NebulaError, error.code == .credentialsUnavailable else { return error }
    error.disposition = .retry(after: nil)
    return error
  }
}
