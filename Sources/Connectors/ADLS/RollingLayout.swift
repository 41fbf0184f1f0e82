internal import NebulaCore
internal import NebulaFormats
internal import NebulaObjectStores

/// Layout `rolling`: files that grow by appends under a lease, visible by a flush.
actor RollingLayout: LakeLayout {
  private let parts: LakeParts
  private let compressors: CompressorShelf
  private let gate = CommitGate()
  private var files: RollingFiles?
  private var committer: RollingCommitter?
  private var writer: EpochWriter?
  private var time: Int64 = 0
  private var timer: Task<Void, Never>?
  private var timerFailure: (any Error)?

  init(_ parts: LakeParts) {
    self.parts = parts
    compressors = CompressorShelf(parts.options.compression, level: parts.options.compressionLevel)
  }

  func open(_ leases: LeaseKeeper) async throws {
    timer?.cancel()
    await timer?.value
    timerFailure = nil
    gate.reset()
    let files = RollingFiles(parts, leases)
    self.files = files
    committer = RollingCommitter(
      parts: parts, files: files, leases: leases, opener: FileOpener(parts: parts, leases: leases))
    startTimer(files)
  }

  private func opened() throws -> (RollingFiles, RollingCommitter) {
    if let timerFailure { throw timerFailure }
    guard let files, let committer else { throw adlsDefect("The destination was used before it was opened.") }
    return (files, committer)
  }

  // MARK: writing

  func begin(_ epoch: EpochID, pin: Pin?, time: Int64) async throws {
    let (files, _) = try opened()
    self.time = time
    writer = EpochWriter(
      epoch, parts, files, gate, compressors, fallbackTime: time, done: pin.map { Set($0.done.keys) } ?? [])
  }

  func write(_ batch: RecordBatch, _ columns: [String], to epoch: EpochID) async throws {
    _ = try opened()
    guard let writer, writer.id == epoch else { throw adlsDefect("Epoch \(epoch) was written before it was begun.") }
    try await writer.write(batch, columns)
  }

  func prepare(_ epoch: EpochID) async throws -> PreparedEpoch {
    let (files, _) = try opened()
    guard let writer, writer.id == epoch else { throw adlsDefect("Epoch \(epoch) was prepared before it was begun.") }
    let (units, counts) = try await writer.finish()
    self.writer = nil
    if units.isEmpty { await files.settled(epoch, clean: true) } else { gate.close(for: epoch) }
    let manifest = Manifest(
      layout: .rolling, lease: files.leases.id, template: parts.template.text, time: time, units: units)
    return PreparedEpoch(
      epoch, counts: counts, version: Manifest.version, manifest: manifest.encoded, isEmpty: units.isEmpty)
  }

  // MARK: epochs

  func commit(_ prepared: PreparedEpoch, _ manifest: Manifest) async throws -> CommitReceipt {
    let (files, committer) = try opened()
    try await committer.commit(manifest)
    await files.settled(prepared.id, clean: true)
    gate.open(after: prepared.id)
    return CommitReceipt(prepared, manifest, evidence: [])
  }

  func recover(_ prepared: PreparedEpoch, _ manifest: Manifest) async throws -> EpochFate {
    let (files, committer) = try opened()
    let fate = try await committer.recover(prepared, manifest)
    await files.settled(prepared.id, clean: false)
    gate.open(after: prepared.id)
    return fate
  }

  func abort(_ epoch: EpochID, _ manifest: Manifest?) async throws {
    if writer?.id == epoch {
      await writer?.abandon()
      writer = nil
    }
    let (files, committer) = try opened()
    await files.settled(epoch, clean: false)
    if let manifest { try await committer.clear(manifest) }
    gate.open(after: epoch)
  }

  // MARK: closing files

  /// Quiet collections publish too: nothing but time tells that their hour has passed.
  private func startTimer(_ files: RollingFiles) {
    let rule = closeRule
    timer = Task.detached { [weak self, parts] in
      while !Task.isCancelled {
        do {
          try await parts.context.clock.sleep(rule.interval)
          try await files.closeDue(rule, at: parts.context.clock.wall())
        } catch is CancellationError {
          return
        } catch {
          parts.context.log.warning("A file whose time is over could not be closed: \(error)")
          if (error as? NebulaError)?.isRetryable == false { return await self?.failed(error) ?? () }
        }
      }
    }
  }
  private var closeRule: CloseRule { CloseRule(after: parts.options.closeAfter.wholeMilliseconds) }
  /// What stops the timer stops the pipeline with its next step.
  private func failed(_ error: any Error) { timerFailure = error }

  func close() async {
    timer?.cancel()
    await timer?.value
    await writer?.abandon()
    writer = nil
    guard let files else { return }
    if parts.context.mode == .untilCaughtUp, timerFailure == nil {
      // Nobody is left to close them when the hour's silence is over.
      do { try await files.closeDue(CloseRule(after: 0), at: parts.context.clock.wall()) } catch {
        parts.context.log.warning("Files whose time is over could not be closed; the next run does: \(error)")
      }
    }
    await files.releaseAll()
    self.files = nil
    committer = nil
  }
}
