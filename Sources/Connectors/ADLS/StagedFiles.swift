internal import NebulaCore
internal import NebulaFormats
internal import NebulaHTTP
internal import NebulaObjectStores

/// Files of an epoch that no reader sees yet: written below `_nebula/<pipeline>/staged/<epoch>`, under names of their
/// own, so that no lease is needed.
actor StagedFiles: Placer {
  private let parts: LakeParts
  private let compressors: CompressorShelf
  private let roll: RollRule
  private struct Open {
    var file: Manifest.File
    let header: [UInt8]
    var appends = 0
  }
  private struct Epoch {
    var open: [String: Open] = [:]
    var units: [String: Manifest.Unit] = [:]
    var number: UInt64 = 0
  }
  private var epochs: [EpochID: Epoch] = [:]

  init(_ parts: LakeParts, _ compressors: CompressorShelf) {
    self.parts = parts
    self.compressors = compressors
    roll = RollRule(maxBytes: parts.options.maxFileBytes.bytes, maxAppends: parts.options.maxAppends)
  }

  static func folder(_ epoch: EpochID, _ parts: LakeParts) -> String { "\(parts.folder)/staged/\(epoch)" }

  func expect(_ partition: Partition, in epoch: EpochID) {}

  func place(
    _ size: Int, rows: Int, tail: Manifest.Tail, header: [UInt8], in partition: Partition, _ epoch: EpochID
  ) async throws -> Placement {
    let base = partition.base
    if let open = epochs[epoch]?.open[base],
      open.header != header || roll.rolls(end: open.file.to, appends: open.appends, adding: size)
    {
      end(open.file, base, epoch)
    }
    if epochs[epoch]?.open[base] == nil { try await make(base, header, epoch) }
    guard var open = epochs[epoch]?.open[base] else { throw adlsDefect("A staged file went away.") }
    let placement = Placement(key: open.file.staged ?? "", offset: open.file.to, leaseID: nil)
    open.file.to += size
    open.file.rows += UInt64(rows)
    open.file.tail = tail
    open.appends += 1
    epochs[epoch]?.open[base] = open
    return placement
  }

  private func end(_ file: Manifest.File, _ base: String, _ epoch: EpochID) {
    epochs[epoch]?.open[base] = nil
    epochs[epoch]?.units[base, default: Manifest.Unit(base: base, files: [])].files.append(file)
  }

  private func make(_ base: String, _ header: [UInt8], _ id: EpochID) async throws {
    var epoch = epochs[id] ?? Epoch()
    epoch.number += 1
    epochs[id] = epoch
    let number = padded(epoch.number, to: 6) + parts.options.fileExtension
    let staged = "\(Self.folder(id, parts))/\(number)"
    let new = NewFile(
      key: staged,
      properties: [LakeParts.pipelineProperty: parts.owner, LakeParts.epochProperty: id.description],
      contentType: contentType(parts.options))
    guard case .created = try await parts.request({ try await parts.store.createFile(new) }) else {
      throw NebulaError(
        .adlsNameTaken, "\(staged) is there already.", remedy: "Find out who else writes there.",
        at: .init(path: staged))
    }
    let start = try compressors.compress(header)
    if !start.isEmpty {
      try await parts.request { try await parts.store.append(FileAppend(.bytes(start), to: staged, at: 0)) }
    }
    epochs[id]?.open[base] = Open(
      file: Manifest.File(key: "\(base)-\(id)-\(number)", staged: staged, from: 0, to: start.count, rows: 0),
      header: header)
  }

  /// Flushes and closes what is open: all of the epoch is durable then.
  func finish(_ id: EpochID) async throws -> [Manifest.Unit] {
    for (base, open) in epochs[id]?.open ?? [:] { end(open.file, base, id) }
    let units = (epochs.removeValue(forKey: id)?.units ?? [:]).values.sorted { $0.base < $1.base }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for file in units.flatMap(\.files) {
        group.addTask { [parts] in
          let flush = FileFlush(file.staged ?? "", length: file.to, closes: true)
          _ = try await parts.request { try await parts.store.flush(flush) }
        }
      }
      try await group.waitForAll()
    }
    return units
  }

  func forget(_ epoch: EpochID) { epochs[epoch] = nil }
}
