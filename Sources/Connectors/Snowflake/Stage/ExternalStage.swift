internal import NebulaCore
internal import NebulaHTTP
internal import NebulaObjectStores

/// A stage in a bucket of one's own: this program writes, lists and removes there by itself, and COPY reads it by the
/// external stage that Snowflake has. No PUT, and no encryption but the bucket's.
struct ExternalStage: Stage {
  let name: TableName
  /// This pipeline's folder: nothing outside of it is ever touched.
  private let root: String
  private let definition: ExternalStageDefinition
  private let store: ExternalStore
  let pool: SessionPool
  private let context: ConnectorContext

  /// The metadata that proves whose a file is: its SHA-256 in hex.
  static let digestName = "nebulasha256"
  private static let attempts = 3
  private static let parallelDeletes = 8

  init(
    _ name: TableName, root: String, definition: ExternalStageDefinition, store: ExternalStore, pool: SessionPool,
    context: ConnectorContext
  ) {
    self.name = name
    self.root = root
    self.definition = definition
    self.store = store
    self.pool = pool
    self.context = context
  }

  // MARK: the stage itself

  /// Lists the bucket, and asks whether Snowflake sees the stage.
  func check(folder: String) async -> [Finding] {
    var findings: [Finding] = []
    do {
      _ = try await store.list(prefix: "\(folder)/", stopsAtSlash: false, continuation: nil, limit: 1)
      findings.append(.passed("\(store.location.url) can be listed by the \(store.credentialName)."))
    } catch { findings.append(.failed(Self.known(error))) }
    do {
      if try await isThere() {
        try await see("\(folder)/.probe")
        findings.append(.passed("Snowflake sees the external stage \(name.sql)."))
      } else {
        _ = try definition.create(name)
        findings.append(.passed("The external stage \(name.sql) will be created."))
      }
    } catch { findings.append(.failed(Self.known(error))) }
    return findings
  }

  private static func known(_ error: any Error) -> NebulaError {
    error as? NebulaError
      ?? NebulaError(.stageFailed, "Looking at the stage failed: \(error).", remedy: "Run it again.")
  }

  /// False when Snowflake has no such stage; throws when it lies elsewhere.
  private func isThere() async throws -> Bool {
    try await pool.with { session in
      switch try await session.run("DESCRIBE STAGE \(name.sql)") {
      case .done(let envelope):
        try definition.check(try await session.result(of: envelope), name)
        return true
      case .refused(let server):
        let found = server.error(trying: "Looking at the stage \(name.sql)", grant: Grants.external(name))
        guard found.code == .objectMissing else { throw found }
        return false
      }
    }
  }

  /// Creates the stage when it is missing, and proves that what is written here is what Snowflake reads there: by a file
  /// of this pipeline's own, which is removed again.
  func ensure(folder: String) async throws {
    if try await !isThere() { try await create() }
    for left in try await store.listAll(prefix: "\(folder)/\(Self.probe)") { try await store.delete(left.key) }
    let key = "\(folder)/\(Self.probe)\(Crypto.hex(try Crypto.randomBytes(8)))"
    _ = try await store.put(ObjectUpload(key: key, body: .bytes([10]), contentMD5: Crypto.md5([10])))
    do {
      guard try await see(key) > 0 else { throw unseen(key) }
    } catch {
      try? await store.delete(key)
      throw error
    }
    try await store.delete(key)
    if definition.location.kind == .s3 { try await store.proveCreateOnly(at: key + "-twice") }
  }

  private static let probe = ".nebula-probe-"

  private func create() async throws {
    let statement = try definition.create(name)
    try await pool.with { session in
      guard case .refused(let server) = try await session.run(statement) else { return }
      throw definition.redacted(server).error(
        trying: "Creating the external stage \(name.sql)",
        grant: Grants.create("STAGE", in: name)
          + (definition.integration.map { "; GRANT USAGE ON INTEGRATION \($0) TO ROLE <role>" } ?? ""))
    }
    if case .credentials = definition.access {
      context.log.info(
        "The external stage \(name.sql) was created with keys of its own; a storage integration is safer.")
    }
  }

  /// How many files Snowflake lists under a path.
  @discardableResult
  private func see(_ path: String) async throws -> Int {
    try await pool.with { session in
      try await session.query(
        "LIST @\(name.sql)/\(path)", trying: "Listing the external stage \(name.sql)", grant: Grants.external(name)
      ).rows.count
    }
  }

  private func unseen(_ key: String) -> NebulaError {
    NebulaError(
      .stageFailed,
      "Snowflake does not see in the stage \(name.sql) what was written to \(store.location.url): they are different "
        + "places.",
      remedy:
        "Check aws_endpoint, azure_endpoint or gcs_endpoint, and the account of the keys: the stage must read the same "
        + "bucket.", at: .init(path: "external_stage_url"), exit: .configuration)
  }

  // MARK: files

  /// Names and sizes of the files in a folder.
  func list(_ folder: String) async throws -> [String: UInt64] {
    try checkOwn(folder)
    var files: [String: UInt64] = [:]
    for entry in try await store.listAll(folder, recursive: false) where !entry.isFolder {
      files[String(entry.key.dropFirst(folder.count + 1))] = UInt64(entry.size)
    }
    return files
  }

  /// The files in the tables' folders of a pipeline's folder; Snowflake's list tells their age in every store.
  func entries(below folder: String) async throws -> [StagedEntry] {
    try checkOwn(folder)
    return try await listed(below: folder)
  }

  /// Read by this program's own client.
  func source(of file: StagedFile, in folder: String) async throws -> StagedSource {
    try checkOwn(folder)
    return StagedSource(store: store, key: "\(folder)/\(file.name)", ticket: nil)
  }

  /// Removes the files of a folder whose names begin with `prefix`, which has to name a lease: `3-` or `3-17-`.
  func remove(_ folder: String, prefix: String) async throws {
    try checkOwn(folder)
    let file = prefix.split(separator: "/").last ?? ""
    guard file.hasSuffix("-"), file.split(separator: "-").first.map({ UInt64($0) != nil }) ?? false else {
      throw NebulaError(
        .stageFailed, "Files that begin with '\(prefix)' are none of an epoch's: nothing is removed.",
        remedy: "Report the defect.", at: .init(path: folder))
    }
    let keys = try await store.listAll(prefix: "\(folder)/\(prefix)").map(\.key)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, key) in keys.enumerated() {
        if index >= Self.parallelDeletes { try await group.next() }
        group.addTask { [store] in try await store.delete(key) }
      }
      try await group.waitForAll()
    }
  }

  /// Other pipelines use the same bucket.
  private func checkOwn(_ folder: String) throws(NebulaError) {
    let isOwn = (folder == root || folder.hasPrefix(root + "/")) && !folder.split(separator: "/").contains("..")
    guard isOwn else {
      throw NebulaError(
        .stageFailed, "The folder \(folder) is not this pipeline's: those begin with \(root).",
        remedy: "If stage_prefix was changed, bring the old one back until the pending epoch is committed; else report "
          + "the defect.",
        at: .init(path: folder))
    }
  }

  // MARK: uploads

  /// No encryption of our own; a checksum, which every store verifies.
  func preparation(folder: String, file: String, _ compression: Compression) async throws -> FilePreparation {
    FilePreparation(encryption: nil, needsMD5: true)
  }

  /// Uploads a file, and proves that it lies there whole.
  func upload(
    _ staged: StagedBody, file: String, folder: String, encryption: FileEncryption?, _ compression: Compression
  ) async throws {
    try checkOwn(folder)
    let object = ObjectUpload(
      key: "\(folder)/\(file)", body: staged.body, metadata: [Self.digestName: hexText(staged.sha256)],
      contentMD5: staged.md5, createOnly: true, checksumMetadata: Self.digestName)
    for attempt in 1... {
      do {
        _ = try await store.put(object)
        return try await prove(object, in: store, digest: Self.digestName)
      } catch let error as NebulaError {
        Meter(context).uploadFailed(error)
        // The store has tried again by itself; what is left is an upload that has to begin anew.
        guard error.isRetryable, attempt < Self.attempts else { throw described(error, file) }
      }
      try await context.clock.sleep(.milliseconds(Int64(context.random(100..<2000))))
    }
  }
}

extension Grants {
  static func external(_ name: TableName) -> String { "GRANT USAGE ON STAGE \(name.sql) TO ROLE <role>" }
}
