public import NebulaCore
public import NebulaHTTP

/// What stores over HTTP are given from outside.
public struct ObjectStoreContext: Sendable {
  /// Sends the requests.
  public var client: HTTPClient
  /// Time.
  public var clock: Timekeeper
  /// A random number in a half-open range, for jitter.
  public var random: @Sendable (Range<UInt64>) -> UInt64
  /// When one request is tried again.
  public var retry: RetryPolicy
  /// For one request.
  public var timeout: Duration
  /// Objects larger than this go in parts.
  public var partThreshold: Int
  /// How large a part is; more when there would be too many.
  public var partSize: Int
  /// How many parts of one object are on their way at once.
  public var parallelParts: Int
  /// Told of each failure that is tried again.
  public var onRetry: (@Sendable (NebulaError) -> Void)?

  /// Makes a context.
  public init(
    client: HTTPClient, clock: Timekeeper,
    random: @escaping @Sendable (Range<UInt64>) -> UInt64 = { UInt64.random(in: $0) },
    retry: RetryPolicy = RetryPolicy(), timeout: Duration = .seconds(600), partThreshold: Int = 64 << 20,
    partSize: Int = 8 << 20, parallelParts: Int = 4
  ) {
    self.client = client
    self.clock = clock
    self.random = random
    self.retry = retry
    self.timeout = timeout
    self.partThreshold = partThreshold
    self.partSize = max(1, partSize)
    self.parallelParts = max(1, parallelParts)
  }

  var retrier: Retrier { Retrier(policy: retry, clock: clock, random: random, onRetry: onRetry) }
}
