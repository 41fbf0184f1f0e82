/// What an answer to an operation means, when an attempt before it may have been carried out: a pure value.
///
/// Each operation has a rule of two steps: what its answer says, and, where that is not enough, what the thing itself
/// says when it is looked at.
enum Reading: Sendable, Hashable {
  /// It is done, by this attempt.
  case done
  /// It may be done by an attempt before: look at what lies there.
  case look
  /// It is not done, and the answer says why.
  case refused
}

extension String {
  /// An ETag without its quotation marks: listings and headers differ in them.
  var bareETag: String { filter { $0 != "\"" } }
}

/// Whether two ETags are the same; an unknown one is equal to none.
func isSameETag(_ one: String?, _ other: String?) -> Bool {
  guard let one, let other else { return false }
  return one.bareETag == other.bareETag
}
