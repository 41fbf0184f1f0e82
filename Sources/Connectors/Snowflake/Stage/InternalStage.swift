internal import NebulaCore
internal import NebulaHTTP
internal import NebulaObjectStores

/// The internal stage: says where a folder lies, uploads files there, lists and removes them.
actor InternalStage: Stage {
  let name: TableName
  let pool: SessionPool
  private let context: ConnectorContext
  private let stores: ObjectStoreContext
  private var tickets: [String: (ticket: StageTicket, at: Duration)] = [:]
  private var requests: [String: SharedRequest<StageTicket>] = [:]
  /// Credentials live an hour or more; they are renewed well before, and whenever a store refuses them.
  private static let ticketLife = Duration.seconds(1200)

  init(_ name: TableName, pool: SessionPool, context: ConnectorContext, stores: ObjectStoreContext) {
    self.name = name
    self.pool = pool
    self.context = context
    self.stores = stores
  }

  // MARK: the stage itself

  /// Nothing: what can be looked at without a warehouse is looked at when it is opened.
  nonisolated func check(folder: String) async -> [Finding] { [] }

  /// Creates the stage when it is missing; looks first, since creating needs a right that looking does not.
  nonisolated func ensure(folder: String) async throws {
    let name = name
    try await pool.with { session in
      let probe = "LIST \(stageLocation(name, folder + "/.probe"))"
      switch try await session.run(probe) {
      case .done: return
      case .refused(let server):
        let found = server.error(trying: "Looking at the stage \(name.sql)")
        guard found.code == .objectMissing else { throw found }
      }
      try await session.succeed(
        "CREATE STAGE IF NOT EXISTS \(name.sql)", trying: "Creating the stage \(name.sql)",
        grant: Grants.create("STAGE", in: name))
    }
  }

  /// Names and sizes of the files in a folder.
  nonisolated func list(_ folder: String) async throws -> [String: UInt64] {
    let name = name
    let result = try await pool.with { session in
      try await session.query(
        "LIST \(stageLocation(name, folder))", trying: "Listing the stage \(name.sql)", grant: Grants.stage(name))
    }
    var files: [String: UInt64] = [:]
    for row in result.rows.indices {
      guard let path = result[row, "name"] else { continue }
      files[String(path.split(separator: "/").last ?? "")] = result[row, "size"].flatMap { UInt64($0) }
    }
    return files
  }

  /// The files in the tables' folders of a pipeline's folder.
  nonisolated func entries(below folder: String) async throws -> [StagedEntry] { try await listed(below: folder) }

  /// `GET` says where a file lies, and by which key it is decrypted; the local path is never written.
  nonisolated func source(of file: StagedFile, in folder: String) async throws -> StagedSource {
    let name = name
    let answer = try await pool.with { session in
      try await session.put(
        GetStatement(file: file.name, folder: folder, stage: name).text,
        trying: "GET of \(file.name) from the stage \(name.sql)", grant: Grants.stage(name))
    }
    let ticket = try StageTicket(answer)
    let store = ticket.store(stores) { _ in throw StagedSource.expired }
    guard let path = answer["src_locations"]?.array?.compactMap(\.string).first(where: { $0.hasSuffix(file.name) }),
      let readable = store as? any ReadableObjectStore
    else { throw unreadable(file, "the stage does not have it any more, or gives no way to read it") }
    return StagedSource(store: readable, key: ticket.prefix + path, ticket: ticket)
  }

  /// Removes the files of a folder whose names begin with `prefix`.
  nonisolated func remove(_ folder: String, prefix: String) async throws {
    let name = name
    _ = try await pool.with { session in
      try await session.succeed(
        "REMOVE \(stageLocation(name, folder))\(prefix)", trying: "Removing files from the stage \(name.sql)",
        grant: Grants.stage(name))
    }
  }

  // MARK: uploads

  /// What a new file needs in this stage.
  func preparation(folder: String, file: String, _ compression: Compression) async throws -> FilePreparation {
    let ticket = try await ticket(folder, file: file, compression) { _ in false }
    return FilePreparation(encryption: try ticket.masterKey.map { try FileEncryption($0) }, needsMD5: ticket.wantsMD5)
  }

  /// Uploads a file, and proves that it lies there whole.
  nonisolated func upload(
    _ staged: StagedBody, file: String, folder: String, encryption: FileEncryption?, _ compression: Compression
  ) async throws {
    var refused: StageTicket?
    var last: NebulaError?
    for attempt in 0..<6 {
      let ticket = try await ticket(folder, file: file, compression) { [refused] in $0.isSame(as: refused) }
      let object = ObjectUpload(staged, name: file, ticket: ticket, encryption: encryption, codec: compression)
      let store = ticket.store(stores) { isRefused in
        try await self.ticket(folder, file: file, compression, refusing: isRefused)
      }
      do {
        _ = try await store.put(object)
        // The address of one file permits no look at it; a folder's files have no metadata.
        if !ticket.isPerFile {
          try await prove(object, in: store, digest: ticket.type == .local ? nil : ticket.type.digestName)
        }
        return
      } catch let error as NebulaError {
        last = error
        Meter(context).uploadFailed(error)
        switch Self.remedy(for: error, ticket) {
        case .stop: throw described(error, file)
        case .again: refused = nil
        case .renew: refused = ticket
        }
      }
      try await context.clock.sleep(.milliseconds(Int64(context.random(100..<(400 << UInt64(attempt))))))
    }
    throw described(last ?? NebulaError(.stageFailed, "No attempt was made.", remedy: "Report the defect."), file)
  }

  private enum Remedy { case stop, again, renew }

  /// Whether another attempt may help, and whether it needs new credentials.
  private static func remedy(for error: NebulaError, _ ticket: StageTicket) -> Remedy {
    if error.code == .credentialsExpired { return .renew }
    // A presigned address that is too old is refused in words of its own.
    if ticket.isPerFile, [.objectsDenied, .objectsRefused].contains(error.code) { return .renew }
    return error.isRetryable ? .again : .stop
  }

  // MARK: tickets

  /// The folder's ticket; a new one when there is none, it is old, or it is one that was refused.
  private func ticket(
    _ folder: String, file: String, _ compression: Compression, refusing isRefused: @Sendable (StageTicket) -> Bool
  ) async throws -> StageTicket {
    let now = context.clock.monotonic()
    if let known = tickets[folder], now - known.at < Self.ticketLife, !isRefused(known.ticket) {
      if !known.ticket.isPerFile { return known.ticket }
      return try await ask(folder, file, compression)
    }
    if let request = requests[folder], request.isUnderway {
      // An address for one file is that of whoever asked first.
      let ticket = try await request.answer()
      return ticket.isPerFile ? try await ask(folder, file, compression) : ticket
    }
    let request = SharedRequest { try await self.ask(folder, file, compression) }
    requests[folder] = request
    let ticket = try await request.answer()
    tickets[folder] = (ticket, context.clock.monotonic())
    return ticket
  }

  private nonisolated func ask(_ folder: String, _ file: String, _ compression: Compression) async throws -> StageTicket
  {
    let name = name
    let statement = PutStatement(file: file, folder: folder, stage: name, compression).text
    let answer = try await pool.with { session in
      try await session.put(statement, trying: "PUT into the stage \(name.sql)", grant: Grants.stage(name))
    }
    return try StageTicket(answer)
  }
}

/// `PUT`: the local path only names the file, nothing is read there.
struct PutStatement: Sendable {
  let text: String
  init(file: String, folder: String, stage: TableName, _ compression: Compression) {
    text =
      "PUT file:///nebula/\(file) \(stageLocation(stage, folder)) AUTO_COMPRESS=FALSE "
      + "SOURCE_COMPRESSION=\(compression.rawValue) OVERWRITE=TRUE"
  }
}

/// What the errors tell to run.
enum Grants {
  static func create(_ kind: String, in name: TableName) -> String {
    "GRANT CREATE \(kind) ON SCHEMA \(name.database.quoted).\(name.schema.quoted) TO ROLE <role>"
  }
  static func stage(_ name: TableName) -> String { "GRANT READ, WRITE ON STAGE \(name.sql) TO ROLE <role>" }
  static func load(_ name: TableName) -> String { "GRANT INSERT, SELECT ON TABLE \(name.sql) TO ROLE <role>" }
  static func merge(_ name: TableName) -> String {
    "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE \(name.sql) TO ROLE <role>"
  }
  static func control(_ name: TableName) -> String {
    "GRANT SELECT, INSERT, UPDATE ON TABLE \(name.sql) TO ROLE <role>"
  }
}
