internal import Synchronization

/// Counters, gauges and timings by name, for the progress line and the summary. Written once a batch, a file or a
/// statement, never once a record.
public final class Metrics: Sendable {
  private struct State {
    var values: [String: Int64] = [:]
    var timings: [String: Timing] = [:]
  }
  private let state = Mutex(State())
  /// No values yet.
  public init() {}
  /// Adds to a counter, or moves a gauge.
  public func add(_ name: String, _ amount: Int64) { state.withLock { $0.values[name, default: 0] += amount } }
  /// Sets a gauge.
  public func set(_ name: String, _ value: Int64) { state.withLock { $0.values[name] = value } }
  /// Notes how long something took.
  public func note(_ name: String, _ time: Duration) {
    state.withLock { $0.timings[name, default: Timing()].add(time) }
  }
  /// One value; 0 when it was never written.
  public subscript(name: String) -> Int64 { state.withLock { $0.values[name] ?? 0 } }
  /// One timing; an empty one when nothing was noted.
  public func timing(_ name: String) -> Timing { state.withLock { $0.timings[name] ?? Timing() } }
  /// All values.
  public var snapshot: [String: Int64] { state.withLock { $0.values } }
  /// All timings.
  public var timings: [String: Timing] { state.withLock { $0.timings } }
}
