internal import NebulaCore

/// Creates and changes tables and views. Every statement commits by itself.
struct TableMaker: Sendable {
  let options: SnowflakeOptions
  let pool: SessionPool
  let pipeline: String

  /// Creates a lane's table, with the mark of whose rows it takes.
  func create(_ lane: LaneKey, of owner: Namespace?) async throws {
    let columns = lane.layout.columns.map { "\($0.name.quoted) \($0.type)" }.joined(separator: ", ")
    let mark = TableOwner.comment(owner, mergedBy: lane.layout.merge == nil ? nil : pipeline)
    let comment = mark.map { " COMMENT = \(literal($0))" } ?? ""
    try await run(
      "CREATE TABLE IF NOT EXISTS \(lane.table.sql) (\(columns))\(comment)", "Creating the table \(lane.table.sql)",
      Grants.create("TABLE", in: lane.table))
  }

  /// Adds columns; one that somebody else has added meanwhile is no error.
  func add(_ columns: [LoadColumn], to table: TableName) async throws {
    let list = columns.map { "IF NOT EXISTS \($0.name.quoted) \($0.type)" }.joined(separator: ", ")
    try await run(
      "ALTER TABLE \(table.sql) ADD COLUMN \(list)", "Adding columns to the table \(table.sql)",
      "GRANT OWNERSHIP ON TABLE \(table.sql) TO ROLE <role> COPY CURRENT GRANTS")
  }

  /// The table where rows wait to be merged: transient, since nothing in it outlives a transaction. One that is there is
  /// replaced, and keeps the columns that rows of other layouts need.
  func createLanding(_ lane: LaneKey, keeping present: [TableColumn]?) async throws {
    guard let landing = lane.layout.merge?.landing else { return }
    let names = Set(lane.layout.columns.map(\.name))
    let others = (present ?? []).filter { !names.contains($0.name) }
    let columns =
      lane.layout.columns.map { "\($0.name.quoted) \($0.plainType)" } + others.map { "\($0.name.quoted) \($0.type)" }
    let verb = present == nil ? "CREATE TRANSIENT TABLE IF NOT EXISTS" : "CREATE OR REPLACE TRANSIENT TABLE"
    try await run(
      "\(verb) \(landing.sql) (\(columns.joined(separator: ", "))) COMMENT = "
        + literal("nebula-swift: rows on their way to \(lane.table.name.name); empty outside of transactions"),
      "Creating the landing table \(landing.sql)", Grants.create("TABLE", in: landing))
  }

  /// The view of the current state of each key, where it is asked for.
  func ensureView(_ lane: LaneKey) async throws {
    guard options.currentView, lane.layout.rows != .records, lane.layout.merge == nil else { return }
    let view = CurrentView(lane)
    try await pool.with { session in
      let views = try await session.query(view.look, trying: "Looking at the view \(view.name.sql)")
      let row = views.rows.indices.first { views[$0, "name"] == view.name.name.name }
      guard let statement = try view.statement(found: row.map { views[$0, "comment"] ?? "" }) else { return }
      try await session.succeed(
        statement, trying: "Creating the view \(view.name.sql)", grant: Grants.create("VIEW", in: view.name))
    }
  }

  private func run(_ statement: String, _ trying: String, _ grant: String) async throws {
    _ = try await pool.with { session in
      try await session.succeed(statement, trying: trying, grant: grant)
    }
  }

  // MARK: marks

  /// Looks that the table is the namespace's, and marks it as such where it is nobody's.
  func claim(_ lane: LaneKey, for namespace: Namespace) async throws {
    let owner = TableOwner(
      table: lane.table, namespace: namespace, pipeline: lane.layout.merge == nil ? nil : pipeline)
    try await pool.with { session in try await owner.claim(session) }
  }

  /// The tables of a schema that this pipeline merges into: they carry its mark, or have a landing table of its own. A
  /// table that somebody else made has no mark, when its owner has written a comment or may alone write one.
  func merged(
    in database: Identifier, _ schema: Identifier, landing: (TableName) -> TableName
  ) async throws -> [TableName] {
    let tables = try await pool.with { session in
      try await session.query(
        "SHOW TABLES IN SCHEMA \(database.quoted).\(schema.quoted)", trying: "Looking for this pipeline's tables")
    }
    let names = Set(tables.rows.indices.compactMap { tables[$0, "name"] })
    return tables.rows.indices.compactMap { row in
      guard let text = tables[row, "name"] else { return nil }
      let name = TableName(database: database, schema: schema, name: Identifier(exactly: text))
      let isOurs =
        TableOwner.isMerged(tables[row, "comment"] ?? "", by: pipeline) || names.contains(landing(name).name.name)
      return isOurs ? name : nil
    }
  }

  // MARK: checks

  static func mismatch(_ table: TableName, missing column: LoadColumn) -> NebulaError {
    NebulaError(
      .tableMismatch, "The table \(table.sql) has no column \(column.name.quoted).",
      remedy:
        "ALTER TABLE \(table.sql) ADD COLUMN \(column.name.quoted) \(column.type); or set schema_evolution: true; then "
        + "run again. Nothing is lost.",
      at: .init(path: table.sql))
  }

  /// Somebody may have added a column of that name, with another type, a moment before us.
  static func check(_ layout: TableLayout, against present: [TableColumn], _ table: TableName) throws(NebulaError) {
    for column in layout.columns {
      guard let found = present.first(where: { $0.name == column.name }) else {
        throw mismatch(table, missing: column)
      }
      guard LayoutPlanner.isSameKind(found.type, column.type) else {
        throw NebulaError(
          .tableMismatch,
          "The column \(column.name.quoted) of \(table.sql) is \(found.type); \(column.type) was to be added.",
          remedy: "Nothing: the records are read again, and the column is taken as it is.", at: .init(path: table.sql),
          disposition: .reconnect)
      }
    }
  }
}
