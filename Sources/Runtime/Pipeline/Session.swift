internal import NebulaCore

extension Pipeline {
  private enum Part: Sendable {
    case writer(Result<Void, any Error>)
    case committer(Result<Void, any Error>)
    case deadline(Bool)
  }

  /// One pass from recovery to the end of the stream. Throws the first error; until then every epoch that has an
  /// intent was given its receipt, if that was possible.
  func runSession(_ lease: Lease) async throws {
    let queue = CommitQueue()
    rejectedUnderway = 0
    var failure: (any Error)?
    var finished = 0
    await withTaskGroup(of: Part.self) { group in
      group.addTask { .writer(await Result { try await self.write(lease, queue) }) }
      group.addTask { .committer(await Result { try await self.commitAll(queue, lease) }) }
      group.addTask { .deadline(await self.shutdownDeadlinePassed()) }
      for await part in group {
        switch part {
        case .writer(let result):
          finished += 1
          // The committer goes on: what has an intent gets its receipt or fate before anything is read again.
          queue.close()
          if case .failure(let error) = result { failure = failure ?? error }
        case .committer(let result):
          finished += 1
          if case .failure(let error) = result {
            failure = failure is CancellationError ? error : failure ?? error
            group.cancelAll()
          }
        case .deadline(true):
          parts.log.warning("The shutdown deadline has passed: what is still open is left to the next run.")
          group.cancelAll()
        case .deadline(false): break
        }
        if finished == 2 { group.cancelAll() }
      }
    }
    await cleanUp { await self.abandonOpenEpoch() }
    if let failure, !(failure is CancellationError && stopRequested.value) { throw failure }
  }

  /// Waits for a stop, then for the deadline; false when cancelled before.
  private func shutdownDeadlinePassed() async -> Bool {
    do {
      try await stopRequested.wait { $0 ? () : nil }
      try await parts.clock.sleep(parts.settings.shutdownDeadline)
      return true
    } catch { return false }
  }

  /// Destroys what the session wrote without an intent: nobody can commit it, and its records are read again.
  private func abandonOpenEpoch() async {
    guard let epoch = openEpoch else { return }
    openEpoch = nil
    do {
      if epoch.isBegun { try await parts.destination.abort(epoch.id, epoch.prepared) }
      // An epoch of rejected records alone is settled without asking anyone: if its intent was stored though the answer
      // was lost, these are its records. If it was not, a later lease's recovery sweeps them away.
      if !epoch.hasIntentSent { try await parts.deadLetters.discard(epoch.id) }
    } catch {
      // Nothing depends on it: no intent names these files, so they are never loaded, only lie there.
      parts.log.warning("What was staged for the abandoned epoch \(epoch.id) could not be removed: \(error)")
    }
  }
}

extension Result where Failure == any Error {
  init(_ body: () async throws -> Success) async {
    do { self = .success(try await body()) } catch { self = .failure(error) }
  }
}
