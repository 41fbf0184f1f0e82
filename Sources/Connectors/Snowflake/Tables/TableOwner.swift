internal import NebulaCore

/// Which namespace fills a table of a template, kept where it outlives the program: in the table's comment. So two
/// namespaces that fold to one table are refused also when they come in different runs.
struct TableOwner: Sendable, Hashable {
  let table: TableName
  let namespace: Namespace
  private static let mark = "nebula-swift: rows of "

  /// The comment of a table that takes the namespace's rows.
  static func comment(_ namespace: Namespace) -> String { mark + namespace.description }

  /// Throws when the table is another namespace's; one without a comment becomes ours, where that is permitted.
  func claim(_ session: Session) async throws {
    guard let comment = try await comment(session) else { return }
    if comment.isEmpty {
      // Only the table's owner may comment it; a table that is not ours to mark stays as it is.
      _ = try await session.run("COMMENT ON TABLE \(table.sql) IS \(literal(Self.comment(namespace)))")
    } else if comment.hasPrefix(Self.mark), comment != Self.comment(namespace) {
      throw Self.collision(String(comment.dropFirst(Self.mark.count)), namespace, table.sql)
    }
  }

  /// Nil when SHOW TABLES does not list it: a view, for one.
  private func comment(_ session: Session) async throws -> String? {
    // In a pattern '_' stands for any sign, also for a backslash; the exact name is looked for below.
    let pattern = String(table.name.name.map { $0 == "\\" ? "_" : $0 })
    let tables = try await session.query(
      "SHOW TABLES LIKE \(literal(pattern)) IN SCHEMA \(table.database.quoted).\(table.schema.quoted)",
      trying: "Looking at the comment of \(table.sql)", grant: Grants.load(table))
    return tables.rows.indices.first { tables[$0, "name"] == table.name.name }.map { tables[$0, "comment"] ?? "" }
  }

  static func collision(_ owner: String, _ namespace: Namespace, _ table: String) -> NebulaError {
    NebulaError(
      .tablesCollide, "The namespaces '\(owner)' and '\(namespace)' both become the table \(table).",
      remedy: "Choose a template that keeps them apart, put it in double quotes so that case counts, or run one "
        + "pipeline for each. If \(table) shall change hands, empty its comment.",
      at: .init(path: "table"), exit: .configuration)
  }
}
