/// Replacing a file's properties. Without a condition it may be repeated; with one, a second attempt fails by our own
/// doing, and the properties tell.
enum PropertiesRule {
  static func reading(_ answer: AzureAnswer) -> Reading {
    if answer.status == 200 { return .done }
    return answer.mayBeDone && answer.isConditionFailed ? .look : .refused
  }

  static func isDone(found: [String: String]?, wanted: [String: String]) -> Bool { found == wanted }
}
