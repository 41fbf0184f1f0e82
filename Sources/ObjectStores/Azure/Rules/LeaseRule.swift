/// Leases. Their ids are the caller's, so acquire and renew may be repeated; the others are resolved here.
enum LeaseRule {
  enum Action: String, Sendable, Hashable, CaseIterable { case acquire, renew, change, release, `break` }

  enum Reading: Sendable, Hashable {
    case outcome(LeaseOutcome)
    /// Only after a change: whether the new id holds it already, renewing under that id tells.
    case tryNewID
    case refused
  }

  static func reading(_ action: Action, _ answer: AzureAnswer) -> Reading {
    if (200..<300).contains(answer.status) { return .outcome(.held) }
    if answer.isMissing { return .outcome(.noFile) }
    guard answer.isLeaseRefusal else { return .refused }
    if action == .change, answer.mayBeDone { return .tryNewID }
    return .outcome(.heldByOther)
  }
}
