internal import NebulaCore

/// A statement's result: rows of texts, looked up by column name.
struct QueryResult: Sendable, Hashable {
  var columns: [String]
  var rows: [[String?]]
  var queryID: String

  init(columns: [String], rows: [[String?]], queryID: String = "") {
    self.columns = columns.map { $0.lowercased() }
    self.rows = rows
    self.queryID = queryID
  }

  /// The cell of a row, by its column's name in any case; nil for NULL and for what is not there.
  subscript(row: Int, column: String) -> String? {
    guard rows.indices.contains(row), let index = columns.firstIndex(of: column.lowercased()),
      rows[row].indices.contains(index)
    else { return nil }
    return rows[row][index]
  }

  /// What INSERT, UPDATE, DELETE and MERGE say: the rows changed (an UPDATE's second column counts joins, not rows).
  var rowsChanged: UInt64? { rows.first?.first.flatMap { $0 }.flatMap { UInt64($0) } }
}
