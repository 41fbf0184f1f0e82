internal import NebulaCore
internal import NebulaFormats
internal import NebulaHTTP
internal import NebulaObjectStores

/// Writes events into Azure Data Lake Storage Gen2, exactly once: the fence first, then what the layout does.
actor ADLSDestination: Destination {
  nonisolated let traits: DestinationTraits
  private let parts: LakeParts
  private let layout: any LakeLayout
  /// Looks at the account without changing anything.
  private let look: @Sendable () async throws -> [Finding]
  private let shutdown: @Sendable () -> Void
  private var leases: LeaseKeeper?
  private var sessions: UInt64 = 0
  private var columns: ColumnNames
  private var isClosed = false

  init(
    _ options: ADLSOptions, _ context: ConnectorContext, store: any LakeStore,
    look: @escaping @Sendable () async throws -> [Finding] = { [] }, shutdown: @escaping @Sendable () -> Void = {}
  ) throws {
    let template = try LakeTemplate(options)
    let fence = FenceKeeper(
      store, folder: LakeParts.folder(context.pipeline), writer: Crypto.hex(try Crypto.randomBytes(16)))
    parts = LakeParts(
      options: options, context: context, template: template, store: store, fence: fence,
      journal: Journal(folder: context.paths.state), slots: Slots(options.parallelUploads),
      names: PartitionNames(template, pipeline: context.pipeline))
    layout =
      switch options.layout {
      case .rolling: RollingLayout(parts)
      case .files: StagedLayout(parts, .files)
      case .perEvent: StagedLayout(parts, .events)
      }
    columns = ColumnNames(options.columns)
    traits = DestinationTraits(phases: .two, hasFence: true, epoch: EpochLimits(age: options.flushInterval))
    self.look = look
    self.shutdown = shutdown
  }

  /// Over the network; nothing is sent before `check` or `open`.
  static func connecting(_ options: ADLSOptions, _ context: ConnectorContext) throws -> ADLSDestination {
    let location = try AzureLakeLocation(accountURL: options.accountURL, fileSystem: options.filesystem)
    let http = HTTPClient(HTTPClientOptions(maxConnectionsPerHost: options.parallelUploads + 2))
    let stores = ObjectStoreContext(
      client: http, clock: context.clock, random: context.random,
      retry: RetryPolicy().lasting(atMost: context.retryFor))
    let store = AzureDataLakeStore(
      location, credential: try AzureCredential(options.credentials, for: location, context: stores), context: stores)
    return try ADLSDestination(
      options, context, store: store, look: { try await look(at: store) }, shutdown: { http.shutdown() })
  }

  private static func look(at store: AzureDataLakeStore) async throws -> [Finding] {
    do {
      guard try await store.exists() else {
        return [
          .failed(
            NebulaError(
              .objectsNoContainer,
              "There is no file system '\(store.location.fileSystem)' in \(store.location.dfsEndPoint).",
              remedy: "Create it, or correct the property `filesystem`.", at: .init(path: "filesystem"),
              exit: .environment))
        ]
      }
      guard try await store.hasHierarchy() != false else {
        return [
          .failed(
            NebulaError(
              .adlsNoHierarchy, "The account \(store.location.account) has no hierarchical namespace.",
              remedy: "Choose an account that has one, or migrate this one (az storage account hns-migration).",
              at: .init(path: "account_url"), exit: .environment))
        ]
      }
      return [
        .passed(
          "The file system \(store.location.fileSystem) in \(store.location.dfsEndPoint) answers (\(store.credentialName))."
        )
      ]
    } catch let error as NebulaError { return [.failed(error)] }
  }

  // MARK: life

  func check() async throws -> [Finding] { try await look() }

  nonisolated func guarantee(from source: SourceTraits) throws -> Guarantee {
    if parts.options.layout == .perEvent {
      guard source.hasKeys else { throw EventNaming.noChanges }
      if source.resume != .none {
        return .exactlyOnce(because: "each event has one name, and a file that is there is never written again")
      }
    }
    let how =
      parts.options.layout == .files
      ? "files are given their names together, under this pipeline's fence"
      : "appends become visible by one flush a file, under this pipeline's fence and the files' leases"
    switch source.resume {
    case .exact: return .exactlyOnce(because: "the source resumes exactly, and \(how)")
    case .inclusive: return .atLeastOnce(because: "the source repeats some records after a restart; \(how)")
    case .none: return .none(because: "the source can't resume")
    }
  }

  func open(_ lease: Lease) async throws {
    let leases = LeaseKeeper(
      store: parts.store, fence: parts.fence,
      name: LeaseName(pipeline: lease.pipeline, generation: lease.generation, session: sessions))
    sessions += 1
    try await parts.journal.load()
    try await parts.fence.take(lease, known: await parts.journal.last)
    parts.context.crash.pass("after-fence")
    self.leases = leases
    try await layout.open(leases)
  }

  func close() async {
    guard !isClosed else { return }
    isClosed = true
    await layout.close()
    await parts.journal.stop()
    shutdown()
  }

  // MARK: epochs

  func begin(_ epoch: EpochID, pin: Pin?) async throws {
    let terms = pin.map { PinTerms($0) }
    if let written = terms?.template, written != parts.template.text {
      throw NebulaError(
        .adlsLayoutChanged, "A part of the epoch before was written as '\(written)', the rest must be too.",
        remedy: "Run once with that layout, path and file_name, then change them.", exit: .configuration)
    }
    try await layout.begin(epoch, pin: pin, time: terms?.time ?? parts.context.clock.wall())
  }

  func write(_ batch: RecordBatch, to epoch: EpochID) async throws {
    guard parts.options.format == .jsonl || batch.changes == nil else {
      throw NebulaError(
        .adlsNoChanges, "Change events are not written as CSV.", remedy: "Set format to jsonl.",
        at: .init(path: "format"), exit: .configuration)
    }
    guard parts.options.layout != .perEvent || batch.changes != nil || batch.count == 0 else {
      throw EventNaming.noChanges
    }
    let names = parts.options.format == .csv ? columns.columns(for: batch) : []
    try await explaining { try await self.layout.write(batch, names, to: epoch) }
  }

  func prepare(_ epoch: EpochID) async throws -> PreparedEpoch {
    try await explaining { try await self.layout.prepare(epoch) }
  }

  func commit(_ prepared: PreparedEpoch) async throws -> CommitOutcome {
    let manifest = try Manifest(prepared)
    if prepared.isEmpty { return .committed(CommitReceipt(prepared.id, counts: prepared.counts, rows: 0)) }
    return .committed(
      try await explaining {
        try await self.begin(committing: prepared.id)
        return try await self.layout.commit(prepared, manifest)
      })
  }

  /// The fence before anything becomes visible, and before it the note that this state folder knows of the epoch.
  private func begin(committing epoch: EpochID) async throws {
    try await parts.journal.begun(epoch)
    try await parts.fence.begin(epoch)
    parts.context.crash.pass("after-fence-moved")
  }

  func recover(_ prepared: PreparedEpoch) async throws -> EpochFate {
    let manifest = try Manifest(prepared)
    if prepared.isEmpty { return .ready }
    guard manifest.layout == parts.options.layout else {
      throw NebulaError(
        .adlsLayoutChanged, "Epoch \(prepared.id) is pending in the layout \(manifest.layout.rawValue).",
        remedy: "Run once with that layout, then change it.", at: .init(path: "layout"), exit: .configuration)
    }
    return try await explaining {
      try await self.begin(committing: prepared.id)
      return try await self.layout.recover(prepared, manifest)
    }
  }

  func abort(_ epoch: EpochID, _ prepared: PreparedEpoch?) async throws {
    let manifest = try prepared.map { prepared throws(NebulaError) in try Manifest(prepared) }
    try await explaining { try await self.layout.abort(epoch, manifest) }
  }

  func settled(_ receipt: CommitReceipt, _ prepared: PreparedEpoch) async throws {
    try await layout.settled(receipt.id, try Manifest(prepared))
  }

  /// A lease that is lost says that a newer writer may be there: the fence knows.
  private func explaining<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
    do { return try await body() } catch let error as NebulaError where error.isLeaseLoss {
      throw try await leases?.lost(error.place?.path ?? "a file") ?? error
    }
  }
}
