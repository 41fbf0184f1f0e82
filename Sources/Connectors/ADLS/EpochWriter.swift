internal import NebulaCore
internal import NebulaFormats
internal import NebulaHTTP
internal import NebulaObjectStores

/// Writes one epoch: batches are encoded by parallel tasks, lines wait in their partition until there are enough for an
/// append or the budget is used up, and are appended once the commit before has returned.
actor EpochWriter {
  let id: EpochID
  private let parts: LakeParts
  private let placer: any Placer
  private let gate: CommitGate
  private let compressors: CompressorShelf
  /// For records without an event time.
  private let fallbackTime: Int64
  /// Partitions that were visible before this epoch was read again.
  private let done: Set<EpochUnit>

  private var encodings: [(task: Task<EncodedSlice, Never>, held: MemoryBudget.Reservation)] = []
  private var queues: [String: LineQueue] = [:]
  private var placements: [String: Task<Placement, any Error>] = [:]
  private let held = HeldBytes()
  /// Chunks that are being compressed or are on their way: more would only hold memory.
  private let bodies: Slots
  /// Bytes of such chunks.
  private let sending = Watched(0)
  private let work = Work()
  private var buffered = 0
  private var taken: UInt64 = 0
  private var rejected: UInt64 = 0

  /// So many encoding tasks are under way.
  private static let parallelTasks = 4

  init(
    _ id: EpochID, _ parts: LakeParts, _ placer: any Placer, _ gate: CommitGate, _ compressors: CompressorShelf,
    fallbackTime: Int64, done: Set<EpochUnit>
  ) {
    self.id = id
    self.parts = parts
    self.placer = placer
    self.gate = gate
    self.compressors = compressors
    self.fallbackTime = fallbackTime
    self.done = done
    bodies = Slots(parts.options.parallelUploads)
  }

  // MARK: writing

  /// Takes a batch; returns when its encoding has begun.
  func write(_ batch: RecordBatch, _ columns: [String]) async throws {
    let encoder = LakeEncoder(options: parts.options, names: parts.names, fallbackTime: fallbackTime, columns: columns)
    var first = 0
    while first < batch.count {
      try work.check()
      let (end, bytes) = encoder.slice(of: batch, from: first)
      let reservation = try await room(bytes)
      let range = first..<end
      encodings.append((Task.detached { encoder.encode(batch, range) }, reservation))
      while encodings.count >= Self.parallelTasks { try await absorb() }
      first = end
    }
  }

  /// Room in the budget; makes some by appending what waits, unless enough is on its way already.
  private func room(_ bytes: Int) async throws -> MemoryBudget.Reservation {
    let budget = parts.context.budget
    if let free = budget.tryReserve(bytes, for: .output) { return free }
    while !encodings.isEmpty { try await absorb() }
    if let free = budget.tryReserve(bytes, for: .output) { return free }
    if sending.value < bytes { try await send(atLeast: max(bytes, buffered / 2)) }
    return try await budget.reserve(bytes, for: .output)
  }

  /// Takes what the oldest encoding made.
  private func absorb() async throws {
    let (task, reservation) = encodings.removeFirst()
    let slice = await task.value
    reservation.shrink(to: slice.bytes.count)
    held.add(reservation)
    if !slice.rejected.isEmpty {
      try await parts.context.deadLetters.append(slice.rejected, to: id)
      rejected += UInt64(slice.rejected.count)
    }
    for run in slice.runs { try await add(run, of: slice) }
  }

  private func add(_ run: EncodedRun, of slice: EncodedSlice) async throws {
    taken += UInt64(run.records.count)
    let (base, bytes) = (run.partition.base, slice.bytes(of: run.records).count)
    if done.contains(base) { return held.release(bytes) }
    if queues[base] == nil {
      queues[base] = LineQueue(run.partition)
      await placer.expect(run.partition, in: id)
    }
    buffered += bytes
    for chunk in queues[base]?.add(run, of: slice, most: parts.options.chunkBytes) ?? [] {
      try await send(chunk, run.partition)
    }
  }

  // MARK: appending

  /// Appends what waits, the most first, until that much is on its way.
  private func send(atLeast bytes: Int) async throws {
    var sent = 0
    for (base, queue) in queues.sorted(by: { $0.value.pending.bytes > $1.value.pending.bytes }) {
      guard sent < bytes, queue.pending.records > 0, let chunk = queues[base]?.take() else { return }
      sent += chunk.bytes
      try await send(chunk, queue.partition)
    }
  }

  /// Waits for a slot in the order of sending, so that a chunk never holds one while it waits for a chunk without.
  private func send(_ chunk: Chunk, _ partition: Partition) async throws {
    let (size, records, header) = (chunk.bytes, chunk.records, chunk.header)
    try await bodies.wait()
    buffered -= size
    sending.update { $0 += size }
    let previous = placements[partition.base]
    let (parts, placer, gate, compressors, id, held) = (parts, placer, gate, compressors, id, held)
    let (bodies, sending) = (bodies, sending)
    let body = Task.detached { () throws -> ChunkBody in
      let body = try ChunkBody(chunk, compressors)
      held.release(size - min(body.bytes.count, size))
      return body
    }
    let placement = Task.detached { () throws -> Placement in
      _ = try await previous?.value
      let body = try await body.value
      try await gate.wait()
      return try await placer.place(
        body.bytes.count, rows: records, tail: body.tail, header: header, in: partition, id)
    }
    placements[partition.base] = placement
    work.start(cancelling: [placement]) {
      var left = size
      defer {
        // Also of a chunk that failed: whoever waits for room would never see the error.
        held.release(left)
        sending.update { $0 -= size }
        bodies.signal()
      }
      let body = try await body.value
      left = min(body.bytes.count, size)
      let place = try await placement.value
      try await parts.request {
        try await parts.store.append(
          FileAppend(.shared(body.bytes), to: place.key, at: place.offset, leaseID: place.leaseID, contentMD5: body.md5)
        )
      }
      parts.context.crash.pass("after-upload")
      parts.context.metrics.add("adls.bytes_appended", Int64(body.bytes.count))
      parts.context.metrics.add("adls.appends", 1)
    }
  }

  // MARK: the epoch's end

  /// Appends the rest and waits for all of it; what was written, and the fates of the records.
  func finish() async throws -> (units: [Manifest.Unit], counts: RecordCounts) {
    while !encodings.isEmpty { try await absorb() }
    try await send(atLeast: .max)
    try await work.end()
    return (try await placer.finish(id), RecordCounts(committed: taken, rejected: rejected))
  }

  /// Stops all work.
  func abandon() async {
    work.cancel()
    for encoding in encodings { _ = await encoding.task.value }
    encodings = []
    queues = [:]
    await work.stopped()
    held.releaseAll()
  }
}
