/// How long something took, many times: count, sum, last and quantiles in a few hundred numbers. A value: whoever wants
/// to share one puts it into `Metrics`.
public struct Timing: Sendable, Hashable {
  /// How often.
  public private(set) var count: UInt64 = 0
  /// All together.
  public private(set) var total: Duration = .zero
  /// The newest.
  public private(set) var last: Duration = .zero
  /// The longest.
  public private(set) var longest: Duration = .zero
  private var shortest: Duration = .zero
  /// By the time in microseconds, eight to each power of two: an eighth is the largest error of a quantile.
  private var buckets: [UInt64] = []

  /// Nothing yet.
  public init() {}

  /// Adds one.
  public mutating func add(_ time: Duration) {
    let time = max(.zero, time)
    shortest = count == 0 ? time : min(shortest, time)
    longest = max(longest, time)
    count += 1
    total += time
    last = time
    let index = Self.bucket(Self.microseconds(time))
    if index >= buckets.count { buckets += [UInt64](repeating: 0, count: index + 1 - buckets.count) }
    buckets[index] += 1
  }

  /// The time that this share (0 to 1) stayed within; nil when there was none.
  public func quantile(_ share: Double) -> Duration? {
    guard count > 0 else { return nil }
    let rank = UInt64((min(max(share, 0), 1) * Double(count)).rounded(.up))
    var seen: UInt64 = 0
    for (index, number) in buckets.enumerated() {
      seen += number
      // What was seen is never exceeded, and one single time is told exactly.
      if seen >= max(rank, 1) { return min(max(.microseconds(Self.upperBound(index)), shortest), longest) }
    }
    return longest
  }

  private static func microseconds(_ time: Duration) -> Int64 {
    let (seconds, rest) = time.components
    return min(seconds, 1 << 40) * 1_000_000 + rest / 1_000_000_000_000
  }

  private static func bucket(_ value: Int64) -> Int {
    guard value >= 8 else { return Int(value) }
    let power = 63 - value.leadingZeroBitCount
    return (power - 2) * 8 + Int(value >> (power - 3)) & 7
  }

  private static func upperBound(_ bucket: Int) -> Int64 {
    guard bucket >= 8 else { return Int64(bucket) }
    let (power, step) = (bucket / 8 + 2, Int64(bucket % 8))
    return (8 + step + 1) << (power - 3) - 1
  }
}
