internal import NebulaCore
internal import NebulaHTTP

/// One file as LIST names it.
struct StagedEntry: Sendable, Hashable {
  /// The folder of its table, below the pipeline's.
  let table: String
  /// Its name, without folders: the epoch's id is in front.
  let name: String
  let size: UInt64?
  let modified: HTTPDate?

  /// Nil for what does not lie right in a table's folder of `folder`, whatever else the name says: another pipeline's.
  init?(_ path: String, below folder: String, size: UInt64? = nil, modified: String? = nil) {
    // An internal stage's name is in front of the path, an external one's whole address.
    guard let end = Self.end(of: folder, in: path) else { return nil }
    let parts = path[end...].split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
    table = String(parts[0])
    name = String(parts[1])
    self.size = size
    self.modified = modified.flatMap { HTTPDate($0) }
  }

  /// Where the path goes on behind the folder: of several places the last, since two parts follow it.
  private static func end(of folder: String, in path: String) -> String.Index? {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    let wanted = folder.split(separator: "/")
    let front = parts.count - 2 - wanted.count
    guard front >= 1, Array(parts[front..<parts.count - 2]) == Array(wanted) else { return nil }
    return parts[parts.count - 2].startIndex
  }

  /// The epoch in the name; nil for what this program did not name.
  var epoch: EpochID? {
    let parts = name.split(separator: "-", maxSplits: 2)
    guard parts.count == 3, parts[0].utf8.count >= 10, parts[1].utf8.count >= 10, let generation = UInt64(parts[0]),
      let sequence = UInt64(parts[1])
    else { return nil }
    return EpochID(generation: generation, sequence: sequence)
  }
}

/// Decides which files of a pipeline's folder nobody needs any more; a value, so it is tested without a stage.
struct StageSweep: Sendable, Hashable {
  /// The lease's: before its first epoch begins, every older intent is settled.
  let generation: UInt64
  /// The last epoch of this run whose receipt is stored; those before it are settled as well.
  var settled: EpochID?
  let retention: Duration

  /// True when the state names the epoch's files no more.
  func isSettled(_ epoch: EpochID) -> Bool {
    if epoch.generation < generation { return true }
    guard let settled, epoch.generation == generation, settled.generation == generation else { return false }
    return epoch.sequence <= settled.sequence
  }

  /// What to remove, as prefixes below the pipeline's folder: epochs that are settled and, as a whole, old enough.
  func stale(_ entries: [StagedEntry], now milliseconds: Int64) -> [String] {
    var isStale: [String: Bool] = [:]
    var generations: [String: String] = [:]
    for entry in entries {
      guard let epoch = entry.epoch else { continue }
      let isOver = isSettled(epoch) && isOld(entry, milliseconds)
      let prefix = "\(entry.table)/\(epoch)-"
      isStale[prefix] = isOver && isStale[prefix] ?? true
      // One statement for a whole older generation; to the own one, files are added meanwhile.
      guard epoch.generation < generation else { continue }
      let whole = "\(entry.table)/\(padded(epoch.generation, to: 10))-"
      generations[prefix] = whole
      isStale[whole] = isOver && isStale[whole] ?? true
    }
    return isStale.filter { prefix, stale in stale && generations[prefix].map { isStale[$0] != true } ?? true }
      .keys.sorted()
  }

  private func isOld(_ entry: StagedEntry, _ now: Int64) -> Bool {
    guard retention > .zero else { return true }
    // Without a time nothing is known of its age: it stays.
    guard let modified = entry.modified else { return false }
    return now - Int64(modified.seconds) * 1000 >= retention.wholeMilliseconds
  }

  /// How long to wait between two looks at the stage while files are kept.
  var pause: Duration { max(.seconds(60), min(.seconds(3600), retention / 4)) }
}
