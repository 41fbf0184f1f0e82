/// Writing a small object on a condition. Sent again after a lost answer the condition fails by our own doing: the object
/// then has the mark of this very operation.
enum ConditionalWriteRule {
  static func reading(_ answer: AzureAnswer) -> Reading {
    if answer.status == 201 { return .done }
    // If-Match on nothing
    return answer.isConditionFailed || answer.isMissing ? .look : .refused
  }

  static func isOurs(foundMark: String?, mark: String) -> Bool { foundMark == mark }
}
