internal import NebulaCore
internal import NebulaFormats

/// What all epochs share. A class, since each open file keeps it: with thousands of tables a copy in each is megabytes.
final class WriterParts: Sendable {
  let options: SnowflakeOptions
  let context: ConnectorContext
  let stage: any Stage
  let registry: TableRegistry
  let spool: Spool
  /// Workers: each encodes, compresses and uploads.
  let slots: Slots
  let rule: RollRule
  let shelves: CompressorShelves
  /// The pipeline's folder in the stage, without slashes around it.
  let folder: String
  /// Returns when no epoch before this one waits for its commit.
  let settled: @Sendable (EpochID) async throws -> Void

  init(
    options: SnowflakeOptions, context: ConnectorContext, stage: any Stage, registry: TableRegistry, spool: Spool,
    slots: Slots, rule: RollRule, shelves: CompressorShelves, folder: String,
    settled: @escaping @Sendable (EpochID) async throws -> Void
  ) {
    self.options = options
    self.context = context
    self.stage = stage
    self.registry = registry
    self.spool = spool
    self.slots = slots
    self.rule = rule
    self.shelves = shelves
    self.folder = folder
    self.settled = settled
  }

  /// What a file's rows go into.
  func sink(_ layout: TableLayout) throws(NebulaError) -> any StagedSink {
    let compression = options.compression(for: layout)
    guard layout.format == .parquet else { return try CompressedSink(shelves[compression]) }
    return try ParquetSink(layout, compression, level: options.compressionLevel)
  }
  var meter: Meter { Meter(context) }
}

/// Writes one epoch: batches become rows of staged files, several files of a table at once when there is much to do.
///
/// Rows of a file are in the order of the input; those of a table may be spread over several files.
actor EpochWriter {
  let id: EpochID
  private let parts: WriterParts
  private struct Lane {
    /// The last one was used last.
    var idle: [FileWriter] = []
    /// How many files workers hold, and those that wait for one.
    var held = 0
    var waiters: [CheckedContinuation<Void, Never>] = []
    var folder: String
    var staged: [StagedFile] = []
    var sweeps: [Sweep] = []
    var bounds: KeyBounds?
    /// A file was closed whose keys have no bounds.
    var isUnbounded = false
    /// Of copied rows alone: the place in the order that they all have; `.mixed` once there was something else.
    var copied = CopiedRows.none
  }
  private var lanes: [LaneKey: Lane] = [:]
  private var laneOrder: [LaneKey] = []
  private var nextPart: [TableName: UInt64] = [:]
  private var tasks: [Int: Task<Void, Never>] = [:]
  private var nextTask = 0
  private var failure: (any Error)?
  private var rejected: UInt64 = 0
  private var superseded: UInt64 = 0
  private var batches: UInt32 = 0
  private var copy = EpochCopy()
  private var waiters: [CheckedContinuation<Void, Never>] = []

  private var idle = IdleFiles()

  init(_ id: EpochID, _ parts: WriterParts) {
    self.id = id
    self.parts = parts
  }

  // MARK: writing

  /// Hands a batch to a worker; returns when a worker is free for it.
  func write(_ batch: RecordBatch) async throws {
    if let failure { throw failure }
    copy.add(batch.copy)
    guard batch.count > 0 else { return }
    let keys = try await parts.registry.lanes(for: batch)
    let order = batches
    batches += 1
    try await parts.meter.queued { try await parts.slots.wait() }
    if let failure {
      parts.slots.signal()
      throw failure
    }
    spawn { writer in try await writer.process(batch, keys, order) }
  }

  private func spawn(_ body: @escaping @Sendable (EpochWriter) async throws -> Void) {
    nextTask += 1
    let number = nextTask
    let (slots, meter) = (parts.slots, parts.meter)
    meter.workerStarted()
    tasks[number] = Task.detached { [self] in
      var caught: (any Error)?
      do { try await body(self) } catch { caught = error }
      meter.workerEnded()
      slots.signal()
      await self.ended(number, caught)
    }
  }

  private func ended(_ number: Int, _ error: (any Error)?) {
    tasks[number] = nil
    if failure == nil { failure = error }
    if failure != nil { for key in laneOrder { wake(key) } }
    guard tasks.isEmpty else { return }
    for waiter in waiters { waiter.resume() }
    waiters = []
  }

  /// Waits for all work; it ends early when the waiting task is cancelled.
  private func drain() async {
    await withTaskCancellationHandler {
      if Task.isCancelled { cancelWork() }
      while !tasks.isEmpty { await withCheckedContinuation { waiters.append($0) } }
    } onCancel: {
      Task { await self.cancelWork() }
    }
  }

  private func cancelWork() {
    for task in tasks.values { task.cancel() }
  }

  /// A worker's work for a batch: not on the actor, so that workers run side by side.
  private nonisolated func process(_ batch: RecordBatch, _ keys: [LaneKey], _ order: UInt32) async throws {
    var refused: [RejectedRecord] = []
    for (key, selection) in Self.split(batch, keys) {
      var key = key
      var next = 0
      while next < selection.count {
        let file = try await take(key, isFew: selection.count * 4 <= batch.count)
        let isSettled: Bool
        do {
          next = try file.encode(batch, selection, from: next, order: order, rejected: &refused)
          isSettled = try await file.settle()
        } catch {
          await file.release()
          throw error
        }
        let isOld = parts.rule.isOld(opened: file.opened, now: parts.context.clock.monotonic())
        if let reason = file.whyFull ?? (isOld ? .age : isSettled ? nil : .room) {
          await letGo(file)
          try await close(file, because: reason)
        } else if let surplus = await putBack(file) {
          try await close(surplus, because: .crowd)
        }
        if let missing = file.waiting { key = try await widened(key, batch, missing) }
      }
    }
    guard !refused.isEmpty else { return }
    try await parts.context.deadLetters.append(refused, to: id)
    await count(rejected: UInt64(refused.count))
  }

  /// The lane with columns for the batch's new fields; the table gets them before the epoch is committed.
  private nonisolated func widened(
    _ key: LaneKey, _ batch: RecordBatch, _ missing: NebulaError
  ) async throws -> LaneKey {
    guard parts.options.schemaRule == .evolve else { throw missing }
    let wider = try await parts.registry.widen(key, by: batch)
    guard wider != key else { throw missing }
    return wider
  }

  private func count(rejected count: UInt64) { rejected += count }

  /// Which records go to which table.
  private static func split(_ batch: RecordBatch, _ keys: [LaneKey]) -> [(LaneKey, Selection)] {
    guard let first = keys.first else { return [] }
    guard let namespaces = batch.changes?.namespaces, keys.contains(where: { $0 != first }) else {
      return [(first, .all(batch.count))]
    }
    var slots: [LaneKey: Int] = [:]
    var order: [LaneKey] = []
    let slotOf = keys.map { key -> Int in
      if let slot = slots[key] { return slot }
      slots[key] = order.count
      order.append(key)
      return order.count - 1
    }
    var indices = [[Int32]](repeating: [], count: order.count)
    for (index, namespace) in namespaces.enumerated() { indices[slotOf[Int(namespace)]].append(Int32(index)) }
    return zip(order, indices).filter { !$1.isEmpty }.map { ($0, .some($1)) }
  }

  // MARK: files

  /// A file for the table's records. When they are few they wait for one that another worker holds: else as many files would
  /// be made for each of thousands of tables as there are workers.
  private func take(_ key: LaneKey, isFew: Bool) async throws -> FileWriter {
    if lanes[key] == nil {
      lanes[key] = Lane(folder: parts.folder + "/" + pathName(key.table.name.name))
      laneOrder.append(key)
    }
    while isFew, let lane = lanes[key], lane.idle.isEmpty, lane.held > 0 {
      if let failure { throw failure }
      await withCheckedContinuation { lanes[key]?.waiters.append($0) }
    }
    lanes[key]?.held += 1
    if let file = lanes[key]?.idle.popLast() {
      idle.remove(file)
      return file
    }
    do { return try await open(key) } catch {
      letGo(key)
      throw error
    }
  }

  private func letGo(_ file: FileWriter) { letGo(file.lane) }
  private func letGo(_ key: LaneKey) {
    lanes[key]?.held -= 1
    wake(key)
  }
  private func wake(_ key: LaneKey) {
    let waiters = lanes[key]?.waiters ?? []
    lanes[key]?.waiters = []
    for waiter in waiters { waiter.resume() }
  }

  private func open(_ key: LaneKey) async throws -> FileWriter {
    let part = nextPart[key.table, default: 0] + 1
    nextPart[key.table] = part
    let compression = parts.options.compression(for: key.layout)
    // A Parquet file is compressed inside, whatever its codec.
    let suffix = key.layout.format == .parquet ? "" : compression.codec.fileExtension
    let name = "\(id)-\(padded(part, to: 6)).\(key.layout.format.rawValue.lowercased())\(suffix)"
    let folder = lanes[key]?.folder ?? ""
    let preparation = try await parts.stage.preparation(folder: folder, file: name, compression)
    let staged = try StagedBytes(
      name: "\(pathName(key.table.name.name))-\(name)", preparation: preparation, budget: parts.context.budget,
      spool: parts.spool)
    return FileWriter(
      lane: key, name: name, encryption: preparation.encryption,
      encoder: RowEncoding.make(key.layout, options: parts.options, epoch: id),
      staged: staged, rule: parts.rule, opened: parts.context.clock.monotonic(),
      sink: { [parts] () throws(NebulaError) in try parts.sink(key.layout) })
  }

  /// Takes a file back; gives out one to be closed when those that are open hold too much.
  private func putBack(_ file: FileWriter) -> FileWriter? {
    lanes[file.lane]?.idle.append(file)
    idle.add(file)
    letGo(file)
    guard let surplus = idle.surplus else { return nil }
    var victim: (key: LaneKey, index: Int, file: FileWriter)?
    for key in laneOrder {
      for (index, candidate) in (lanes[key]?.idle ?? []).enumerated() where candidate !== file {
        if victim.map({ surplus.prefers(candidate, to: $0.file) }) ?? surplus.takes(candidate) {
          victim = (key, index, candidate)
        }
      }
    }
    guard let victim else { return nil }
    idle.remove(victim.file)
    return lanes[victim.key]?.idle.remove(at: victim.index)
  }

  /// Ends a file and uploads it.
  private nonisolated func close(_ file: FileWriter, because reason: CloseReason) async throws {
    guard file.records > 0 else {
      await closed(file, nil)
      return await file.release()
    }
    do {
      let (body, bytes) = try await file.finish()
      let compression = parts.options.compression(for: file.lane.layout)
      try await parts.stage.upload(
        body, file: file.name, folder: await folder(of: file.lane), encryption: file.encryption, compression)
      await file.release()
      parts.context.crash.pass("after-upload")
      parts.meter.uploaded(plain: file.plain, bytes: bytes, because: reason)
      await closed(
        file,
        StagedFile(name: file.name, rows: UInt64(file.records), bytes: UInt64(bytes), sha256: hexText(body.sha256)))
    } catch {
      await file.release()
      throw error
    }
  }

  private func folder(of key: LaneKey) -> String { lanes[key]?.folder ?? "" }
  /// Keeps what a file was: `staged` is nil for one without rows, which is not uploaded.
  private func closed(_ file: FileWriter, _ staged: StagedFile?) {
    superseded += UInt64(file.superseded)
    guard var lane = lanes[file.lane] else { return }
    lane.sweeps += file.sweeps
    lane.copied.add(file.copied)
    if let staged {
      lane.staged.append(staged)
      if let bounds = file.bounds {
        lane.bounds?.widen(by: bounds, file.lane.layout.boundKind)
        lane.bounds = lane.bounds ?? bounds
      } else {
        lane.isUnbounded = true
      }
    }
    lanes[file.lane] = lane
  }

  // MARK: the epoch's end

  /// Closes all files, waits for their uploads, creates tables; what a commit needs.
  func prepare() async throws -> PreparedEpoch {
    await drain()
    for key in laneOrder {
      while let file = lanes[key]?.idle.popLast() {
        do { try await parts.meter.queued { try await parts.slots.wait() } } catch {
          await file.release()
          throw error
        }
        spawn { writer in try await writer.close(file, because: .end) }
      }
    }
    await drain()
    if let failure { throw failure }
    let manifest = try await manifest()
    return PreparedEpoch(
      id, counts: RecordCounts(committed: manifest.rows + superseded, superseded: superseded, rejected: rejected),
      version: Manifest.version, manifest: manifest.encoded, isEmpty: manifest.tables.isEmpty)
  }

  private func manifest() async throws -> Manifest {
    let id = id
    let settled = parts.settled
    var manifest = Manifest(stage: parts.stage.name, tables: [])
    let used = laneOrder.filter { lanes[$0].map { !$0.staged.isEmpty || !$0.sweeps.isEmpty } ?? false }
    // The widest first: it has the columns of those before it, so that a table is changed once.
    for key in used.reversed() { try await parts.registry.ensure(key) { try await settled(id) } }
    for key in used {
      guard let lane = lanes[key] else { continue }
      manifest.tables.append(
        StagedTable(
          table: key.table, layout: key.layout, compression: parts.options.compression(for: key.layout),
          folder: lane.folder, files: lane.staged.sorted { $0.name < $1.name },
          delimiter: String(UnicodeScalar(parts.options.stagedDialect.delimiter)), merge: merge(key, lane)))
    }
    try await chooseDirect(&manifest)
    try await sweepAfterCopy(&manifest)
    return manifest
  }

  private func merge(_ key: LaneKey, _ lane: Lane) -> StagedMerge? {
    guard let rule = key.layout.merge else { return nil }
    return StagedMerge(
      keepsTombstones: rule.deletes == .hard && copy.needsTombstones, bounds: lane.isUnbounded ? nil : lane.bounds,
      sweeps: lane.sweeps)
  }

  /// Copied rows have keys of their own; as long as a table holds nothing but such rows of the same copy, more of them
  /// are put there by COPY alone.
  private func chooseDirect(_ manifest: inout Manifest) async throws {
    let merged = Dictionary(grouping: laneOrder.filter { $0.layout.merge != nil }, by: \.table)
    for (table, indices) in Dictionary(grouping: manifest.tables.indices, by: { manifest.tables[$0].table }) {
      guard let keys = merged[table] else { continue }
      var copied = CopiedRows.none
      for key in keys { copied.add(lanes[key]?.copied ?? .none) }
      let sequence: ChangeSequence? = if case .at(let sequence) = copied { sequence } else { nil }
      let isDirect = try await parts.registry.isOnlyCopied(
        table, at: sequence.map(CollectionChange.text),
        unless: indices.contains { !(manifest.tables[$0].merge?.sweeps.isEmpty ?? true) })
      for index in indices { manifest.tables[index].merge?.isDirect = isDirect }
    }
  }

  /// When the copy has ended, rows that are older than it and were not found by it are gone at the source.
  private func sweepAfterCopy(_ manifest: inout Manifest) async throws {
    guard let since = copy.ended, parts.options.writeMode == .merge else { return }
    let sweep = Sweep(namespace: nil, before: CollectionChange.text(since), operation: "gone")
    // Of several layouts of a table the last.
    let places = Dictionary(manifest.tables.indices.map { (manifest.tables[$0].table, $0) }, uniquingKeysWith: { $1 })
    for key in try await parts.registry.mergedTables() {
      let index =
        places[key.table]
        ?? {
          manifest.tables.append(
            StagedTable(
              table: key.table, layout: key.layout, compression: parts.options.compression(for: key.layout),
              folder: parts.folder + "/" + pathName(key.table.name.name), files: [], merge: StagedMerge()))
          return manifest.tables.count - 1
        }()
      manifest.tables[index].merge?.sweeps.append(sweep)
      manifest.tables[index].merge?.purges = key.layout.merge?.deletes == .hard
    }
  }

  /// Stops all work; the folders in which files of this epoch may lie.
  func abandon() async -> [String] {
    cancelWork()
    await drain()
    for key in laneOrder {
      while let file = lanes[key]?.idle.popLast() { await file.release() }
    }
    return Array(Set(lanes.values.map(\.folder))).sorted()
  }
}

/// Compressors by compression.
struct CompressorShelves: Sendable {
  private let gzip: CompressorShelf
  private let zstd: CompressorShelf
  private let none = CompressorShelf(.none, level: nil)

  init(level: Int?) {
    gzip = CompressorShelf(.gzip, level: level.map { min($0, 9) })
    zstd = CompressorShelf(.zstd, level: level)
  }
  subscript(compression: Compression) -> CompressorShelf {
    switch compression {
    case .gzip: gzip
    case .zstd: zstd
    case .none, .snappy: none
    }
  }
}

extension SnowflakeOptions {
  /// ZSTD for JSON and Parquet, GZIP for CSV, unless one is chosen.
  func compression(for layout: TableLayout) -> Compression {
    compressionType ?? (layout.format == .csv ? .gzip : .zstd)
  }
}
