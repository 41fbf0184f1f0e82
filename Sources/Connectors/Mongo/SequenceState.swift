internal import NebulaCore

/// Numbers the events of one cluster time; kept in the position, so that a resume inside one goes on counting.
struct SequenceState: Sendable, Hashable {
  private(set) var clusterTime: UInt64
  private(set) var next: UInt32

  init(clusterTime: UInt64, next: UInt32) {
    self.clusterTime = clusterTime
    self.next = next
  }

  /// Copied rows have index 0 at T0; an event of that very time comes after them.
  static func after(_ snapshot: ChangeSequence) -> SequenceState {
    SequenceState(clusterTime: snapshot.clusterTime, next: snapshot.index + 1)
  }

  /// The place of the next event. The order of the stream is the truth: a time that goes back does not.
  mutating func take(_ time: UInt64?) -> ChangeSequence {
    if let time, time > clusterTime {
      clusterTime = time
      next = 0
    }
    defer { next += 1 }
    return ChangeSequence(clusterTime: clusterTime, index: next)
  }
}
