/// Where the copy of a source's state stands on a batch, for destinations that merge.
///
/// A source that copies what it has and follows its changes meanwhile hands both over mixed: of one key the later
/// changes may come before its copied row. All copied rows stand in the total order at the copy's beginning, so the
/// order of the sequences, and not that of arrival, says what is newest.
public enum CopyPhase: Sendable, Hashable {
  /// No copy is being made: no copied row comes any more, or none ever did.
  case none
  /// Copied rows may still come, also of keys whose later changes, a removal too, were handed over already. `since` is
  /// the place in the total order where the copy began (T0): no row that it copies stands before it, and nothing that
  /// was handed over earlier stands at it or behind it. It stays the same until the copy has ended, also over restarts.
  case underway(since: ChangeSequence)
  /// Stands on exactly the batch whose position is the first at which everything is copied, and every event up to the
  /// copy's end handed over; with its records, if it has any. What a destination holds that is older than `since` is
  /// not in the source any more: no copied row and no event has touched it. Only of what went to the dead letters this
  /// can't be said.
  case ended(since: ChangeSequence)
}
