internal import NebulaCore

/// One way of making files of events: what the destination does with an epoch. Called by the destination's rules: one
/// epoch is written at a time, commits come in order.
protocol LakeLayout: Sendable {
  /// Behind the fence: takes over what an earlier session or process left.
  func open(_ leases: LeaseKeeper) async throws
  /// Starts an epoch; `time` is for records without one.
  func begin(_ epoch: EpochID, pin: Pin?, time: Int64) async throws
  /// `columns` are those of CSV that is made from JSON or BSON.
  func write(_ batch: RecordBatch, _ columns: [String], to epoch: EpochID) async throws
  func prepare(_ epoch: EpochID) async throws -> PreparedEpoch
  /// The fence stands at this epoch.
  func commit(_ prepared: PreparedEpoch, _ manifest: Manifest) async throws -> CommitReceipt
  func recover(_ prepared: PreparedEpoch, _ manifest: Manifest) async throws -> EpochFate
  func abort(_ epoch: EpochID, _ manifest: Manifest?) async throws
  func settled(_ epoch: EpochID, _ manifest: Manifest) async throws
  /// Lets everything go.
  func close() async
}

extension LakeLayout {
  func settled(_ epoch: EpochID, _ manifest: Manifest) async throws {}
}

/// The receipt of units that are visible, and of what they make of a pin.
extension CommitReceipt {
  init(_ prepared: PreparedEpoch, _ manifest: Manifest, evidence: [String]) {
    self.init(
      prepared.id, counts: prepared.counts, rows: manifest.rows, bytes: UInt64(manifest.bytes),
      files: UInt64(manifest.files.count), evidence: evidence)
  }
  init(_ id: EpochID, _ unit: Manifest.Unit, of manifest: Manifest) {
    self.init(
      id, counts: RecordCounts(committed: unit.rows), rows: unit.rows, bytes: UInt64(unit.bytes),
      files: UInt64(unit.files.count), evidence: ["time=\(manifest.time)", "template=\(manifest.template)"])
  }
}

/// What an epoch that is read again under a pin must do as the first time.
struct PinTerms: Sendable, Hashable {
  var time: Int64?
  var template: String?
  init(_ pin: Pin) {
    for receipt in pin.done.values {
      for text in receipt.evidence {
        if text.hasPrefix("time=") { time = Int64(text.dropFirst("time=".count)) }
        if text.hasPrefix("template=") { template = String(text.dropFirst("template=".count)) }
      }
    }
  }
}
