internal import NebulaCore
internal import NebulaFormats
internal import NebulaHTTP
internal import NebulaObjectStores

/// Layout `per_event`: one file an event, under a name made from the event, written whole and never replaced. Writing
/// an event again creates nothing twice, so an epoch is visible once it is prepared.
actor PerEventLayout: LakeLayout {
  private let parts: LakeParts
  private let compressors: CompressorList
  private let naming: EventNaming
  private var epochs: [EpochID: Open] = [:]
  private var lease = ""

  private final class Open: Sendable {
    let time: Int64
    let work = Work()
    let counts = Waiting(RecordCounts())
    let bytes = Waiting(0)
    init(time: Int64) { self.time = time }
  }

  init(_ parts: LakeParts) {
    self.parts = parts
    compressors = CompressorList(parts.options.compression, level: parts.options.compressionLevel)
    naming = EventNaming(parts)
  }

  func open(_ leases: LeaseKeeper) async throws { lease = leases.id }
  func begin(_ epoch: EpochID, pin: Pin?, time: Int64) async throws { epochs[epoch] = Open(time: time) }

  // MARK: writing

  func write(_ batch: RecordBatch, _ columns: [String], to epoch: EpochID) async throws {
    guard let open = epochs[epoch] else { throw adlsDefect("Epoch \(epoch) was written before it was begun.") }
    guard batch.count == 0 || batch.changes != nil else { throw Self.noChanges }
    let encoder = LakeEncoder(options: parts.options, names: parts.names, fallbackTime: open.time, columns: [])
    var first = 0
    while first < batch.count {
      try open.work.check()
      let (end, bytes) = encoder.slice(of: batch, from: first)
      let held = try await parts.context.budget.reserve(bytes, for: .output)
      let range = first..<end
      open.work.start(cancelling: [Task<Void, any Error>]()) { [self] in
        defer { held.release() }
        try await write(batch, range, encoder, open, epoch)
      }
      first = end
    }
  }

  static var noChanges: NebulaError {
    NebulaError(
      .adlsNoChanges, "Layout per_event names each file by its event, and these records are no events.",
      remedy: "Use layout rolling or files.", at: .init(path: "layout"), exit: .configuration)
  }

  private nonisolated func write(
    _ batch: RecordBatch, _ range: Range<Int>, _ encoder: LakeEncoder, _ open: Open, _ epoch: EpochID
  ) async throws {
    let (events, rejected) = try naming.events(batch, range, encoder, compressors)
    if !rejected.isEmpty { try await parts.context.deadLetters.append(rejected, to: epoch) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for event in events {
        group.addTask { [parts] in
          try await parts.request { try await Self.put(event, parts) }
          parts.context.crash.pass("after-upload")
        }
      }
      try await group.waitForAll()
    }
    open.counts.update { $0 = $0 + RecordCounts(committed: UInt64(events.count), rejected: UInt64(rejected.count)) }
    open.bytes.update { $0 += events.reduce(0) { $0 + $1.body.count } }
  }

  /// One that is there already is ours when it says the same pipeline and event, whatever its bytes: a document that
  /// was looked up again may be newer.
  private static func put(_ event: NamedEvent, _ parts: LakeParts) async throws {
    let object = ObjectUpload(
      key: event.key, body: .bytes(event.body),
      metadata: [LakeParts.pipelineProperty: parts.owner, LakeParts.eventProperty: event.identity],
      contentType: parts.options.compression == .none ? "application/json" : contentType(parts.options),
      contentMD5: Crypto.md5(event.body), createOnly: true)
    do { _ = try await parts.store.put(object) } catch let error as NebulaError where error.code == .objectsExists {
      let found = try await parts.store.head(event.key)
      guard let found, found.metadata[LakeParts.pipelineProperty] == parts.owner,
        found.metadata[LakeParts.eventProperty] == event.identity
      else {
        throw NebulaError(
          .adlsNameTaken, "\(event.key) is there and is not this event of this pipeline.",
          remedy: "Find out who else writes there, or put {pipeline} into `path`.", at: .init(path: event.key))
      }
      parts.context.metrics.add("adls.events_there", 1)
    }
  }

  // MARK: epochs

  func prepare(_ epoch: EpochID) async throws -> PreparedEpoch {
    guard let open = epochs[epoch] else { throw adlsDefect("Epoch \(epoch) was prepared before it was begun.") }
    try await open.work.end()
    epochs[epoch] = nil
    let counts = open.counts.value
    let file = Manifest.File(key: "events", from: 0, to: open.bytes.value, rows: counts.committed)
    let units = counts.committed == 0 ? [] : [Manifest.Unit(base: "events", files: [file])]
    let manifest = Manifest(
      layout: .perEvent, lease: lease, template: parts.template.text, time: open.time, units: units)
    return PreparedEpoch(
      epoch, counts: counts, version: Manifest.version, manifest: manifest.encoded, isEmpty: units.isEmpty)
  }

  private func receipt(_ prepared: PreparedEpoch, _ manifest: Manifest) -> CommitReceipt {
    CommitReceipt(
      prepared.id, counts: prepared.counts, rows: manifest.rows, bytes: UInt64(manifest.bytes), files: manifest.rows)
  }
  func commit(_ prepared: PreparedEpoch, _ manifest: Manifest) async throws -> CommitReceipt {
    receipt(prepared, manifest)
  }
  /// It was prepared, so every event's file is there.
  func recover(_ prepared: PreparedEpoch, _ manifest: Manifest) async throws -> EpochFate {
    .committed(receipt(prepared, manifest))
  }

  func abort(_ epoch: EpochID, _ manifest: Manifest?) async throws { await abandon(epoch) }

  private func abandon(_ epoch: EpochID) async {
    guard let open = epochs.removeValue(forKey: epoch) else { return }
    open.work.cancel()
    await open.work.stopped()
  }

  func close() async { for epoch in Array(epochs.keys) { await abandon(epoch) } }
}
