internal import NebulaCore

/// What an epoch knows of the copy that its source makes before, and while, it hands out changes.
struct EpochCopy: Sendable, Hashable {
  private var wasUnderway = false
  /// The copy ended in this epoch; its rows have this place in the order.
  private(set) var ended: ChangeSequence?

  /// A copied row of a deleted key may still come, after this epoch or in it.
  var needsTombstones: Bool { wasUnderway || ended != nil }

  mutating func add(_ phase: CopyPhase) {
    switch phase {
    case .none: break
    case .underway: wasUnderway = true
    case .ended(let since): ended = since
    }
  }
}
