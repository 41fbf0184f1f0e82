public import NebulaCore

/// The `pipeline:` section as it is written.
public struct PipelineOptions: ConnectorOptions {
  var epochRecords = 1_000_000
  var epochBytes: ByteCount = 1_073_741_824
  var epochAge: Duration = .seconds(30)
  var epochIdle: Duration = .seconds(5)
  var maxInFlightBytes: ByteCount = .mebibytes(128)
  var maxRejected = 1000
  var retryFor: Duration = .seconds(15 * 60)
  var idleCheckpointInterval: Duration = .seconds(10)
  var shutdownDeadline: Duration = .seconds(30)
  var leaseDuration: Duration = .seconds(30)
  var spoolDirectory: String?
  var maxSpoolBytes: ByteCount = ByteCount(4 << 30)
  /// All defaults.
  public init() {}

  /// The section's properties.
  public static let fields: [Field<PipelineOptions>] = [
    Field(
      "epoch_records", \.epochRecords, range: 1...1_000_000_000,
      "Cut an epoch, the unit of commit, after this many records."),
    Field("epoch_bytes", \.epochBytes, range: 1...ByteCount(1 << 50), "Cut an epoch after this many bytes read."),
    Field(
      "epoch_age", \.epochAge, range: .milliseconds(10)...(.seconds(86_400)),
      "Cut an epoch this long after its first record."),
    Field(
      "epoch_idle", \.epochIdle, range: .milliseconds(10)...(.seconds(86_400)),
      "Cut an epoch this long after its last record."),
    Field(
      "max_in_flight_bytes", \.maxInFlightBytes, range: .mebibytes(8)...ByteCount(1 << 50),
      "All bytes that may be in memory between source and destination. A slow destination slows the source."),
    Field(
      "max_rejected", \.maxRejected, range: 0...Int(Int32.max),
      "More rejected records than this stop the run; 0 stops at the first."),
    Field(
      "retry_for", \.retryFor, range: .zero...(.seconds(30 * 86_400)),
      "How long a failing operation is tried again before the run ends, resumable."),
    Field(
      "idle_checkpoint_interval", \.idleCheckpointInterval, range: .milliseconds(10)...(.seconds(86_400)),
      "Store the position of a source that has nothing new at most this often."),
    Field(
      "shutdown_deadline", \.shutdownDeadline, range: .zero...(.seconds(3600)),
      "How long a clean end may take after SIGTERM or SIGINT."),
    Field(
      "lease_duration", \.leaseDuration, range: .seconds(1)...(.seconds(3600)),
      "How long another process waits before it takes over from one that shows no life; renewed at a third of it."),
    Field(
      "spool_directory", \.spoolDirectory, example: "/var/tmp/nebula",
      "Where staged files too large for memory wait, in a folder of this pipeline's own; beside the state when not set."
    ),
    Field(
      "max_spool_bytes", \.maxSpoolBytes, range: .mebibytes(64)...ByteCount(1 << 50),
      "How much may wait there; a full spool slows the source."),
  ]

  /// As the pipeline wants them.
  var settings: PipelineSettings {
    var settings = PipelineSettings()
    settings.epoch = EpochLimits(
      records: UInt64(epochRecords), bytes: UInt64(epochBytes.bytes), age: epochAge, idle: epochIdle)
    settings.maxInFlightBytes = maxInFlightBytes.bytes
    settings.maxRejected = UInt64(maxRejected)
    settings.retryFor = retryFor
    settings.idleCheckpointInterval = idleCheckpointInterval
    settings.shutdownDeadline = shutdownDeadline
    settings.leaseDuration = leaseDuration
    settings.spoolDirectory = spoolDirectory
    settings.maxSpoolBytes = maxSpoolBytes.bytes
    return settings
  }
}
