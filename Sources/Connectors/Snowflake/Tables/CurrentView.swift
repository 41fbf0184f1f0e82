internal import NebulaCore
internal import NebulaHTTP

/// `TABLE_CURRENT`: the last change of each key of a table of changes, as long as that was no delete.
struct CurrentView: Sendable, Hashable {
  let name: TableName
  /// Tells our views from others, and those of other columns.
  let comment: String
  private let query: String
  static let mark = "nebula-swift: the current state of each key of "

  init(_ lane: LaneKey) {
    let table = lane.table
    name = TableName(
      database: table.database, schema: table.schema, name: Identifier(exactly: table.name.name + "_CURRENT"))
    func column(_ origin: LoadColumn.Origin) -> String {
      lane.layout.columns.first { $0.origin == origin }?.name.quoted ?? "NULL"
    }
    let isPacked = lane.layout.rows == .documents
    // Of a sharded collection's key `_id` alone counts: a copied row knows no other part of it.
    let key =
      isPacked ? "COALESCE(TO_JSON(\(column(.key)):\"_id\"), TO_JSON(\(column(.key))))" : column(.mergeKey)
    let shown = lane.layout.columns.filter {
      [.field, .document, .key, .mergeKey, .namespace, .eventTime, .sequence].contains($0.origin)
    }
    // A change without a key is one of a whole collection. An update whose document was gone when it was looked up says
    // nothing of the state; the delete behind it does.
    let identity = lane.layout.fields.first { $0.name.name == "_ID" }?.name.quoted
    let hasDocument = isPacked ? "\(column(.document)) IS NOT NULL" : identity.map { "\($0) IS NOT NULL" } ?? "TRUE"
    let list = shown.map(\.name.quoted).joined(separator: ", ")
    comment = "\(Self.mark)\(table.name.name) (columns \(hexText(Crypto.sha256(list)).prefix(8)))"
    let (space, order) = (column(.namespace), column(.sequence))
    query =
      "SELECT \(list) FROM (SELECT c.*, d.\"_DROPPED\" FROM \(table.sql) AS c LEFT JOIN (SELECT \(space) AS \"_SPACE\", "
      + "MAX(\(order)) AS \"_DROPPED\" FROM \(table.sql) WHERE \(column(.operation)) = 'drop' GROUP BY \(space)) AS d "
      + "ON c.\(space) = d.\"_SPACE\" WHERE \(key) IS NOT NULL AND (\(column(.operation)) = 'delete' OR \(hasDocument)) "
      + "QUALIFY ROW_NUMBER() OVER (PARTITION BY c.\(space), \(key) ORDER BY c.\(order) DESC) = 1) "
      + "WHERE \(column(.operation)) <> 'delete' AND (\"_DROPPED\" IS NULL OR \(order) > \"_DROPPED\")"
  }

  var look: String {
    "SHOW VIEWS LIKE \(literal(String(name.name.name.map { $0 == "\\" ? "_" : $0 }))) IN SCHEMA "
      + "\(name.database.quoted).\(name.schema.quoted)"
  }

  /// What makes the view what it should be; nil when it is. `found` is the comment of a view of that name.
  func statement(found: String?) throws(NebulaError) -> String? {
    guard let found else { return "CREATE VIEW IF NOT EXISTS \(name.sql) COMMENT = \(literal(comment)) AS \(query)" }
    guard found != comment else { return nil }
    guard found.hasPrefix(Self.mark) else {
      throw NebulaError(
        .tableMismatch, "There is a view \(name.sql) that this program did not make.",
        remedy: "Rename it, or set current_view: false.", at: .init(path: name.sql))
    }
    return "CREATE OR REPLACE VIEW \(name.sql) COPY GRANTS COMMENT = \(literal(comment)) AS \(query)"
  }
}
