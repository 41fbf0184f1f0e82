public import NebulaCore

/// The `pipeline:` section of a configuration.
public struct PipelineSettings: Sendable, Hashable {
  /// When an epoch is cut; the destination's wishes hold as well.
  public var epoch = EpochLimits(records: 1_000_000, bytes: 1 << 30, age: .seconds(30), idle: .seconds(5))
  /// All bytes in flight.
  public var maxInFlightBytes = 128 << 20
  /// More rejected records than this stop the run.
  public var maxRejected: UInt64 = 1000
  /// How long a failing operation is retried before the run ends, resumable; see `FailureStreak`.
  public var retryFor: Duration = .seconds(15 * 60)
  /// At most one epoch without rows in this time, when only the token moved.
  public var idleCheckpointInterval: Duration = .seconds(10)
  /// How long a clean shutdown may take.
  public var shutdownDeadline: Duration = .seconds(30)
  /// How long a silent holder keeps the lease.
  public var leaseDuration: Duration = .seconds(30)
  /// Where large staged files wait; nil: beside the state.
  public var spoolDirectory: String?
  /// How much may wait there.
  public var maxSpoolBytes = 4 << 30
  /// The defaults.
  public init() {}
}

/// What a run has done so far.
public struct PipelineProgress: Sendable, Hashable {
  /// Records pulled from the source, also those that are read a second time after an error.
  public var pulled: UInt64 = 0
  /// Records of epochs that have a receipt: committed + rejected + filtered.
  public var read: UInt64 = 0
  /// Fates of the records of epochs that have a receipt.
  public var counts = RecordCounts()
  /// Bytes pulled from the source.
  public var bytesRead: UInt64 = 0
  /// Bytes as stored by the destination.
  public var bytesWritten: UInt64 = 0
  /// Rows made visible.
  public var rows: UInt64 = 0
  /// Files published or loaded.
  public var files: UInt64 = 0
  /// Epochs with a receipt.
  public var epochs: UInt64 = 0
  /// When the last receipt was stored, by the monotonic clock.
  public var lastCommit: Duration?
  /// How far the committed data is behind the source; nil while unknown.
  public var lagMilliseconds: Int64?
  /// Bytes the source still has to read; nil when it can't know.
  public var remainingBytes: UInt64?
  /// The last receipt.
  public var lastEpoch: EpochID?
  /// Nothing yet.
  public init() {}
}
