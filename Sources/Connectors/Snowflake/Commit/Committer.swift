internal import NebulaCore
internal import NebulaHTTP

/// Commits epochs, and finds out what became of them: one session and one transaction for all tables, under the
/// fence's lock (invariants 3 and 7).
struct Committer: Sendable {
  let pool: SessionPool
  let stage: Stage
  let fence: Fence
  let ledger: Ledger
  let options: SnowflakeOptions
  let copyOptions: CopyOptions
  let context: ConnectorContext
  /// Of the lease that `open` was given: the fence must still say this one.
  let generation: UInt64

  // MARK: commit

  /// Makes the epoch visible, or finds that it is. Every error leaves it for `recover` to find out.
  func commit(_ prepared: PreparedEpoch) async throws -> CommitReceipt {
    let manifest = try Manifest(decoding: prepared)
    context.crash.pass("before-commit")
    return try await transaction(fence.transaction(generation, prepared.id)) { session in
      try await take(fence.advance(to: prepared.id, generation), session)
      if let known = try await receipt(of: prepared.id, session) {
        await session.rollBack()
        return known
      }
      let queries = try await copy(manifest, session)
      let receipt = CommitReceipt(
        prepared.id, counts: prepared.counts, rows: manifest.rows, bytes: manifest.bytes, files: manifest.files,
        evidence: queries)
      try await record(receipt, session)
      context.crash.pass("before-commit-statement")
      try await session.commit()
      context.crash.pass("after-commit-statement")
      return try await confirmed(receipt, session)
    }
  }

  private func copy(_ manifest: Manifest, _ session: Session) async throws -> [String] {
    var queries: [String] = []
    for table in manifest.tables {
      let statements = CopyStatement.all(
        for: table, stage: manifest.stage, options: copyOptions, limit: options.filesPerCopy)
      for statement in statements {
        let result = try await load(statement, table.table, session)
        try CopyResult.check(result, against: statement.files, table: table.table)
        queries.append(result.queryID)
        context.metrics.add("snowflake.copies", 1)
      }
    }
    return queries
  }

  private func load(_ statement: CopyStatement, _ table: TableName, _ session: Session) async throws -> QueryResult {
    switch try await session.run(statement.text) {
    case .done(let envelope): return try await session.result(of: envelope)
    case .refused(let server):
      if let missing = CopyResult.missingFile(server, table: table) { throw missing }
      if let rejection = CopyResult.rejection(server, of: statement, table: table) { throw rejection }
      throw server.error(trying: "COPY into \(table.sql)", grant: Grants.load(table))
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
      for file in tables.flatMap(\.files) {
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

  /// Creates the control tables when they are missing, ends older transactions, and takes the fence.
  func open() async throws {
    try await ensureControlTables()
    try await endOlderTransactions()
    try await transaction(fence.transaction(generation, "OPEN")) { session in
      let changed = try await session.query(
        fence.raise(to: generation), trying: "Taking the fence \(fence.table.sql)", grant: Grants.control(fence.table)
      ).rowsChanged
      guard changed != 0 else {
        throw fence.behind(
          generation: generation, found: try await session.query(fence.read, trying: "Reading the fence"))
      }
      try fence.checkOneRow(changed)
      try await session.commit()
    }
  }

  private func ensureControlTables() async throws {
    let (fence, ledger) = (fence, ledger)
    try await pool.with { session in
      try await ensure(ledger.table, probe: ledger.probe, create: ledger.create, session)
      try await ensure(fence.table, probe: fence.read, create: fence.create, session)
    }
    let rows = try await pool.with { session in
      try await session.query(fence.read, trying: "Reading the fence", grant: Grants.control(fence.table)).rows.count
    }
    guard rows == 0 else { return }
    try await transaction(fence.transaction(generation, "SEED")) { session in
      try await session.succeed(fence.seed, trying: "Writing the fence's row", grant: Grants.control(fence.table))
      try await session.commit()
    }
  }

  private func ensure(_ table: TableName, probe: String, create: String, _ session: Session) async throws {
    switch try await session.run(probe) {
    case .done: return
    case .refused(let server):
      let found = server.error(trying: "Reading \(table.sql)", grant: Grants.control(table))
      guard found.code == .objectMissing else { throw found }
    }
    try await session.succeed(create, trying: "Creating \(table.sql)", grant: Grants.create("TABLE", in: table))
  }

  // MARK: transactions

  /// Runs `body` in a transaction of a session of its own. After any error it is rolled back, and the session ended: a
  /// statement without an answer may be carried out later, and a COMMIT would commit whatever its session has open then.
  private func transaction<R: Sendable>(
    _ name: String, _ body: @Sendable (Session) async throws -> R
  ) async throws -> R {
    try await pool.with { session in
      do { try await session.begin(name) } catch {
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
    let changed: UInt64?
    do {
      changed = try await session.query(
        statement, trying: "Locking the fence \(fence.table.sql)", grant: Grants.control(fence.table)
      ).rowsChanged
    } catch let error as NebulaError where error.code == .lockTimeout {
      throw NebulaError(
        .lockTimeout,
        "The lock of the fence \(fence.table.sql) was not free within \(options.lockTimeout.written ?? ""): \(error.message)",
        remedy: "SHOW TRANSACTIONS IN ACCOUNT says who holds it; SELECT SYSTEM$ABORT_TRANSACTION(id) ends it.",
        at: .init(path: fence.table.sql), native: error.native, disposition: .retry(after: nil))
    }
    guard changed != 0 else { throw fence.fenced(generation: generation) }
    try fence.checkOneRow(changed)
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
      for row in open.rows.indices {
        guard let name = open[row, "name"], let id = open[row, "id"].flatMap({ UInt64($0) }),
          fence.mayEnd(transaction: name, as: generation)
        else { continue }
        context.log.info("Ending the transaction \(name) (\(id)), which an earlier writer left open.")
        switch try await session.run("SELECT SYSTEM$ABORT_TRANSACTION(\(id))") {
        case .done: break
        // It may have ended by itself; if it has not, the lock will say so.
        case .refused(let server): context.log.warning("The transaction \(name) could not be ended: \(server.message)")
        }
      }
    }
  }
}
