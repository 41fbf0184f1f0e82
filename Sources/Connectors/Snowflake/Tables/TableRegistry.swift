internal import NebulaCore
internal import NebulaFormats

/// Where the rows of a lane go: one table in one layout.
struct LaneKey: Sendable, Hashable {
  let table: TableName
  let layout: TableLayout
}

/// Knows which tables there are and what they look like: resolves namespaces, creates tables when they are missing.
actor TableRegistry {
  private let options: SnowflakeOptions
  private let pool: SessionPool
  private let database: Identifier
  private let schema: Identifier
  private var routes: TableRoutes
  private var descriptions: [TableName: [Column]?] = [:]
  private var csvLayouts: [TableName: [RecordSchema: TableLayout]] = [:]
  private var jsonLayouts: [TableName: TableLayout] = [:]
  private var verified: Set<LaneKey> = []
  /// One at a time: two batches must not make two layouts of one table.
  private let turn = Slots(1)

  /// A column of a table that is there.
  private struct Column: Sendable {
    let name: Identifier
    let type: String
    let hasDefault: Bool
  }

  init(_ options: SnowflakeOptions, pool: SessionPool, database: Identifier, schema: Identifier) throws(NebulaError) {
    self.options = options
    self.pool = pool
    self.database = database
    self.schema = schema
    routes = TableRoutes(try TableTemplate(options.table))
  }

  /// The lane of each of the batch's namespaces.
  func lanes(for batch: RecordBatch) async throws -> [LaneKey] {
    try await turn.wait()
    defer { turn.signal() }
    var lanes: [LaneKey] = []
    for namespace in batch.namespaces {
      let name = TableName(database: database, schema: schema, name: try routes.table(for: namespace))
      lanes.append(LaneKey(table: name, layout: try await layout(name, batch)))
    }
    return lanes
  }

  private func layout(_ table: TableName, _ batch: RecordBatch) async throws -> TableLayout {
    if batch.changes != nil || batch.format == .bson { return try documents(table) }
    if batch.format == .csv, let schema = batch.schema { return try await csvLayout(table, schema) }
    if let known = jsonLayouts[table] { return known }
    let layout = plain(try await jsonColumns(table, batch))
    jsonLayouts[table] = layout
    return layout
  }

  private func documents(_ table: TableName) throws(NebulaError) -> TableLayout {
    guard options.fileFormat != .csv else {
      throw NebulaError(
        .formatMismatch, "file_format is CSV, but documents came for \(table.sql), which are staged as JSON.",
        remedy: "Leave file_format out, or set it to JSON.", at: .init(path: "file_format"), exit: .configuration)
    }
    return .documents
  }

  /// A single column is never staged as CSV: its NULL would be a blank line, which COPY refuses.
  private func plain(_ columns: [LoadColumn]) -> TableLayout {
    options.fileFormat == .json || columns.count == 1 ? .json(columns) : .csv(columns)
  }

  // MARK: columns

  private func csvLayout(_ table: TableName, _ schema: RecordSchema) async throws -> TableLayout {
    if let known = csvLayouts[table]?[schema] { return known }
    var columns = try RecordColumns.make(schema)
    if let present = try await describe(table) {
      for index in columns.indices {
        guard let column = present.first(where: { $0.name == columns[index].name }) else {
          throw mismatch(table, missing: columns[index])
        }
        columns[index].type = column.type
      }
    }
    let layout = plain(columns)
    csvLayouts[table, default: [:]][schema] = layout
    return layout
  }

  /// A table that is there gives its columns (those with a default only if the first batch has them); a new one gets a
  /// column for each field of the first batch: VARCHAR when all its values are texts, else VARIANT.
  private func jsonColumns(_ table: TableName, _ batch: RecordBatch) async throws -> [LoadColumn] {
    let observed = try ObservedFields(batch).columns()
    guard let present = try await describe(table) else { return observed }
    for column in observed where !present.contains(where: { $0.name == column.name }) {
      throw mismatch(table, missing: column)
    }
    let fields = Dictionary(observed.map { ($0.name, $0.field) }, uniquingKeysWith: { first, _ in first })
    return present.filter { !$0.hasDefault || fields[$0.name] != nil }
      .map { LoadColumn(name: $0.name, type: $0.type, field: fields[$0.name] ?? "") }
  }

  private func mismatch(_ table: TableName, missing column: LoadColumn) -> NebulaError {
    NebulaError(
      .tableMismatch, "The table \(table.sql) has no column \(column.name.quoted).",
      remedy:
        "ALTER TABLE \(table.sql) ADD COLUMN \(column.name.quoted) \(column.type); then run again. Nothing is lost.",
      at: .init(path: table.sql))
  }

  // MARK: tables

  /// The columns of a table; nil when it is not there.
  private func describe(_ table: TableName) async throws -> [Column]? {
    if let known = descriptions[table], known != nil { return known }
    let columns = try await pool.with { session -> [Column]? in
      switch try await session.run("DESCRIBE TABLE \(table.sql)") {
      case .done(let envelope): return Self.columns(try await session.result(of: envelope))
      case .refused(let server):
        let error = server.error(trying: "Looking at the table \(table.sql)", grant: Grants.load(table))
        guard error.code == .objectMissing else { throw error }
        return nil
      }
    }
    descriptions[table] = .some(columns)
    return columns
  }

  private static func columns(_ result: QueryResult) -> [Column] {
    result.rows.indices.compactMap { row in
      guard (result[row, "kind"] ?? "COLUMN").uppercased() == "COLUMN", let name = result[row, "name"] else {
        return nil
      }
      return Column(
        name: Identifier(exactly: name), type: result[row, "type"] ?? "VARCHAR",
        hasDefault: result[row, "default"] != nil)
    }
  }

  /// Creates what is missing, and looks that what is there fits. DDL commits by itself, so this is before the intent.
  func ensure(_ lane: LaneKey) async throws {
    try await turn.wait()
    defer { turn.signal() }
    guard !verified.contains(lane) else { return }
    if let present = try await describe(lane.table) {
      for column in lane.layout.columns where !present.contains(where: { $0.name == column.name }) {
        throw mismatch(lane.table, missing: column)
      }
    } else {
      let columns = lane.layout.columns.map { "\($0.name.quoted) \($0.type)" }.joined(separator: ", ")
      let mark = routes.owner(of: lane.table.name).map { " COMMENT = \(literal(TableOwner.comment($0)))" } ?? ""
      _ = try await pool.with { session in
        try await session.succeed(
          "CREATE TABLE IF NOT EXISTS \(lane.table.sql) (\(columns))\(mark)",
          trying: "Creating the table \(lane.table.sql)",
          grant: Grants.create("TABLE", in: lane.table))
      }
      descriptions[lane.table] = nil
    }
    if let namespace = routes.owner(of: lane.table.name) {
      let owner = TableOwner(table: lane.table, namespace: namespace)
      try await pool.with { session in try await owner.claim(session) }
    }
    verified.insert(lane)
  }
}

/// The fields of a batch of JSON objects, in the order in which they first came.
struct ObservedFields {
  private enum Kind { case unknown, text, other }
  private var order: [String] = []
  private var kinds: [String: Kind] = [:]

  init(_ batch: RecordBatch) {
    batch.withBytes { bytes in
      for record in batch.records {
        let object = record.slice(of: bytes)
        guard var reader = JSONObjectReader(object) else { continue }
        while let member = reader.next() { add(member, object) }
      }
    }
  }

  private mutating func add(_ member: JSONObjectReader.Member, _ object: UnsafeRawBufferPointer) {
    let field = JSONObjectReader.unescape(UnsafeRawBufferPointer(rebasing: object[member.key]))
    let known = kinds[field]
    if known == nil { order.append(field) }
    switch member.kind {
    case .null: kinds[field] = known ?? .unknown
    case .string: kinds[field] = known == .other ? .other : .text
    default: kinds[field] = .other
    }
  }

  /// VARCHAR for fields that were texts only, else VARIANT.
  func columns() throws(NebulaError) -> [LoadColumn] {
    var columns = try RecordColumns.make(keys: order)
    for index in columns.indices where kinds[columns[index].field] == .text { columns[index].type = "VARCHAR" }
    return columns
  }
}
