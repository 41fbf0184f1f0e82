internal import NebulaCore
internal import NebulaFormats

/// What all epochs share.
struct WriterParts: Sendable {
  let options: SnowflakeOptions
  let context: ConnectorContext
  let stage: Stage
  let registry: TableRegistry
  let spool: Spool
  /// Workers: each encodes, compresses and uploads.
  let slots: Slots
  let rule: RollRule
  let shelves: CompressorShelves
  /// The pipeline's folder in the stage, without slashes around it.
  let folder: String
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
    var folder: String
    var staged: [StagedFile] = []
  }
  private var lanes: [LaneKey: Lane] = [:]
  private var laneOrder: [LaneKey] = []
  private var nextPart: [TableName: UInt64] = [:]
  private var tasks: [Int: Task<Void, Never>] = [:]
  private var nextTask = 0
  private var failure: (any Error)?
  private var rejected: UInt64 = 0
  private var waiters: [CheckedContinuation<Void, Never>] = []

  /// Open files over all tables, and those of them that hold a compressor.
  private static let maxIdle = 128
  private static let maxHeavy = 16

  init(_ id: EpochID, _ parts: WriterParts) {
    self.id = id
    self.parts = parts
  }

  // MARK: writing

  /// Hands a batch to a worker; returns when a worker is free for it.
  func write(_ batch: RecordBatch) async throws {
    if let failure { throw failure }
    guard batch.count > 0 else { return }
    let keys = try await parts.registry.lanes(for: batch)
    try await parts.slots.wait()
    if let failure {
      parts.slots.signal()
      throw failure
    }
    spawn { writer in try await writer.process(batch, keys) }
  }

  private func spawn(_ body: @escaping @Sendable (EpochWriter) async throws -> Void) {
    nextTask += 1
    let number = nextTask
    let slots = parts.slots
    tasks[number] = Task.detached { [self] in
      var caught: (any Error)?
      do { try await body(self) } catch { caught = error }
      slots.signal()
      await self.ended(number, caught)
    }
  }

  private func ended(_ number: Int, _ error: (any Error)?) {
    tasks[number] = nil
    if failure == nil { failure = error }
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
  private nonisolated func process(_ batch: RecordBatch, _ keys: [LaneKey]) async throws {
    var refused: [RejectedRecord] = []
    for (key, selection) in Self.split(batch, keys) {
      var next = 0
      while next < selection.count {
        let file = try await take(key)
        let isSettled: Bool
        do {
          next = try file.encode(batch, selection, from: next, rejected: &refused)
          isSettled = try await file.settle()
        } catch {
          await file.release()
          throw error
        }
        let isOld = parts.rule.isOld(opened: file.opened, now: parts.context.clock.monotonic())
        if file.isFull || isOld || !isSettled {
          try await close(file)
        } else if let surplus = await putBack(file) {
          try await close(surplus)
        }
      }
    }
    guard !refused.isEmpty else { return }
    try await parts.context.deadLetters.append(refused, to: id)
    await count(rejected: UInt64(refused.count))
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

  private func take(_ key: LaneKey) async throws -> FileWriter {
    if lanes[key] == nil {
      lanes[key] = Lane(folder: parts.folder + "/" + pathName(key.table.name.name))
      laneOrder.append(key)
    }
    if let file = lanes[key]?.idle.popLast() { return file }
    return try await open(key)
  }

  private func open(_ key: LaneKey) async throws -> FileWriter {
    let part = nextPart[key.table, default: 0] + 1
    nextPart[key.table] = part
    let compression = parts.options.compression(for: key.layout)
    let name =
      "\(id)-\(padded(part, to: 6)).\(key.layout.format.rawValue.lowercased())\(compression.codec.fileExtension)"
    let folder = lanes[key]?.folder ?? ""
    let preparation = try await parts.stage.preparation(folder: folder, file: name, compression)
    let staged = try StagedBytes(
      name: "\(pathName(key.table.name.name))-\(name)", preparation: preparation, budget: parts.context.budget,
      spool: parts.spool)
    return FileWriter(
      lane: key, name: name, encryption: preparation.encryption,
      encoder: RowEncoding.make(key.layout, options: parts.options),
      staged: staged, rule: parts.rule, compressors: parts.shelves[compression],
      opened: parts.context.clock.monotonic())
  }

  /// Takes a file back; gives out one to be closed when too many are open.
  private func putBack(_ file: FileWriter) -> FileWriter? {
    lanes[file.lane]?.idle.append(file)
    var count = 0
    var heavy = 0
    var oldest: (key: LaneKey, opened: Duration)?
    guard lanes.count > 1 || (lanes[file.lane]?.idle.count ?? 0) > Self.maxHeavy else { return nil }
    for (key, lane) in lanes {
      count += lane.idle.count
      heavy += lane.idle.count(where: \.isHeavy)
      if let first = lane.idle.first, key != file.lane, oldest.map({ first.opened < $0.opened }) ?? true {
        oldest = (key, first.opened)
      }
    }
    guard count > Self.maxIdle || heavy > Self.maxHeavy, let oldest else { return nil }
    return lanes[oldest.key]?.idle.removeFirst()
  }

  /// Ends a file and uploads it.
  private nonisolated func close(_ file: FileWriter) async throws {
    guard file.records > 0 else { return await file.release() }
    do {
      let (body, bytes) = try await file.finish()
      let compression = parts.options.compression(for: file.lane.layout)
      try await parts.stage.upload(
        body, file: file.name, folder: await folder(of: file.lane), encryption: file.encryption, compression)
      await file.release()
      parts.context.crash.pass("after-upload")
      parts.context.metrics.add("snowflake.bytes_uploaded", Int64(bytes))
      parts.context.metrics.add("snowflake.files_uploaded", 1)
      await uploaded(
        StagedFile(
          name: file.name, rows: UInt64(file.records), bytes: UInt64(bytes), sha256: hexText(body.sha256)), file.lane)
    } catch {
      await file.release()
      throw error
    }
  }

  private func folder(of key: LaneKey) -> String { lanes[key]?.folder ?? "" }
  private func uploaded(_ file: StagedFile, _ key: LaneKey) { lanes[key]?.staged.append(file) }

  // MARK: the epoch's end

  /// Closes all files, waits for their uploads, creates tables; what a commit needs.
  func prepare() async throws -> PreparedEpoch {
    await drain()
    for key in laneOrder {
      while let file = lanes[key]?.idle.popLast() {
        do { try await parts.slots.wait() } catch {
          await file.release()
          throw error
        }
        spawn { writer in try await writer.close(file) }
      }
    }
    await drain()
    if let failure { throw failure }
    for key in laneOrder where lanes[key]?.staged.isEmpty == false { try await parts.registry.ensure(key) }
    var manifest = Manifest(stage: parts.stage.name, tables: [])
    for key in laneOrder {
      guard let lane = lanes[key], !lane.staged.isEmpty else { continue }
      manifest.tables.append(
        StagedTable(
          table: key.table, layout: key.layout, compression: parts.options.compression(for: key.layout),
          folder: lane.folder, files: lane.staged.sorted { $0.name < $1.name }))
    }
    return PreparedEpoch(
      id, counts: RecordCounts(committed: manifest.rows, rejected: rejected), version: Manifest.version,
      manifest: manifest.encoded, isEmpty: manifest.tables.isEmpty)
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
  /// ZSTD for JSON, GZIP for CSV, unless one is chosen.
  func compression(for layout: TableLayout) -> Compression {
    compressionType ?? (layout.format == .json ? .zstd : .gzip)
  }
}
