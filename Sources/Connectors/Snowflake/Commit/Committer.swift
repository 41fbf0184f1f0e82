internal import NebulaCore
internal import NebulaHTTP

/// Commits epochs, and finds out what became of them: one session and one transaction for all tables, under the
/// fence's lock (invariants 3 and 7).
struct Committer: Sendable {
  let pool: SessionPool
  let stage: any Stage
  let fence: Fence
  let ledger: Ledger
  let options: SnowflakeOptions
  let copyOptions: CopyOptions
  let context: ConnectorContext
  /// Of the lease that `open` was given: the fence must still say this one.
  let generation: UInt64

  // MARK: commit

  /// Makes the epoch visible, or finds that it is; or finds rows that can't be loaded, and gives the epoch without them.
  /// Every error leaves it for `recover` to find out.
  func commit(_ prepared: PreparedEpoch) async throws -> CommitOutcome {
    let manifest = try Manifest(decoding: prepared)
    context.crash.pass("before-commit")
    var attempt = try await tryCommit(prepared, manifest)
    // Not so at once: PARSE_JSON is known to take its second argument, but not inside of COPY.
    if case .doubled = attempt { attempt = try await tryCommit(prepared, manifest, takesLast: true) }
    switch attempt {
    case .committed(let receipt): return .committed(receipt)
    case .refused(let rejection): throw await rejection.error(showingRowOf: stage)
    case .doubled:
      throw NebulaError(
        .copyRejected, "COPY refuses an object that has a name twice, though it was told to take the last.",
        remedy: "Report the defect. With file_format: JSON such objects are taken.")
    case .leftOut(let found):
      let replacement = Replacement(leftOut: found)
      try replacement.checkBounds(stage.name, prepared.id)
      let finder = RejectFinder(
        pool: pool, stage: stage, options: options, copyOptions: copyOptions, context: context, epoch: prepared.id)
      let records = try await finder.records(of: found)
      guard UInt64(records.count) == replacement.rows else {
        throw unconfirmed(prepared.id, "of \(replacement.rows) rows left out, \(records.count) were found")
      }
      return .replaced(replacement.epoch(replacing: prepared, manifest), records)
    }
  }

  private enum Attempt: Sendable {
    case committed(CommitReceipt)
    /// Rolled back: COPY found a row that it can't take.
    case refused(CopyRejection)
    /// Rolled back: these rows were left out, and nobody knows of it yet.
    case leftOut([TableLeftOut])
    /// Rolled back: an object in a text that COPY parses has a name twice.
    case doubled
  }

  private func tryCommit(
    _ prepared: PreparedEpoch, _ manifest: Manifest, takesLast: Bool = false
  ) async throws -> Attempt {
    try await transaction(fence.transaction(generation, prepared.id), of: prepared.id) { session in
      try await take(fence.advance(to: prepared.id, generation), session)
      if let known = try await receipt(of: prepared.id, session) {
        await session.rollBack()
        return .committed(known)
      }
      let load = try await copy(manifest, session, takesLast)
      if load.isDoubled {
        await session.rollBack()
        return .doubled
      }
      if let rejection = load.rejection {
        await session.rollBack()
        return .refused(rejection)
      }
      guard load.leftOut.isEmpty else {
        await session.rollBack()
        return .leftOut(load.leftOut)
      }
      let receipt = CommitReceipt(
        prepared.id, counts: prepared.counts, rows: manifest.rows, bytes: manifest.bytes, files: manifest.files,
        evidence: load.queries)
      try await record(receipt, session)
      context.crash.pass("before-commit-statement")
      try await session.commit()
      context.crash.pass("after-commit-statement")
      return .committed(try await confirmed(receipt, session))
    }
  }

  private struct Load {
    var queries: [String] = []
    var leftOut: [TableLeftOut] = []
    var rejection: CopyRejection?
    var isDoubled = false
  }

  /// Loads all tables, to the end also when rows are left out, so that all of them are found at once.
  private func copy(_ manifest: Manifest, _ session: Session, _ takesLast: Bool) async throws -> Load {
    var load = Load()
    for table in manifest.tables {
      let options = copyOptions.fitting(table)
      var leftOut: [LeftOut] = []
      for statement in CopyStatement.all(
        for: table, stage: manifest.stage, options: options, limit: self.options.filesPerCopy, takesLast: takesLast)
      {
        let start = context.clock.monotonic()
        switch try await self.load(statement, table, session) {
        case .done(let result):
          let found = try CopyResult.check(
            result, of: statement, against: statement.files, table: table.copyTarget, onError: options.onError)
          if manifest.rejected > 0, let error = CopyResult.changed(found, statement, table: table.copyTarget) {
            throw error
          }
          leftOut += found
          load.queries.append(result.queryID)
          Meter(context).copied(since: start)
        case .refused(let rejection):
          load.rejection = rejection
          return load
        case .doubled:
          load.isDoubled = true
          return load
        }
      }
      if !leftOut.isEmpty { load.leftOut.append(TableLeftOut(table: table, files: leftOut)) }
    }
    guard load.leftOut.isEmpty else { return load }
    for staged in Self.byTable(manifest.tables) { try await merge(staged, session) }
    return load
  }

  /// The entries of each table, in the order of the manifest.
  static func byTable(_ tables: [StagedTable]) -> [[StagedTable]] {
    var order: [TableName] = []
    var groups: [TableName: [StagedTable]] = [:]
    for table in tables {
      if groups[table.table] == nil { order.append(table.table) }
      groups[table.table, default: []].append(table)
    }
    return order.compactMap { groups[$0] }
  }

  /// Brings what was copied to the landing table to its rows.
  private func merge(_ staged: [StagedTable], _ session: Session) async throws {
    guard let statement = MergeStatement(staged), let table = staged.first?.table else { return }
    let landed = staged.filter { $0.merge?.isDirect == false }.reduce(0) { $0 + $1.rows }
    if landed > 0 {
      try await session.succeed(
        statement.text, trying: "Merging into \(table.sql)", grant: Grants.merge(table))
      context.crash.pass("mid-merge")
      let cleared = try await session.query(
        statement.clear, trying: "Emptying the landing table of \(table.sql)", grant: Grants.merge(table)
      ).rowsChanged
      // Foreign rows would have been merged as well.
      guard cleared == landed else { throw Self.foreignRows(table, landed, cleared) }
      context.metrics.add("snowflake.merges", 1)
    }
    for sweep in statement.sweeps {
      try await session.succeed(
        sweep, trying: "Clearing rows that are gone from \(table.sql)", grant: Grants.merge(table))
    }
  }

  private static func foreignRows(_ table: TableName, _ landed: UInt64, _ found: UInt64?) -> NebulaError {
    NebulaError(
      .copyIncomplete,
      "The landing table of \(table.sql) held \(found.map(String.init) ?? "an unknown number of") rows after \(landed) "
        + "were copied there. Nothing was loaded.",
      remedy: "Somebody else writes to it: find out who, and DELETE what does not belong there.",
      at: .init(path: table.sql))
  }

  private enum Loaded {
    case done(QueryResult)
    case refused(CopyRejection)
    case doubled
  }

  private func load(_ statement: CopyStatement, _ staged: StagedTable, _ session: Session) async throws -> Loaded {
    let table = staged.copyTarget
    let outcome =
      options.asyncCopy
      ? try await session.runAsync(statement.text) { pass($0) } : try await session.run(statement.text)
    switch outcome {
    case .done(let envelope): return .done(try await session.result(of: envelope))
    case .refused(let server):
      if server.message.contains("duplicate object attribute") { return .doubled }
      if let missing = CopyResult.missingFile(server, table: table) { throw missing }
      if let rejection = CopyResult.rejection(server, of: statement, table: table) {
        return .refused(CopyRejection(rejection, CopyResult.rowNumber(in: server), staged, statement))
      }
      let isStage = server.message.lowercased().contains("on stage")
      throw server.error(
        trying: "COPY into \(table.sql)", grant: isStage ? Grants.stage(stage.name) : Grants.load(table))
    }
  }

  private func pass(_ moment: Session.AsyncMoment) {
    switch moment {
    case .submitted: context.crash.pass("after-submit")
    case .polling: context.crash.pass("while-polling")
    case .read: context.crash.pass("after-result")
    }
  }

  private func record(_ receipt: CommitReceipt, _ session: Session) async throws {
    let statement = ledger.insert(
      receipt, text: ReceiptText.encode(receipt), fence: fence, generation: generation)
    let inserted = try await session.query(
      statement, trying: "Writing the ledger row", grant: Grants.control(ledger.table)
    ).rowsChanged
    // None: the server has ended our transaction meanwhile, and what we do now is not what we did before.
    guard inserted == 1 else { throw unconfirmed(receipt.id, "the transaction was ended from outside") }
  }

  /// A COMMIT outside a transaction succeeds as well: only the ledger proves that ours did something.
  private func confirmed(_ receipt: CommitReceipt, _ session: Session) async throws -> CommitReceipt {
    guard try await self.receipt(of: receipt.id, session) != nil else {
      throw unconfirmed(receipt.id, "COMMIT was answered, but the ledger has no row of it")
    }
    return receipt
  }

  private func unconfirmed(_ epoch: EpochID, _ reason: String) -> NebulaError {
    NebulaError(
      .commitUnconfirmed, "The commit of epoch \(epoch) is not confirmed: \(reason).",
      remedy: "What became of it is found out under the fence's lock.", disposition: .reconnect)
  }

  // MARK: recover

  /// What became of an epoch. Older transactions are ended first, so the lock is free or held by a stranger.
  func recover(_ prepared: PreparedEpoch) async throws -> EpochFate {
    let manifest = try Manifest(decoding: prepared)
    try await endOlderTransactions()
    let known = try await transaction(fence.transaction(generation, "RECOVER")) { session -> CommitReceipt? in
      try await take(fence.lock(generation), session)
      let known = try await receipt(of: prepared.id, session)
      await session.rollBack()
      return known
    }
    if let known {
      guard known.counts == prepared.counts, known.rows == manifest.rows else {
        return .unknown(
          "the ledger's row of epoch \(prepared.id) speaks of \(known.rows) rows, the intent of \(manifest.rows)")
      }
      return .committed(known)
    }
    if try await isStaged(manifest) { return .ready }
    try await destroy(manifest, prepared.id)
    return .gone
  }

  private func isStaged(_ manifest: Manifest) async throws -> Bool {
    for (folder, tables) in Dictionary(grouping: manifest.tables, by: \.folder) {
      let found = try await stage.list(folder)
      for file in tables.flatMap(\.loadedFiles) {
        // The size listed may count the padding of the encryption or not.
        guard let size = found[file.name], size <= file.bytes, size + 16 >= file.bytes else { return false }
      }
    }
    return true
  }

  /// Removes an epoch's staged files.
  func destroy(_ manifest: Manifest, _ epoch: EpochID) async throws {
    for folder in Set(manifest.tables.map(\.folder)).sorted() {
      try await stage.remove(folder, prefix: "\(epoch)-")
    }
  }

  // MARK: open

  /// Creates the control tables when they are missing, ends older transactions, and takes the fence. `known` is the last
  /// epoch that the state knows of.
  func open(known: EpochID?) async throws {
    try await pool.with { session in
      for (table, create) in [(ledger.table, ledger.create), (fence.table, fence.create)] {
        try await ensure(table, create: create, session)
      }
    }
    try await endOlderTransactions()
    guard try await raise(known) else {
      try await seed()
      guard try await raise(known) else {
        throw NebulaError(
          .badAnswer, "The row of the fence \(fence.table.sql) vanished right after it was written.",
          remedy: "Find out who deletes rows of control tables.", at: .init(path: fence.table.sql))
      }
      return
    }
  }

  /// Takes the fence over; false when it has no row yet.
  private func raise(_ known: EpochID?) async throws -> Bool {
    try await transaction(fence.transaction(generation, "OPEN")) { session in
      let changed = try await locking(fence.raise(to: generation, known: known), trying: "Taking", session)
      guard changed != 0 else {
        let found = try await session.query(fence.read, trying: "Reading the fence")
        guard found.rows.isEmpty else { throw fence.behind(generation: generation, known: known, found: found) }
        await session.rollBack()
        return false
      }
      try fence.checkOneRow(changed)
      try await session.commit()
      return true
    }
  }

  private func seed() async throws {
    try await transaction(fence.transaction(generation, "SEED")) { session in
      try await session.succeed(fence.seed, trying: "Writing the fence's row", grant: Grants.control(fence.table))
      try await session.commit()
    }
  }

  /// Looks by SHOW, which needs no warehouse; creating needs a right that looking does not.
  private func ensure(_ table: TableName, create: String, _ session: Session) async throws {
    guard try await !table.isShown(session) else { return }
    try await session.succeed(create, trying: "Creating \(table.sql)", grant: Grants.create("TABLE", in: table))
  }

  // MARK: transactions

  /// Runs `body` in a transaction of a session of its own. After any error it is rolled back, and the session ended: a
  /// statement without an answer may be carried out later, and a COMMIT would commit whatever its session has open then.
  private func transaction<R: Sendable>(
    _ name: String, of epoch: EpochID? = nil, _ body: @Sendable (Session) async throws -> R
  ) async throws -> R {
    let tag = epoch.map { QueryTag(pipeline: fence.pipeline, epoch: $0, transaction: name) }
    return try await pool.with { session in
      do { try await session.begin(name, tag: tag) } catch {
        await session.close()
        throw error
      }
      do { return try await body(session) } catch {
        await session.rollBack()
        await session.close()
        throw error
      }
    }
  }

  /// Takes the fence's lock by an UPDATE that must change the one row.
  private func take(_ statement: String, _ session: Session) async throws {
    let changed = try await locking(statement, trying: "Locking", session)
    guard changed != 0 else { throw fence.fenced(generation: generation) }
    try fence.checkOneRow(changed)
  }

  /// Runs an UPDATE of the fence; gives the rows that it changed.
  private func locking(_ statement: String, trying: String, _ session: Session) async throws -> UInt64? {
    do {
      return try await Meter(context).locking {
        try await session.query(
          statement, trying: "\(trying) the fence \(fence.table.sql)", grant: Grants.control(fence.table)
        ).rowsChanged
      }
    } catch let error as NebulaError where error.code == .lockTimeout {
      throw NebulaError(
        .lockTimeout,
        "The lock of the fence \(fence.table.sql) was not free within \(options.lockTimeout.written ?? ""): \(error.message)",
        remedy: "SHOW TRANSACTIONS IN ACCOUNT says who holds it; SELECT SYSTEM$ABORT_TRANSACTION(id) ends it.",
        at: .init(path: fence.table.sql), native: error.native, disposition: .retry(after: nil))
    }
  }

  private func receipt(of epoch: EpochID, _ session: Session) async throws -> CommitReceipt? {
    let result = try await session.query(
      ledger.read(epoch, of: fence.pipeline), trying: "Reading the ledger \(ledger.table.sql)",
      grant: Grants.control(ledger.table))
    return try ledger.answer(result, about: epoch).map { try ReceiptText.decode($0, epoch) }
  }

  /// A killed client's transaction lives on and keeps the fence's lock: whoever may supersede it ends it.
  private func endOlderTransactions() async throws {
    try await pool.with { session in
      let open = try await session.query("SHOW TRANSACTIONS", trying: "Looking for older transactions")
      var hasEnded = false
      for row in open.rows.indices {
        guard let name = open[row, "name"], let id = open[row, "id"].flatMap({ UInt64($0) }),
          fence.mayEnd(transaction: name, as: generation)
        else { continue }
        context.log.info("Ending the transaction \(name) (\(id)), which an earlier writer left open.")
        hasEnded = true
        switch try await session.run("SELECT SYSTEM$ABORT_TRANSACTION(\(id))") {
        case .done: break
        // It may have ended by itself; if it has not, the lock will say so.
        case .refused(let server): context.log.warning("The transaction \(name) could not be ended: \(server.message)")
        }
      }
      if hasEnded { await cancelOlderStatements(session) }
    }
  }

  /// A COPY in the background may outlive the session that submitted it. Its transaction is ended, so it can't do any
  /// harm: this only spares the warehouse, and the wait for a lock. What can't be found or cancelled is left alone.
  private func cancelOlderStatements(_ session: Session) async {
    do {
      guard case .done(let answer) = try await session.run(QueryTag.running(in: fence.table.database)) else { return }
      let running = try await session.result(of: answer)
      for row in running.rows.indices {
        guard let id = running[row, "query_id"], let tag = running[row, "query_tag"],
          let transaction = QueryTag.transaction(in: tag), fence.mayEnd(transaction: transaction, as: generation)
        else { continue }
        let isCancelled = try await session.cancel(queryID: id)
        context.log.info("The statement \(id) of an earlier writer \(isCancelled ? "is cancelled" : "has ended").")
      }
    } catch {
      context.log.debug("Statements of earlier writers could not be looked for: \(error)")
    }
  }
}
