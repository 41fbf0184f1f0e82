internal import NebulaCore

/// When epochs are cut and files closed. What the user sets holds; what is left open follows the source: while it is
/// behind, files may grow to the 100 to 250 MB that Snowflake loads best; while it is followed, rows must not be late.
struct MicroBatches: Sendable, Hashable {
  /// How late rows may be.
  let age: Duration
  /// The same while the source is behind.
  let ageBehind: Duration

  init(_ options: SnowflakeOptions) {
    if let set = options.microBatchTimeoutMilliseconds {
      age = .milliseconds(set)
      ageBehind = age
    } else {
      age = .seconds(5)
      ageBehind = .seconds(60)
    }
  }

  /// The epochs that the destination asks for.
  var epoch: EpochLimits { EpochLimits(age: age, ageBehind: ageBehind) }
}
