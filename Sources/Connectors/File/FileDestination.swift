import NebulaCore
import NebulaFormats

/// Destination `file`: JSON Lines or CSV, plain or compressed, in partitions.
///
/// Batches are encoded by parallel tasks and written in their order; an epoch's files are published together, and its
/// manifest proves it.
actor FileDestination: Destination {
  nonisolated let traits: DestinationTraits
  private let options: FileDestinationOptions
  private let context: ConnectorContext
  private let paths: FilePaths
  private let template: PathTemplate
  private let stage: FileStage
  private let publisher: FilePublisher
  private var epochs: [EpochID: OpenEpoch] = [:]
  private var columnNames: ColumnNames
  private var isClosed = false

  /// An epoch that is being written.
  private struct OpenEpoch {
    var startedAt: Int64
    /// Ends when all that was given so far is written.
    var tail: Task<Void, any Error>?
    var inFlight: [Task<Void, any Error>] = []
  }

  /// About this much is encoded by one task.
  private static let sliceBytes = 1 << 20
  /// So many tasks may be under way in one epoch.
  private static let parallelTasks = 8

  init(_ options: FileDestinationOptions, _ context: ConnectorContext) throws(NebulaError) {
    self.options = options
    self.context = context
    paths = FilePaths(root: options.path, pipeline: context.pipeline)
    template = try PathTemplate(options.partition)
    columnNames = ColumnNames(options.columns)
    stage = FileStage(options, context, paths)
    publisher = FilePublisher(context, paths)
    traits = DestinationTraits(phases: .two, hasFence: true, epoch: EpochLimits(age: options.maxFileAge))
  }

  nonisolated func guarantee(from source: SourceTraits) throws -> Guarantee {
    switch source.resume {
    case .exact:
      .exactlyOnce(because: "the source resumes exactly, and files are published together, with a manifest as proof")
    case .inclusive: .atLeastOnce(because: "the source repeats some records after a restart, and files are appended")
    case .none: .none(because: "the source can't resume")
    }
  }

  nonisolated func check() async throws -> [Finding] {
    var folder = paths.root
    while try FileStatus.of(folder) == nil, Folder.parent(of: folder) != folder { folder = Folder.parent(of: folder) }
    let found = try FileStatus.of(folder)
    guard found?.isFolder == true, Folder.isWritable(folder) else {
      return [.failed(systemError(found?.isFolder == true ? permissionDenied : notAFolder, "Writing to", folder))]
    }
    return [.passed("\(paths.root): can be written")]
  }

  func open(_ lease: Lease) async throws { try await publisher.open(lease) }

  func begin(_ epoch: EpochID, pin: Pin?) async throws {
    guard pin == nil else {
      throw NebulaError(
        "pipeline.pin_not_supported", "Epoch \(epoch) has a pin, but files are no independent units.",
        remedy: "Report this defect.")
    }
    epochs[epoch] = OpenEpoch(startedAt: context.clock.wall())
  }

  // MARK: Writing

  func write(_ batch: RecordBatch, to id: EpochID) async throws {
    guard batch.count > 0 else { return }
    let epoch = epochs[id] ?? OpenEpoch(startedAt: context.clock.wall())
    epochs[id] = epoch
    let encoder = RecordEncoder(
      options: options, template: template, pipeline: context.pipeline, fallbackTime: epoch.startedAt,
      columns: columns(for: batch))
    var first = 0
    while first < batch.count {
      let (end, bytes) = slice(of: batch, from: first, encoder)
      let reservation = try await context.budget.reserve(bytes, for: .output)
      let range = first..<end
      schedule(Task.detached { encoder.encode(batch, range) }, reservation, id)
      try await waitForRoom(id)
      first = end
    }
  }

  private func slice(of batch: RecordBatch, from first: Int, _ encoder: RecordEncoder) -> (end: Int, bytes: Int) {
    var end = first
    var bytes = 0
    repeat {
      bytes += encoder.estimate(batch, end)
      end += 1
    } while end < batch.count && bytes < Self.sliceBytes
    return (end, bytes)
  }

  /// Appends to the epoch's chain: encoded in any order, written in this one.
  private func schedule(_ encoding: Task<EncodedRecords, Never>, _ held: MemoryBudget.Reservation, _ id: EpochID) {
    let (previous, stage, deadLetters) = (epochs[id]?.tail, stage, context.deadLetters)
    let task = Task.detached {
      defer { held.release() }
      try await previous?.value
      let records = await encoding.value
      if !records.rejected.isEmpty { try await deadLetters.append(records.rejected, to: id) }
      try await stage.append(records, to: id)
    }
    epochs[id]?.tail = task
    epochs[id]?.inFlight.append(task)
  }

  private func waitForRoom(_ id: EpochID) async throws {
    guard let epoch = epochs[id], epoch.inFlight.count >= Self.parallelTasks, let first = epoch.inFlight.first else {
      return
    }
    epochs[id]?.inFlight.removeFirst()
    try await first.value
  }

  private func columns(for batch: RecordBatch) -> [String] {
    options.format == .csv && batch.format != .csv && batch.changes == nil ? columnNames.columns(for: batch) : []
  }

  // MARK: Epochs

  func prepare(_ id: EpochID) async throws -> PreparedEpoch {
    try await epochs[id]?.tail?.value
    let prepared = try await stage.finish(id)
    epochs[id] = nil
    await stage.forget(id)
    return prepared
  }

  func commit(_ prepared: PreparedEpoch) async throws -> CommitOutcome {
    if prepared.isEmpty { return .committed(CommitReceipt(prepared.id, counts: prepared.counts, rows: 0)) }
    return .committed(try await publisher.commit(prepared))
  }

  func recover(_ prepared: PreparedEpoch) async throws -> EpochFate {
    if prepared.isEmpty { return .ready }
    return try await publisher.recover(prepared)
  }

  func abort(_ id: EpochID, _ prepared: PreparedEpoch?) async throws {
    let tail = epochs.removeValue(forKey: id)?.tail
    _ = await tail?.result
    await stage.forget(id)
    try await publisher.abort(id, prepared)
  }

  func settled(_ receipt: CommitReceipt, _ prepared: PreparedEpoch) async throws {
    try await publisher.settled(receipt.id)
  }

  func close() async {
    guard !isClosed else { return }
    isClosed = true
    for epoch in epochs.values { _ = await epoch.tail?.result }
    epochs = [:]
    stage.executor.stop()
    publisher.executor.stop()
  }
}
