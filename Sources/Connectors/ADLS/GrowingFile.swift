internal import NebulaCore
internal import NebulaFormats
internal import NebulaObjectStores

/// A growing file that this process holds the lease of.
struct GrowingFile: Sendable {
  let name: PartName
  let part: Int
  let until: Int64?
  /// Visible bytes, and the appended ones behind them.
  var end: Int
  var appends: Int
  /// In milliseconds since 1970.
  var lastUse: Int64
  /// Counts the uses of all files: the least is let go first.
  var turn: UInt64 = 0
  var key: String { name.key(part) }
}

/// Opens growing files: finds the highest part in the store, takes its lease and clears what an earlier writer left,
/// or makes the next part.
struct FileOpener: Sendable {
  let parts: LakeParts
  let leases: LeaseKeeper

  /// `full` is the part that was left because it is full: the next one is wanted.
  func open(_ partition: Partition, after full: Int = 0) async throws -> GrowingFile {
    let name = PartName(base: partition.base, fileExtension: parts.options.fileExtension)
    let highest = max(full, try await highestPart(name))
    if highest > full, let file = try await reopen(name, highest, partition) { return file }
    return try await create(name, from: highest + 1, partition)
  }

  /// From the store, never from memory: others may have written, and readers may have taken files away.
  private func highestPart(_ name: PartName) async throws -> Int {
    var highest = 0
    try await parts.store.forEachPage(of: name.folder, recursive: false) { entries in
      highest = max(highest, name.highest(in: entries.lazy.filter { !$0.isFolder }.map(\.key)))
    }
    return highest
  }

  /// The part that is there, when it is ours and not closed; else nil.
  private func reopen(_ name: PartName, _ part: Int, _ partition: Partition) async throws -> GrowingFile? {
    let key = name.key(part)
    guard var entry = await parts.journal.entries[key], entry.closing == nil,
      let state = try await parts.store.file(key),
      state.properties[LakeParts.pipelineProperty] == parts.owner
    else { return nil }
    let known = entry.lease
    entry.lease = leases.id
    // Counted up to the next thousand: some appends of a killed process were not written down.
    if entry.isOpen, state.length > 0 { entry.appends += Self.countedBy }
    entry.isOpen = true
    try await parts.journal.note([entry])
    guard try await leases.take(key, known: known), let length = try await clear(key) else { return nil }
    return file(name, part, partition, length: length, appends: entry.appends)
  }

  static let countedBy = 1000

  /// Throws away what was appended and not flushed; the file's length, nil when it is not there.
  func clear(_ key: String) async throws -> Int? {
    guard let state = try await parts.store.file(key) else { return nil }
    _ = try await parts.store.flush(FileFlush(key, length: state.length, leaseID: leases.id))
    return state.length
  }

  private func create(_ name: PartName, from first: Int, _ partition: Partition) async throws -> GrowingFile {
    var part = first
    while true {
      let key = name.key(part)
      let entry = Journal.Entry(key: key, base: name.base, until: partition.until, lease: leases.id)
      // Written down first: a file that nobody knows of would never be closed.
      try await parts.journal.note([entry])
      switch try await parts.store.createFile(newFile(key)) {
      case .created:
        parts.context.crash.pass("after-create")
        guard try await leases.take(key, known: nil) else { continue }
        return file(name, part, partition, length: 0, appends: 0)
      case .exists:
        try await parts.journal.forget([key])
        part += 1
      }
    }
  }

  private func newFile(_ key: String) -> NewFile {
    NewFile(
      key: key, properties: [LakeParts.pipelineProperty: parts.owner], contentType: contentType(parts.options),
      contentEncoding: nil)
  }

  private func file(
    _ name: PartName, _ part: Int, _ partition: Partition, length: Int, appends: Int
  ) -> GrowingFile {
    GrowingFile(
      name: name, part: part, until: partition.until, end: length, appends: appends,
      lastUse: parts.context.clock.wall())
  }
}

/// A compressed file is a file of that type, not an encoding of another: readers get the bytes as they are.
func contentType(_ options: ADLSOptions) -> String {
  switch options.compression {
  case .gzip: "application/gzip"
  case .zstd: "application/zstd"
  case .none: options.format == .csv ? "text/csv" : "application/x-ndjson"
  }
}
