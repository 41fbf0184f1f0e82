/// Giving a file another name. A rename keeps the file's ETag: a target that has the source's is ours, whatever happened
/// to the answer.
enum RenameRule {
  enum Step: Sendable, Hashable {
    case done
    /// Look at the target.
    case look
    /// The folder of the target is not there.
    case makeFolder
    /// The source is not what it was.
    case changed
    case refused
  }

  static func step(_ answer: AzureAnswer) -> Step {
    if answer.status == 201 { return .done }
    switch answer.code {
    case "SourcePathNotFound", "PathNotFound", "BlobNotFound": return .look
    case "RenameDestinationParentPathNotFound": return .makeFolder
    case "SourceConditionNotMet": return .changed
    default: return answer.isConditionFailed ? .look : .refused
    }
  }

  enum Outcome: Sendable, Hashable {
    case renamed, targetExists, sourceMissing, changed
  }

  /// `source` is nil when the answer said that it is gone; `target` when nothing is there.
  static func outcome(expected: String, isSourceGone: Bool, target: String?) -> Outcome {
    if isSameETag(expected, target) { return .renamed }
    if isSourceGone { return .sourceMissing }
    // the name is free, so it was the source's condition that failed
    return target == nil ? .changed : .targetExists
  }
}
