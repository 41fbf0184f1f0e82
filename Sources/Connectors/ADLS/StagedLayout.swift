internal import NebulaCore
internal import NebulaFormats
internal import NebulaObjectStores

/// Layouts `files` and `per_event`: what an epoch wrote is staged first, and made visible together: complete files by a
/// rename, events each in a file of its own.
actor StagedLayout: LakeLayout {
  private let parts: LakeParts
  private let compressors: CompressorShelf
  private let staged: StagedFiles
  private let publisher: LakePublisher
  private var writer: EpochWriter?
  private var time: Int64 = 0
  private var lease = ""

  init(_ parts: LakeParts, _ how: Publishing) {
    self.parts = parts
    // Events are compressed each for itself, before they are staged.
    compressors = CompressorShelf(
      how == .events ? .none : parts.options.compression, level: parts.options.compressionLevel)
    staged = StagedFiles(parts, compressors)
    publisher = LakePublisher(parts: parts, how: how)
  }

  func open(_ leases: LeaseKeeper) async throws { lease = leases.id }

  func begin(_ epoch: EpochID, pin: Pin?, time: Int64) async throws {
    guard pin == nil else {
      throw NebulaError(
        "pipeline.pin_not_supported", "Epoch \(epoch) has a pin, but complete files are no independent units.",
        remedy: "Go on with the layout that wrote the epoch's other part.")
    }
    self.time = time
    // Nothing of the epoch before is touched by what is staged: there is no commit to wait for.
    writer = EpochWriter(epoch, parts, staged, CommitGate(), compressors, fallbackTime: time, done: [])
  }

  func write(_ batch: RecordBatch, _ columns: [String], to epoch: EpochID) async throws {
    guard let writer, writer.id == epoch else { throw adlsDefect("Epoch \(epoch) was written before it was begun.") }
    try await writer.write(batch, columns)
  }

  func prepare(_ epoch: EpochID) async throws -> PreparedEpoch {
    guard let writer, writer.id == epoch else { throw adlsDefect("Epoch \(epoch) was prepared before it was begun.") }
    let (units, counts) = try await writer.finish()
    self.writer = nil
    let manifest = Manifest(
      layout: parts.options.layout, lease: lease, template: parts.template.text, time: time, units: units)
    return PreparedEpoch(
      epoch, counts: counts, version: Manifest.version, manifest: manifest.encoded, isEmpty: units.isEmpty)
  }

  func commit(_ prepared: PreparedEpoch, _ manifest: Manifest) async throws -> CommitReceipt {
    try await publisher.commit(manifest, prepared.id)
    return CommitReceipt(prepared, manifest, evidence: [parts.fence.key])
  }

  func recover(_ prepared: PreparedEpoch, _ manifest: Manifest) async throws -> EpochFate {
    try await publisher.recover(prepared, manifest)
  }

  func abort(_ epoch: EpochID, _ manifest: Manifest?) async throws {
    if writer?.id == epoch {
      await writer?.abandon()
      writer = nil
    }
    await staged.forget(epoch)
    if manifest == nil { try await publisher.destroy(epoch) } else { try await publisher.abandon(epoch) }
  }

  func settled(_ epoch: EpochID, _ manifest: Manifest) async throws { try await publisher.sweep(through: epoch) }

  func close() async {
    await writer?.abandon()
    writer = nil
  }
}
