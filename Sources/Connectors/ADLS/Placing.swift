internal import NebulaCore

/// Where bytes go.
struct Placement: Sendable, Hashable {
  var key: String
  var offset: Int
  var leaseID: String?
}

/// Decides where the bytes of an epoch go, and remembers it: into growing files, or into staged ones.
protocol Placer: Sendable {
  /// Records of the partition are waiting: its file stays open.
  func expect(_ partition: Partition, in epoch: EpochID) async
  /// A place for `size` bytes behind all that was placed in the partition before. One call a partition at a time.
  func place(
    _ size: Int, rows: Int, tail: Manifest.Tail, header: [UInt8], in partition: Partition, _ epoch: EpochID
  ) async throws -> Placement
  /// All is appended: what the epoch wrote.
  func finish(_ epoch: EpochID) async throws -> [Manifest.Unit]
}

/// What became of a unit of an epoch.
enum UnitFate: Sendable {
  case committed(Manifest.Unit)
  case gone
  case unknown(String)
}
