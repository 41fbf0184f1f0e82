internal import NebulaCore

/// When a range is copied whole.
///
/// A collection that is renamed while it is copied ends its ranges early: under the old name nothing more is found, and
/// what was still to come is in no event either. So a range that was read to its end is kept until the stream has
/// passed the time of its last answer; a rename from before that time has been met by then.
extension MongoPosition {
  /// Lets go of ranges that are whole, all events up to `settled` having been delivered.
  mutating func release(_ settled: UInt64) {
    guard !isCopied else { return }
    ranges = ranges.filter { $0.value.end.map { $0 > settled } ?? true }
  }

  /// The collection that one of these events renames before it was copied whole.
  func cutShort(by draft: Draft) -> Namespace? {
    guard !isCopied, let other = draft.changes.otherOperations.firstIndex(of: "rename") else { return nil }
    for (index, operation) in draft.changes.operations.enumerated() where Int(operation.rawValue) == 128 + other {
      let namespace = draft.namespaces.all[Int(draft.changes.namespaces[index])]
      let time = draft.changes.sequences[index].clusterTime
      if ranges.values.contains(where: { $0.namespace == namespace && ($0.end ?? .max) >= time }) { return namespace }
    }
    return nil
  }
}

extension NebulaError {
  static func renamed(_ namespace: Namespace) -> NebulaError {
    .mongo(
      .mongoRenamed,
      "\(namespace) was renamed while it was copied; what was still to be copied can't be found any more.",
      at: .init(path: namespace.description))
  }
}
