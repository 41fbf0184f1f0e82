internal import NebulaCore

extension Pipeline {
  /// Recovers, then reads and writes until the stream ends or a stop is asked for.
  func write(_ lease: Lease, _ queue: CommitQueue) async throws {
    try await parts.destination.open(lease)
    // Only with the fence up: what recovery finds out must not be changed by an older writer afterwards.
    let start = try await recover(try await parts.store.load(lease), lease)
    var ledger = EpochLedger(
      tail: start.tail, position: start.position, pin: start.pin,
      limits: parts.settings.epoch.tightened(by: parts.destination.traits.epoch),
      idleInterval: parts.settings.idleCheckpointInterval, now: parts.clock.monotonic())
    var stream = try await parts.source.open(from: start.position, through: start.pin?.through)
    while !stopRequested.value {
      guard let batch = try await stream.next() else { return try await end(&ledger, queue, lease) }
      if batch.isAnswer { failures.sourceAnswered(now: parts.clock.monotonic()) }
      try Task.checkCancellation()
      if try ledger.mustCut(before: batch) { try await cut(&ledger, queue, lease) }
      try await take(batch, &ledger, lease)
      if ledger.shouldCut(now: parts.clock.monotonic(), ending: false) { try await cut(&ledger, queue, lease) }
      if batch.isAnswer { noteQuiet(ledger, queue) }
    }
    if ledger.shouldCut(now: parts.clock.monotonic(), ending: true) { try await cut(&ledger, queue, lease) }
  }

  /// Only with nothing open and nothing on its way to a receipt: what fails may be just that.
  private func noteQuiet(_ ledger: EpochLedger, _ queue: CommitQueue) {
    guard ledger.isQuiet, openEpoch?.isBegun != true, queue.isEmpty else { return }
    failures.wasQuiet(now: parts.clock.monotonic())
  }

  private func end(_ ledger: inout EpochLedger, _ queue: CommitQueue, _ lease: Lease) async throws {
    if ledger.shouldCut(now: parts.clock.monotonic(), ending: true) { try await cut(&ledger, queue, lease) }
    guard ledger.open == nil || ledger.open?.read == 0 else {
      throw NebulaError(
        "pipeline.no_boundary", "The source ended where no position is known, or before the end of a pinned epoch.",
        remedy: "Report this defect. Nothing is lost: the records are read again.")
    }
  }

  private func take(_ batch: RecordBatch, _ ledger: inout EpochLedger, _ lease: Lease) async throws {
    let id = ledger.note(batch, now: parts.clock.monotonic()) {
      lastSequence += 1
      return EpochID(generation: lease.generation, sequence: lastSequence)
    }
    if openEpoch?.id != id { openEpoch = OpenEpoch(id: id) }
    observe(batch)
    if !batch.rejected.isEmpty {
      try await parts.deadLetters.append(batch.rejected, to: id)
      try checkRejected(ledger.open?.rejected ?? 0, batch.rejected.first?.error)
    }
    guard batch.count > 0 || concerns(batch.copy) else { return }
    if openEpoch?.isBegun == false {
      openEpoch?.isBegun = true
      try await parts.destination.begin(id, pin: ledger.currentPin)
    }
    try await parts.destination.write(batch, to: id)
  }

  /// True when the destination must be given a batch without records for what it says of the copy. That a copy is
  /// under way is also on the first batch with records; its end may be on none of them.
  private func concerns(_ copy: CopyPhase) -> Bool {
    if case .ended = copy { parts.destination.traits.followsCopies } else { false }
  }

  private func observe(_ batch: RecordBatch) {
    progress.pulled += batch.read
    progress.bytesRead += UInt64(batch.bytes.count)
    progress.remainingBytes = batch.lag.remainingBytes
    if let newest = batch.lag.newest { newestKnown = max(newest, newestKnown ?? newest) }
  }

  func checkRejected(_ open: UInt64, _ example: NebulaError?) throws(NebulaError) {
    let rejected = progress.counts.rejected + rejectedUnderway + open
    guard rejected > parts.settings.maxRejected else { return }
    throw NebulaError(
      "pipeline.too_many_rejected",
      "Rejected records: \(rejected), more than max_rejected (\(parts.settings.maxRejected)). "
        + (example.map { "The last one: \($0)" } ?? "See the dead letters."),
      remedy: "Mend the source or raise pipeline.max_rejected. The state is resumable.")
  }

  /// Prepares the open epoch, stores its intent and hands it to the committer (Invariant 2: staged, then intent).
  private func cut(_ ledger: inout EpochLedger, _ queue: CommitQueue, _ lease: Lease) async throws {
    guard let epoch = openEpoch else { return }
    try await queue.waitForRoom()
    let prepared = epoch.isBegun ? try await parts.destination.prepare(epoch.id) : nil
    openEpoch?.prepared = prepared
    try checkRejected((ledger.open?.rejected ?? 0) + (prepared?.counts.rejected ?? 0), nil)
    let deadLetters = try await parts.deadLetters.seal(epoch.id)
    let intent = try ledger.close(prepared: prepared, deadLetters: deadLetters, now: parts.clock.monotonic())
    parts.crash.pass("before-intent")
    openEpoch?.hasIntentSent = true
    lettersInDoubt += [deadLetters].compactMap(\.self)
    try await parts.store.store(intent, under: lease)
    lettersInDoubt.removeAll { $0 == deadLetters }
    parts.crash.pass("after-intent")
    openEpoch = nil
    rejectedUnderway += intent.counts.rejected
    queue.push(intent)
  }
}
