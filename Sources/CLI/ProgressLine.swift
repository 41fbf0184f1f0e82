import NebulaCore
import NebulaRuntime

/// What a user sees of a run while it goes on.
struct ProgressLine {
  private let progress: PipelineProgress
  private let recordsPerSecond: Double
  private let megabytesPerSecond: Double
  private let inFlight: Int
  private let sinceCommit: Duration?
  private let health: Health
  private let metrics: JSON

  init(
    _ progress: PipelineProgress, _ before: PipelineProgress, now: Duration, over time: Duration,
    _ context: ConnectorContext
  ) {
    let seconds = max(time.seconds, 0.001)
    self.progress = progress
    inFlight = context.budget.inFlight
    health = context.health.verdict(at: now)
    metrics = .metrics(context.metrics)
    recordsPerSecond = Double(progress.pulled &- before.pulled) / seconds
    megabytesPerSecond = Double(progress.bytesRead &- before.bytesRead) / seconds / 1e6
    sinceCommit = progress.lastCommit.map { now - $0 }
  }

  var lag: String {
    if let milliseconds = progress.lagMilliseconds { return "\(decimal(Double(milliseconds) / 1000)) s" }
    if let bytes = progress.remainingBytes { return "\(decimal(Double(bytes) / 1e6)) MB" }
    return "unknown"
  }

  var text: String {
    let commit = sinceCommit.map { "\(decimal($0.seconds)) s ago" } ?? "none yet"
    let line = [
      "\(Int(recordsPerSecond)) records/s", "\(decimal(megabytesPerSecond)) MB/s", "lag \(lag)",
      "in flight \(decimal(Double(inFlight) / 1e6)) MB", "committed \(progress.counts.committed)",
      "last commit \(commit)",
    ].joined(separator: ", ")
    return health.state == .healthy ? line : "\(line), \(health)"
  }

  var json: JSON {
    .object([
      "type": .text("progress"), "records_per_second": .real(recordsPerSecond),
      "bytes_per_second": .real(megabytesPerSecond * 1e6), "lag_ms": .number(progress.lagMilliseconds),
      "remaining_bytes": progress.remainingBytes.map { .number($0) } ?? .null,
      "in_flight_bytes": .number(Int64(inFlight)),
      "read": .number(progress.read), "committed": .number(progress.counts.committed),
      "rejected": .number(progress.counts.rejected), "epochs": .number(progress.epochs),
      "seconds_since_commit": sinceCommit.map { .real($0.seconds) } ?? .null, "health": .health(health),
      "metrics": metrics,
    ])
  }
}

extension JSON {
  static func health(_ health: Health) -> JSON {
    .object(["state": .text(health.state.rawValue), "reasons": .list(health.reasons.map { .text($0) })])
  }

  /// Counters and gauges by name; timings in milliseconds.
  static func metrics(_ metrics: Metrics) -> JSON {
    var members = metrics.snapshot.mapValues { JSON.number($0) }
    for (name, timing) in metrics.timings {
      func milliseconds(_ time: Duration?) -> JSON { time.map { .real($0.seconds * 1000) } ?? .null }
      members["\(name)_ms"] = .object([
        "count": .number(timing.count), "median": milliseconds(timing.quantile(0.5)),
        "p95": milliseconds(timing.quantile(0.95)), "last": milliseconds(timing.last),
        "total": milliseconds(timing.total),
      ])
    }
    return .object(members)
  }
}

/// One digit after the point.
func decimal(_ value: Double) -> String {
  let tenths = Int64((value * 10).rounded())
  return "\(tenths / 10).\(abs(tenths % 10))"
}
