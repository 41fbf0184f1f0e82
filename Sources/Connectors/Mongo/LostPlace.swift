internal import NebulaCore

/// Going on after the server has forgotten the stream's place.
extension MongoPosition {
  /// This position, just opened, behind all that was handed over up to `earlier`.
  ///
  /// The order goes on: the server's time may not have moved since, and goes back where a backup was restored; rows and
  /// events from here on are newer all the same.
  ///
  /// Ranges that are kept are read from here on, so their rows stand at this position's T0: newer than each event from
  /// before the loss, older than each after it. Of the same copy are also the rows that were handed over before the loss,
  /// so it has not begun any later.
  func following(_ earlier: MongoPosition, keepingRanges: Bool) -> MongoPosition {
    var position = self
    let last = min(max(earlier.sequence.clusterTime, earlier.snapshot.clusterTime), .max - 1)
    if snapshot.clusterTime <= last {
      position.snapshot = ChangeSequence(clusterTime: last + 1, index: 0)
      position.sequence = .after(position.snapshot)
    }
    position.copyStart = position.snapshot
    if keepingRanges, !earlier.isCopied {
      position.ranges = earlier.ranges
      position.copyStart = earlier.copyStart
    }
    return position
  }

  /// The cluster time that copied rows must not be older than: T0's by the server's clock, where `snapshot` is later.
  var readAfter: UInt64 { min(snapshot.clusterTime, t0.timeHint ?? .max) }
}
