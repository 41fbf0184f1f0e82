internal import NebulaCore

/// Making a file, with `If-None-Match: *`. Sent again after a lost answer it finds its own file: empty, and with the mark
/// of this very operation among its properties.
enum CreateFileRule {
  static func reading(_ answer: AzureAnswer, createOnly: Bool) -> Reading {
    if answer.status == 201 { return .done }
    return createOnly && answer.isConditionFailed ? .look : .refused
  }

  /// nil: it went away meanwhile.
  static func outcome(found: MarkedFile?, mark: String) -> FileCreation? {
    guard let found else { return nil }
    let isOurs = found.mark == mark && found.state.length == 0
    return isOurs ? .created(etag: found.state.etag) : .exists(found.state)
  }
}

/// A file, and the mark of the operation that made it.
struct MarkedFile: Sendable, Hashable {
  var state: FileState
  var mark: String?
}
