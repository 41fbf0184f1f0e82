internal import NebulaCore

/// Which namespace fills a table of a template, kept where it outlives the program: in the table's comment. So two
/// namespaces that fold to one table are refused also when they come in different runs.
struct TableOwner: Sendable, Hashable {
  let table: TableName
  let namespace: Namespace
  /// The pipeline that merges into the table; nil where rows are appended.
  let pipeline: String?
  private static let mark = "nebula-swift: rows of "
  private static let mergeMark = "nebula-swift: merged by pipeline "

  /// The comment of a table that takes the namespace's rows, of a pipeline that merges them; nil when neither is known.
  static func comment(_ namespace: Namespace?, mergedBy pipeline: String?) -> String? {
    let lines = [
      namespace.map { mark + $0.description }, pipeline.map { mergeMark + $0 },
    ].compactMap(\.self)
    return lines.isEmpty ? nil : lines.joined(separator: "\n")
  }

  /// True for the comment of a table that the pipeline merges into.
  static func isMerged(_ comment: String, by pipeline: String) -> Bool {
    comment.split(separator: "\n").contains { $0 == mergeMark + pipeline }
  }

  /// Throws when the table is another namespace's; one without a comment becomes ours, where that is permitted.
  func claim(_ session: Session) async throws {
    // None where SHOW TABLES does not list it: a view, for one.
    guard let comment = try await table.shown("comment", session) else { return }
    if comment.isEmpty {
      // Only the table's owner may comment it; a table that is not ours to mark stays as it is.
      let mark = Self.comment(namespace, mergedBy: pipeline) ?? ""
      _ = try await session.run("COMMENT ON TABLE \(table.sql) IS \(literal(mark))")
    } else if let other = comment.split(separator: "\n").first(where: { $0.hasPrefix(Self.mark) }),
      other != Self.mark + namespace.description
    {
      throw Self.collision(String(other.dropFirst(Self.mark.count)), namespace, table.sql)
    }
  }

  static func collision(_ owner: String, _ namespace: Namespace, _ table: String) -> NebulaError {
    NebulaError(
      .tablesCollide, "The namespaces '\(owner)' and '\(namespace)' both become the table \(table).",
      remedy: "Choose a template that keeps them apart, put it in double quotes so that case counts, or run one "
        + "pipeline for each. If \(table) shall change hands, empty its comment.",
      at: .init(path: "table"), exit: .configuration)
  }
}

extension TableName {
  /// What SHOW TABLES says of it, "" for NULL; nil when it does not list the table. No warehouse is needed for that.
  func shown(_ column: String, _ session: Session) async throws -> String? {
    // In a pattern '_' stands for any sign, also for a backslash; the exact name is looked for below.
    let pattern = String(name.name.map { $0 == "\\" ? "_" : $0 })
    let tables = try await session.query(
      "SHOW TABLES LIKE \(literal(pattern)) IN SCHEMA \(database.quoted).\(schema.quoted)",
      trying: "Looking at \(sql)", grant: Grants.load(self))
    return tables.rows.indices.first { tables[$0, "name"] == name.name }.map { tables[$0, column] ?? "" }
  }

  func isShown(_ session: Session) async throws -> Bool { try await shown("name", session) != nil }
}
