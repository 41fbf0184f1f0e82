public import NebulaCore
internal import NebulaHTTP
internal import NebulaObjectStores

/// Loads epochs into Snowflake: files staged in parallel, then one transaction that copies them all.
public actor SnowflakeDestination: Destination {
  private let options: SnowflakeOptions
  private let context: ConnectorContext
  let pool: SessionPool
  private let http: HTTPClient
  let stage: any Stage
  private let spool: Spool
  private let registry: TableRegistry
  private let ledger: Ledger
  let fence: Fence
  private let slots: Slots
  private let folder: String
  private var committer: Committer?
  private var writers: [EpochID: EpochWriter] = [:]
  /// Epochs that wait for their commit: a table is not changed under them.
  private let unsettled = Watched<Set<EpochID>>([])
  private var sweep: StageSweep?
  private var nextSweep = Duration.zero

  /// Makes a destination; nothing is sent before `open` or `check`.
  public init(_ options: SnowflakeOptions, _ context: ConnectorContext) throws {
    try self.init(options, context) { _ in }
  }

  /// The same, with other limits for uploads.
  init(
    _ options: SnowflakeOptions, _ context: ConnectorContext, uploads: @Sendable (inout ObjectStoreContext) -> Void
  ) throws {
    let endpoint = try Endpoint(options)
    let http = HTTPClient(HTTPClientOptions(userAgent: ClientInformation.userAgent, maxConnectionsPerHost: 64))
    let login = try Login(
      options, endpoint: endpoint, pipeline: context.pipeline,
      tokens: TokenContext(client: http, clock: context.clock, random: context.random), log: context.log)
    let meter = Meter(context)
    let wire = WireClient(
      http: http, endpoint: endpoint, clock: context.clock, random: context.random,
      policy: WireClient.policy.lasting(atMost: context.retryFor), meter: meter)
    let pool = SessionPool(limit: options.connectionPoolSize, clock: context.clock, log: context.log, meter: meter) {
      [log = context.log] in Session(wire: wire, login: login, log: log)
    }
    let database = try Identifier(options.database, property: "database")
    let schema = try Identifier(options.schema, property: "schema")
    let control = try Identifier(options.controlSchema ?? options.schema, property: "control_schema")
    let stageName = TableName(
      database: database, schema: schema, name: try Identifier(options.stageName, property: "stage_name"))
    self.options = options
    self.context = context
    self.http = http
    self.pool = pool
    var stores = ObjectStoreContext(
      client: http, clock: context.clock, random: context.random,
      retry: RetryPolicy().lasting(atMost: context.retryFor))
    stores.onRetry = { meter.uploadFailed($0) }
    uploads(&stores)
    let prefix = options.stagePrefix.split(separator: "/").joined(separator: "/")
    folder = (prefix.isEmpty ? "" : prefix + "/") + pathName(context.pipeline)
    stage = try options.stage(stageName, root: folder, pool: pool, context: context, stores: stores)
    spool = Spool(folder: context.paths.spool, limit: context.paths.maxSpoolBytes)
    registry = try TableRegistry(
      options, pool: pool, database: database, schema: schema, pipeline: context.pipeline)
    ledger = Ledger(database: database, schema: control)
    fence = Fence(
      pipeline: context.pipeline, writer: Crypto.hex(try Crypto.randomBytes(16)), database: database, schema: control)
    slots = Slots(options.parallelUploads)
  }

  /// Two phases with a fence; the epoch is cut when a micro-batch is old.
  public nonisolated var traits: DestinationTraits {
    DestinationTraits(
      phases: .two, isKeyed: options.writeMode == .merge, hasFence: true, followsCopies: options.writeMode == .merge,
      epoch: MicroBatches(options).epoch)
  }

  /// COPY and the ledger's row are one transaction; what that gives depends on how the source resumes.
  public nonisolated func guarantee(from source: SourceTraits) throws -> Guarantee {
    try SnowflakeGuarantee(options).of(source)
  }

  // MARK: life

  /// Logs in and looks; changes nothing.
  public func check() async throws -> [Finding] {
    do {
      let session = try await pool.with { session in
        try await session.query("SELECT CURRENT_ROLE(), CURRENT_WAREHOUSE()", trying: "Looking at the session")
      }
      let role = session.rows.first?.first.flatMap { $0 } ?? "none"
      return [.passed("Snowflake answers as role \(role).")] + (try await checkObjects())
        + (await stage.check(folder: folder))
    } catch let error as NebulaError {
      return [.failed(error)]
    }
  }

  private func checkObjects() async throws -> [Finding] {
    var findings: [Finding] = []
    for (what, statement) in [("ledger", ledger.probe), ("fence", fence.probe)] {
      let outcome = try await pool.with { session in try await session.run(statement) }
      switch outcome {
      case .done: findings.append(.passed("The \(what) table is there."))
      case .refused(let server):
        let error = server.error(trying: "Looking at the \(what) table")
        findings.append(error.code == .objectMissing ? .passed("The \(what) table will be created.") : .failed(error))
      }
    }
    return findings
  }

  /// Takes the pipeline over: makes what is missing, ends older transactions, raises the fence.
  public func open(_ lease: Lease) async throws {
    try await spool.sweep()
    let committer = Committer(
      pool: pool, stage: stage, fence: fence, ledger: ledger, options: options,
      copyOptions: try CopyOptions(options.copyOptions), context: context, generation: lease.generation)
    try await stage.ensure(folder: folder)
    try await committer.open(known: lease.lastEpoch)
    unsettled.update { $0 = [] }
    self.committer = committer
  }

  private func opened() throws -> Committer {
    guard let committer else {
      throw NebulaError(.badAnswer, "The destination was used before it was opened.", remedy: "Report the defect.")
    }
    return committer
  }

  /// What was loaded, how long COPY took, how well it compressed, and why files were closed.
  public func report() async -> RunReport { RunReport(context.metrics, warehouse: options.warehouseSize) }

  /// Ends the sessions.
  public func close() async {
    for writer in writers.values { _ = await writer.abandon() }
    writers = [:]
    await pool.close()
    http.shutdown()
  }

  // MARK: epochs

  /// Starts an epoch.
  public func begin(_ epoch: EpochID, pin: Pin?) async throws {
    guard pin == nil else {
      throw NebulaError(
        "pipeline.pin_not_supported", "Epoch \(epoch) has a pin, but a load is one transaction.",
        remedy: "Report this defect.")
    }
    _ = writer(epoch)
    if sweep == nil {
      sweep = StageSweep(generation: epoch.generation, retention: options.stageRetention)
      await sweepStage()
    }
  }

  private func writer(_ epoch: EpochID) -> EpochWriter {
    if let writer = writers[epoch] { return writer }
    let writer = EpochWriter(
      epoch,
      WriterParts(
        options: options, context: context, stage: stage, registry: registry, spool: spool, slots: slots,
        rule: RollRule(options), shelves: CompressorShelves(level: options.compressionLevel), folder: folder,
        settled: { [unsettled] epoch in
          try await unsettled.wait { waiting in waiting.allSatisfy { $0 >= epoch } ? () : nil }
        }))
    writers[epoch] = writer
    return writer
  }

  /// Takes a batch; returns when a worker is free for it.
  public func write(_ batch: RecordBatch, to epoch: EpochID) async throws { try await writer(epoch).write(batch) }

  /// Uploads what is open; the manifest names every file.
  public func prepare(_ epoch: EpochID) async throws -> PreparedEpoch {
    let prepared = try await writer(epoch).prepare()
    writers[epoch] = nil
    if !prepared.isEmpty { unsettled.update { _ = $0.insert(epoch) } }
    return prepared
  }

  /// One transaction for all tables.
  public func commit(_ epoch: PreparedEpoch) async throws -> CommitOutcome {
    let (meter, committer) = (Meter(context), try opened())
    let outcome = try await meter.loading { try await committer.commit(epoch) }
    if case .committed(let receipt) = outcome {
      meter.loaded(receipt)
      unsettled.update { _ = $0.remove(epoch.id) }
    }
    return outcome
  }

  /// The ledger, read under the fence's lock.
  public func recover(_ epoch: PreparedEpoch) async throws -> EpochFate {
    let fate = try await opened().recover(epoch)
    if fate != .ready { unsettled.update { _ = $0.remove(epoch.id) } }
    return fate
  }

  /// Stops the epoch's work and removes its files from the stage.
  public func abort(_ epoch: EpochID, _ prepared: PreparedEpoch?) async throws {
    unsettled.update { _ = $0.remove(epoch) }
    var folders: Set<String> = []
    if let writer = writers.removeValue(forKey: epoch) { folders.formUnion(await writer.abandon()) }
    if let prepared, !prepared.isEmpty { folders.formUnion(try Manifest(decoding: prepared).tables.map(\.folder)) }
    for folder in folders.sorted() { try await stage.remove(folder, prefix: "\(epoch)-") }
  }

  /// Removes the files that are loaded, or those that were kept long enough; the receipt is stored, so failing loses
  /// nothing.
  public func settled(_ receipt: CommitReceipt, _ prepared: PreparedEpoch) async throws {
    guard !prepared.isEmpty else { return }
    sweep?.settled = receipt.id
    guard options.stageRetention == .zero else {
      if sweep != nil, context.clock.monotonic() >= nextSweep { await sweepStage() }
      return
    }
    do {
      try await opened().destroy(try Manifest(decoding: prepared), prepared.id)
      Meter(context).removed()
    } catch {
      Meter(context).notRemoved(error)
      context.log.warning("Loaded files of epoch \(receipt.id) stay in the stage \(stage.name.sql): \(error)")
    }
  }

  /// Removes what no intent speaks of and is old enough. Before the first epoch of a run all intents are settled: files
  /// of older generations belong to nobody.
  private func sweepStage() async {
    guard let sweep else { return }
    nextSweep = context.clock.monotonic() + sweep.pause
    do {
      let stale = sweep.stale(try await stage.entries(below: folder), now: context.clock.wall())
      for prefix in stale { try await stage.remove(folder, prefix: prefix) }
      if !stale.isEmpty { context.log.info("Files that nobody needs any more are removed from the stage.") }
      Meter(context).removed()
    } catch {
      Meter(context).notRemoved(error)
      context.log.warning("The stage \(stage.name.sql) could not be swept: \(error)")
    }
  }
}
