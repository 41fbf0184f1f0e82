/// Making bytes visible, by a flush or by an append that flushes. Sent again after a lost answer it is refused, since the
/// length or the ETag is already the new one: then the length tells.
enum FlushRule {
  static func reading(_ answer: AzureAnswer) -> Reading {
    if (200..<300).contains(answer.status) { return .done }
    guard answer.mayBeDone, answer.isBadPosition || answer.isConditionFailed else { return .refused }
    return .look
  }

  /// Whether a file that is found so long is what the flush would have made. Longer is another writer's doing: nobody of
  /// ours writes on before he knows.
  static func isDone(found length: Int?, wanted: Int) -> Bool { length == wanted }
}
