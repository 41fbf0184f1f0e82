internal import NebulaCore

extension Pipeline {
  /// What became of an intent.
  enum Settlement: Sendable {
    case receipt(CommitReceipt, Intent)
    case gone
    case partial([EpochUnit: CommitReceipt])
  }

  /// Commits intents in order, each after the receipt of the one before is stored (Invariant 2).
  func commitAll(_ queue: CommitQueue, _ lease: Lease) async throws {
    while let intent = try await queue.next() {
      guard case .receipt(let receipt, let settled) = try await settle(intent, askingFirst: false, lease) else {
        throw NebulaError(
          "pipeline.epoch_gone", "What was staged for epoch \(intent.id) is gone before it was committed.",
          remedy: "Its records are read again.", disposition: .retry(after: nil))
      }
      try await finish(settled, receipt, lease)
      rejectedUnderway -= intent.counts.rejected
      queue.settled()
    }
  }

  /// Commits an intent, or finds out what became of it: after an error whose outcome is unknown the destination is
  /// asked before anything is sent again.
  func settle(_ intent: Intent, askingFirst: Bool, _ lease: Lease) async throws -> Settlement {
    guard let prepared = intent.prepared, !prepared.isEmpty else { return .receipt(intent.emptyReceipt, intent) }
    var intent = intent
    var ask = askingFirst
    var replacement: Intent?
    var backoff = Backoff(patience: parts.settings.retryFor)
    while true {
      do {
        if let next = replacement {
          try await parts.store.replace(next, under: lease)
          (intent, replacement) = (next, nil)
        }
        if ask, let known = try await fate(of: intent) { return known }
        ask = true
        switch try await commit(intent) {
        case .committed(let receipt): return .receipt(receipt, intent)
        case .replaced(let prepared, let rejected):
          replacement = try await self.replacement(for: intent, prepared, rejected)
        }
      } catch {
        let now = parts.clock.monotonic()
        guard case .wait(let pause) = backoff.after(error, since: &failures.since, now: now, random: parts.random)
        else { throw error }
        noteTrouble(error, now)
        parts.log.warning("Epoch \(intent.id): \(error) Asking what became of it in \(pause.written ?? "").")
        try await parts.clock.sleep(pause)
      }
    }
  }

  /// Nil when the epoch is ready to be committed.
  private func fate(of intent: Intent) async throws -> Settlement? {
    guard let prepared = intent.prepared else { return nil }
    let fate = try await parts.destination.recover(prepared)
    if case .unknown = fate {} else { commitInDoubt = false }
    switch fate {
    case .committed(let receipt): return .receipt(receipt, intent)
    case .ready: return nil
    case .gone: return .gone
    case .partial(let done): return .partial(done)
    case .unknown(let seen):
      throw NebulaError(
        "pipeline.fate_unknown", "What became of epoch \(intent.id) can't be told: \(seen)",
        remedy: "Look at the destination; nothing is done until it is clear. `nebula-swift state show` lists the epoch."
      )
    }
  }

  /// One try to commit.
  private func commit(_ intent: Intent) async throws -> CommitOutcome {
    guard let prepared = intent.prepared else { return .committed(intent.emptyReceipt) }
    parts.crash.pass("before-commit")
    commitInDoubt = true
    do {
      let outcome = try await parts.destination.commit(prepared)
      commitInDoubt = false
      parts.crash.pass("after-commit")
      return outcome
    } catch let refusal as NebulaError where !refusal.isRetryable {
      // A refusal is an answer: nothing is under way any more that a lease would have to outlive.
      commitInDoubt = false
      throw refusal
    }
  }

  /// The intent that takes an intent's place when the load found bad rows: the same epoch without them.
  private func replacement(
    for intent: Intent, _ prepared: PreparedEpoch, _ rejected: [RejectedRecord]
  ) async throws -> Intent {
    try await parts.deadLetters.append(rejected, to: intent.id)
    let file = try await parts.deadLetters.seal(intent.id)
    let source = intent.counts.rejected - (intent.prepared?.counts.rejected ?? 0)
    let counts = prepared.counts + RecordCounts(rejected: source, filtered: intent.counts.filtered)
    guard counts.total == intent.read, counts.rejected == file?.records ?? 0 else {
      throw NebulaError(
        .recordsUnaccounted,
        "Epoch \(intent.id): its load rejected rows, and \(counts.total) of \(intent.read) records are accounted for.",
        remedy: "Report this defect. Nothing is lost: the position was not moved.")
    }
    try checkRejected(counts.rejected - intent.counts.rejected, rejected.first?.error)
    return Intent(
      id: intent.id, predecessor: intent.predecessor, from: intent.from, through: intent.through, read: intent.read,
      counts: counts, deadLetters: file, prepared: prepared, newestEventTime: intent.newestEventTime,
      done: intent.done)
  }

  /// Receipt durable → dead letters visible → upstream told (Invariant 2).
  func finish(_ intent: Intent, _ receipt: CommitReceipt, _ lease: Lease) async throws {
    let checkpoint = try intent.checkpoint(by: receipt)
    parts.crash.pass("before-receipt")
    let durable = try await parts.store.store(checkpoint, under: lease)
    parts.crash.pass("after-receipt")
    note(checkpoint)
    if let file = intent.deadLetters { try await parts.deadLetters.publish(file) }
    try await parts.source.acknowledge(through: durable)
    guard let prepared = intent.prepared, !prepared.isEmpty else { return }
    do { try await parts.destination.settled(receipt, prepared) } catch {
      parts.log.warning("Epoch \(intent.id) is committed; tidying up after it failed: \(error)")
    }
  }

  private func note(_ checkpoint: Checkpoint) {
    let (intent, receipt) = (checkpoint.intent, checkpoint.receipt)
    failures.receiptStored()
    parts.health.relief(Self.retries)
    progress.epochs += 1
    progress.read += intent.read
    progress.counts = progress.counts + intent.counts
    progress.rows += receipt.rows
    progress.bytesWritten += receipt.bytes
    progress.files += receipt.files
    progress.lastCommit = parts.clock.monotonic()
    progress.lastEpoch = intent.id
    if intent.read == 0 {
      progress.lagMilliseconds = newestKnown == nil ? nil : 0
    } else if let newest = newestKnown, let committed = intent.newestEventTime {
      progress.lagMilliseconds = max(0, newest - committed)
    }
  }
}
