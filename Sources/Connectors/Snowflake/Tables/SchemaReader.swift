internal import NebulaCore

/// A column of a table that is there.
struct TableColumn: Sendable, Hashable {
  let name: Identifier
  let type: String
  let hasDefault: Bool
}

/// Asks what tables look like, each once.
actor SchemaReader {
  private let pool: SessionPool
  private var known: [TableName: [TableColumn]] = [:]

  init(pool: SessionPool) { self.pool = pool }

  /// The columns of a table; nil when it is not there.
  func columns(of table: TableName) async throws -> [TableColumn]? {
    if let columns = known[table] { return columns }
    let columns = try await pool.with { session -> [TableColumn]? in
      switch try await session.run("DESCRIBE TABLE \(table.sql)") {
      case .done(let envelope): return Self.columns(try await session.result(of: envelope))
      case .refused(let server):
        let error = server.error(trying: "Looking at the table \(table.sql)", grant: Grants.load(table))
        guard error.code == .objectMissing else { throw error }
        return nil
      }
    }
    known[table] = columns
    return columns
  }

  /// The table was changed.
  func forget(_ table: TableName) { known[table] = nil }

  private static func columns(_ result: QueryResult) -> [TableColumn] {
    result.rows.indices.compactMap { row in
      guard (result[row, "kind"] ?? "COLUMN").uppercased() == "COLUMN", let name = result[row, "name"] else {
        return nil
      }
      return TableColumn(
        name: Identifier(exactly: name), type: result[row, "type"] ?? "VARCHAR",
        hasDefault: result[row, "default"] != nil)
    }
  }

  /// True when no row of the table has another place in the order; a table that is not there has none.
  nonisolated func holdsOnly(_ sequence: String, _ table: TableName) async throws -> Bool {
    try await pool.with { session in
      let statement =
        "SELECT 1 FROM \(table.sql) WHERE \"_SEQ\" IS NULL OR \"_SEQ\" <> \(literal(sequence)) LIMIT 1"
      switch try await session.run(statement) {
      case .done(let envelope): return try await session.result(of: envelope).rows.isEmpty
      case .refused(let server):
        let error = server.error(trying: "Looking at the rows of \(table.sql)", grant: Grants.load(table))
        guard error.code == .objectMissing else { throw error }
        return true
      }
    }
  }
}
