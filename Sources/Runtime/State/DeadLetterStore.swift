public import NebulaCore

/// Keeps the dead letters: one file an epoch, durable before the intent that lists it, renamed visible after the
/// receipt and again at start, swept when no intent or receipt names it (docs/design.md).
public protocol DeadLetterStore: DeadLetterSink {
  /// Makes the epoch's file durable and describes it; nil when the epoch has no rejected records.
  func seal(_ epoch: EpochID) async throws -> DeadLetterFile?
  /// Makes the file visible under its final name; again changes nothing. Throws when the file is not whole.
  func publish(_ file: DeadLetterFile) async throws
  /// The same at start, for the last receipt's file. One that is neither hidden nor visible was published before, and
  /// moved away by whoever took care of its records: no error.
  func publishAgain(_ file: DeadLetterFile) async throws
  /// Forgets an epoch that was aborted or dropped.
  func discard(_ epoch: EpochID) async throws
  /// Removes hidden files that `files` does not name, of epochs of `generation` or older. Never newer ones: a stalled
  /// writer that wakes during its start would else remove what its successor is about to name in an intent.
  func sweep(keeping files: [DeadLetterFile], through generation: UInt64) async throws
}
