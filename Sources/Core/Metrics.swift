internal import Synchronization

/// Counters and gauges by name, for the progress line and the summary. Written once a batch, never once a record.
public final class Metrics: Sendable {
  private let values = Mutex<[String: Int64]>([:])
  /// No values yet.
  public init() {}
  /// Adds to a counter.
  public func add(_ name: String, _ amount: Int64) { values.withLock { $0[name, default: 0] += amount } }
  /// Sets a gauge.
  public func set(_ name: String, _ value: Int64) { values.withLock { $0[name] = value } }
  /// One value; 0 when it was never written.
  public subscript(name: String) -> Int64 { values.withLock { $0[name] ?? 0 } }
  /// All values.
  public var snapshot: [String: Int64] { values.withLock { $0 } }
}
