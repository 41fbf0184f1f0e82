public import NebulaCore

/// A bearer token. Not printable.
public struct AccessToken: ExpiringCredential, CustomStringConvertible, CustomDebugStringConvertible {
  /// What stands behind `Bearer`.
  public let value: String
  /// The same.
  public var proof: String { value }
  /// How long it is good from the moment that it was asked for.
  public let lifetime: Duration
  /// Makes one.
  public init(value: String, lifetime: Duration) {
    self.value = value
    self.lifetime = lifetime
  }
  /// Says nothing.
  public var description: String { "AccessToken(…)" }
  /// Says nothing.
  public var debugDescription: String { description }
}

/// What proves who asks, for some time.
public protocol ExpiringCredential: Sendable, Hashable {
  /// How long it is good from the moment that it was asked for.
  var lifetime: Duration { get }
  /// Tells two of them apart. A secret.
  var proof: String { get }
}

/// Where credentials come from. It is asked by a `CredentialCache`, never for each request.
public protocol CredentialSource<Credential>: Sendable {
  /// What it gives.
  associatedtype Credential: ExpiringCredential
  /// Which way it is, for errors and `check`: `service principal` …
  var name: String { get }
  /// Asks for a new one, again where that helps.
  func fetch() async throws -> Credential
}

/// Where tokens come from.
public protocol TokenSource: CredentialSource where Credential == AccessToken {}

/// What a source of credentials is given from outside.
public struct TokenContext: Sendable {
  /// Sends the requests.
  public var client: HTTPClient
  /// Time.
  public var clock: Timekeeper
  /// A random number in a half-open range, for jitter.
  public var random: @Sendable (Range<UInt64>) -> UInt64
  /// Makes a context.
  public init(
    client: HTTPClient, clock: Timekeeper,
    random: @escaping @Sendable (Range<UInt64>) -> UInt64 = { UInt64.random(in: $0) }
  ) {
    self.client = client
    self.clock = clock
    self.random = random
  }

  /// Tries again as `policy` says.
  public func retrier(_ policy: RetryPolicy) -> Retrier { Retrier(policy: policy, clock: clock, random: random) }
}
