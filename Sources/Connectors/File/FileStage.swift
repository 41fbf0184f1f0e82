import Glibc
import NebulaCore
import NebulaFormats

extension StagedFile {
  /// Staged names are never used twice.
  static var newFile: Int32 { O_WRONLY | O_CREAT | O_EXCL }
}

/// Writes staged files, on a thread of its own.
actor FileStage {
  nonisolated let executor = ThreadExecutor()
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  private let options: FileDestinationOptions
  private let context: ConnectorContext
  private let paths: FilePaths
  private var epochs: [EpochID: StagedEpoch] = [:]

  /// What an epoch has staged so far.
  private struct StagedEpoch {
    var manifest: FileManifest
    var open: [String: StagedFile] = [:]
    /// Partitions, the one written last at the end.
    var order: [String] = []
    var parts: UInt64 = 0
    var rejected: UInt64 = 0
  }

  init(_ options: FileDestinationOptions, _ context: ConnectorContext, _ paths: FilePaths) {
    self.options = options
    self.context = context
    self.paths = paths
  }

  /// Adds records; they come in order.
  func append(_ records: EncodedRecords, to id: EpochID) throws(NebulaError) {
    var epoch = epochs[id] ?? StagedEpoch(manifest: FileManifest(pipeline: context.pipeline, epoch: id))
    epochs[id] = nil  // held once, so that nothing is copied
    defer { epochs[id] = epoch }
    epoch.rejected += UInt64(records.rejected.count)
    for piece in records.pieces {
      var next = 0
      while next < piece.ends.count {
        let file = try self.file(for: piece, id, &epoch)
        next = try file.append(piece, from: next)
        if file.isFull || next < piece.ends.count { try close(piece.partition, &epoch) }
      }
    }
  }

  private func file(
    for piece: EncodedPiece, _ id: EpochID, _ epoch: inout StagedEpoch
  ) throws(NebulaError) -> StagedFile {
    if let open = epoch.open[piece.partition] {
      if open.header == piece.header {
        touch(piece.partition, &epoch)
        return open
      }
      try close(piece.partition, &epoch)
    }
    if epoch.open.count >= mostOpen, let oldest = epoch.order.first { try close(oldest, &epoch) }
    if epoch.parts == 0 { try Folder.make(paths.staging(id), mode: 0o700) }
    epoch.parts += 1
    let last = "\(id)-\(padded(epoch.parts, to: 6))\(options.fileExtension)"
    let name = piece.partition.isEmpty ? last : "\(piece.partition)/\(last)"
    let file = try StagedFile(name, at: paths.staged(name, id), header: piece.header, options)
    epoch.open[piece.partition] = file
    epoch.order.append(piece.partition)
    return file
  }

  /// Open files hold buffers outside of the budget: about 1 MiB each, at most a quarter of it.
  private var mostOpen: Int { max(1, min(options.maxOpenFiles, max(4, context.budget.limit >> 22))) }

  private func touch(_ partition: String, _ epoch: inout StagedEpoch) {
    guard epoch.order.last != partition else { return }
    epoch.order.removeAll { $0 == partition }
    epoch.order.append(partition)
  }

  private func close(_ partition: String, _ epoch: inout StagedEpoch) throws(NebulaError) {
    guard let file = epoch.open.removeValue(forKey: partition) else { return }
    epoch.order.removeAll { $0 == partition }
    epoch.manifest.files.append(try file.finish())
    context.crash.pass("after-upload")
  }

  /// Closes all files; all of the epoch is durable when it returns.
  func finish(_ id: EpochID) throws(NebulaError) -> PreparedEpoch {
    guard var epoch = epochs[id] else {
      return PreparedEpoch(id, counts: RecordCounts(), version: FileManifest.version, manifest: [], isEmpty: true)
    }
    defer { epochs[id] = epoch }
    for partition in epoch.order { try close(partition, &epoch) }
    epoch.manifest.files.sort { $0.name < $1.name }
    if epoch.parts > 0 { try Folder.sync(paths.staging(id)) }
    return PreparedEpoch(
      id, counts: RecordCounts(committed: epoch.manifest.records, rejected: epoch.rejected),
      version: FileManifest.version, manifest: epoch.manifest.encoded, isEmpty: epoch.manifest.files.isEmpty)
  }

  /// Forgets an epoch; its files are closed, and stay where they are.
  func forget(_ id: EpochID) { epochs[id] = nil }
}
