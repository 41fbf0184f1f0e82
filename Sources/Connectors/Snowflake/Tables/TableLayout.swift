internal import NebulaCore

/// What a table takes, and in which form its rows are staged.
struct TableLayout: Sendable, Hashable {
  /// What the rows are made of.
  enum Rows: Sendable, Hashable {
    /// Changes in the landing table's columns.
    case documents
    /// Changes: the document or its fields, and the columns of `ChangeTable`.
    case changes
    /// Plain records, a column a field.
    case records
  }
  var rows: Rows
  /// `TYPE` in `FILE_FORMAT`.
  var format: FileFormat
  /// The columns, in the order of the statement.
  var columns: [LoadColumn]
  /// Nil: rows are appended.
  var merge: MergeRule?

  init(_ rows: Rows, _ format: FileFormat, _ columns: [LoadColumn], merge: MergeRule? = nil) {
    self.rows = rows
    self.format = format
    self.columns = columns
    self.merge = merge
  }

  /// Change documents, in the landing table's columns; staged as JSON lines.
  static let documents = TableLayout(.documents, .json, Landing.columns)
  /// Plain records, staged as CSV rows.
  static func csv(_ columns: [LoadColumn]) -> TableLayout { TableLayout(.records, .csv, columns) }
  /// Plain records, staged as JSON lines.
  static func json(_ columns: [LoadColumn]) -> TableLayout { TableLayout(.records, .json, columns) }

  /// Whether the encoder has to look at sizes that otherwise COPY looks at: a Parquet column has no room for more digits,
  /// and a merge would fail behind COPY, which only fills the landing table's columns, without sizes.
  var checksSizes: Bool { format == .parquet || merge != nil }
  /// True when there is a column for what has none, or does not fit.
  var hasOverflow: Bool { columns.contains { $0.origin == .overflow } }
  /// The columns that come from fields of the record.
  var fields: [LoadColumn] { columns.filter { $0.origin == .field } }
}

/// How rows come together with those of the same key that are there.
struct MergeRule: Sendable, Hashable {
  /// The columns that tell rows apart.
  var keys: [Identifier]
  /// Where an epoch's rows are copied first. Empty outside of transactions.
  var landing: TableName
  /// What a deleted key becomes; nil for records that are never deleted.
  var deletes: DeleteMode?
}

/// The table for change documents. A row is one change; SEQUENCE alone orders the changes of a key.
enum Landing {
  static let columns = [
    LoadColumn("DOCUMENT", "VARIANT", .document), LoadColumn("DOCUMENT_BEFORE", "VARIANT", .before),
    LoadColumn("UPDATE_DESCRIPTION", "VARIANT", .update), LoadColumn("DOCUMENT_KEY", "VARIANT", .key),
    LoadColumn("OPERATION", "VARCHAR", .operation), LoadColumn("NAMESPACE", "VARCHAR", .namespace),
    LoadColumn("EVENT_TIME", "TIMESTAMP_NTZ", .eventTime), LoadColumn("SEQUENCE", "VARCHAR", .sequence),
    LoadColumn("EVENT_ID", "VARCHAR", .id), LoadColumn("FILE", "VARCHAR", .file),
    LoadColumn("FILE_ROW", "NUMBER(38,0)", .fileRow),
  ]
}

extension TableLayout {
  /// How the first key column's values are compared, for the bounds of a merge.
  var boundKind: KeyedRows.BoundKind {
    guard let first = merge?.keys.first, let column = columns.first(where: { $0.name == first }) else { return .none }
    return KeyedRows.BoundKind(column.type)
  }
}
