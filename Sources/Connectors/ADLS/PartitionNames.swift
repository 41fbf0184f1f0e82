internal import NebulaCore
internal import Synchronization

/// A partition: the records whose files have one name but for part and extension.
final class Partition: Sendable {
  /// The whole name without `-part-N` and extension.
  let base: String
  /// When its time has surely ended, in milliseconds since 1970.
  let until: Int64?
  init(_ base: String, until: Int64?) {
    self.base = base
    self.until = until
  }
}

/// The partitions that were met lately, so that a path is not made for each record.
final class PartitionNames: Sendable {
  private struct Key: Hashable {
    let namespace: Namespace
    let hour: Int64
  }
  private struct Known {
    var byKey: [Key: Partition] = [:]
    var byBase: [String: Partition] = [:]
  }
  private let known = Mutex(Known())
  let template: LakeTemplate
  let pipeline: String
  private static let most = 20_000

  init(_ template: LakeTemplate, pipeline: String) {
    self.template = template
    self.pipeline = pipeline
  }

  /// What records differ in that stand in different partitions.
  func hour(_ time: Int64) -> Int64 { template.span == nil ? 0 : time / 3_600_000 }

  func partition(_ namespace: Namespace, time: Int64) -> Partition {
    let key = Key(namespace: namespace, hour: hour(time))
    if let found = known.withLock({ $0.byKey[key] }) { return found }
    let base = template.base(namespace, time: time, pipeline: pipeline)
    let made = Partition(base, until: template.end(of: time))
    return known.withLock { known in
      if known.byKey.count >= Self.most { known = Known() }
      let partition = known.byBase[base] ?? made
      known.byBase[base] = partition
      known.byKey[key] = partition
      return partition
    }
  }
}
