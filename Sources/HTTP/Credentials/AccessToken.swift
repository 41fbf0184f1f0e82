public import NebulaCore

/// A bearer token. Not printable.
public struct AccessToken: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
  /// What stands behind `Bearer`.
  public let value: String
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

/// Where tokens come from. It is asked by a `TokenCache`, never for each request.
public protocol TokenSource: Sendable {
  /// Which way it is, for errors and `check`: `service principal` …
  var name: String { get }
  /// Asks for a new token, again where that helps.
  func fetch() async throws -> AccessToken
}

/// What a source of tokens is given from outside.
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

  func retrier(_ policy: RetryPolicy) -> Retrier { Retrier(policy: policy, clock: clock, random: random) }
}
