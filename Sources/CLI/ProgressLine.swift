import NebulaCore
import NebulaRuntime

/// What a user sees of a run while it goes on.
struct ProgressLine {
  private let progress: PipelineProgress
  private let recordsPerSecond: Double
  private let megabytesPerSecond: Double
  private let inFlight: Int
  private let sinceCommit: Duration?

  init(
    _ progress: PipelineProgress, _ before: PipelineProgress, now: Duration, over time: Duration, inFlight: Int
  ) {
    let seconds = max(time.seconds, 0.001)
    self.progress = progress
    self.inFlight = inFlight
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
    return [
      "\(Int(recordsPerSecond)) records/s", "\(decimal(megabytesPerSecond)) MB/s", "lag \(lag)",
      "in flight \(decimal(Double(inFlight) / 1e6)) MB", "committed \(progress.counts.committed)",
      "last commit \(commit)",
    ].joined(separator: ", ")
  }

  var json: JSON {
    .object([
      "type": .text("progress"), "records_per_second": .real(recordsPerSecond),
      "bytes_per_second": .real(megabytesPerSecond * 1e6), "lag_ms": .number(progress.lagMilliseconds),
      "remaining_bytes": progress.remainingBytes.map { .number($0) } ?? .null,
      "in_flight_bytes": .number(Int64(inFlight)),
      "read": .number(progress.read), "committed": .number(progress.counts.committed),
      "rejected": .number(progress.counts.rejected), "epochs": .number(progress.epochs),
      "seconds_since_commit": sinceCommit.map { .real($0.seconds) } ?? .null,
    ])
  }
}

/// One digit after the point.
func decimal(_ value: Double) -> String {
  let tenths = Int64((value * 10).rounded())
  return "\(tenths / 10).\(abs(tenths % 10))"
}
