internal import NebulaCore

/// `COPY INTO` for one group of a table's files.
struct CopyStatement: Sendable, Hashable {
  let text: String
  let files: [StagedFile]
  /// Where all files of the epoch for this table lie: what REMOVE takes.
  let epochLocation: String

  /// The statements that load a table: each names at most `limit` files.
  static func all(for table: StagedTable, stage: TableName, options: CopyOptions, limit: Int) -> [CopyStatement] {
    stride(from: 0, to: table.files.count, by: limit).map { start in
      CopyStatement(
        table, files: Array(table.files[start..<min(start + limit, table.files.count)]), stage: stage,
        options: options)
    }
  }

  init(_ table: StagedTable, files: [StagedFile], stage: TableName, options: CopyOptions) {
    self.files = files
    let epoch = (files.first?.name ?? "").split(separator: "-", maxSplits: 2).prefix(2).joined(separator: "-")
    epochLocation = stageLocation(stage, table.folder) + epoch + "-"
    let columns = table.layout.columns.map(\.name.quoted).joined(separator: ", ")
    let names = files.map { literal($0.name) }.joined(separator: ", ")
    var parts = ["COPY INTO \(table.table.sql) (\(columns)) FROM \(Self.source(table, stage))"]
    parts.append("FILES = (\(names))")
    parts.append("FILE_FORMAT = (\(Self.format(table)))")
    parts.append("ON_ERROR = ABORT_STATEMENT")
    text = (parts + options.clauses).joined(separator: " ")
  }

  /// The stage's folder, with a transformation where columns are computed.
  private static func source(_ table: StagedTable, _ stage: TableName) -> String {
    let location = stageLocation(stage, table.folder)
    switch table.layout {
    case .documents:
      return "(SELECT \(Landing.definition.map(\.expression).joined(separator: ", ")) FROM \(location))"
    case .json(let columns):
      let list = columns.map { column in
        let path = "$1:\(column.name.quoted)"
        return column.isSemiStructured ? path : "\(path)::\(castType(column.type))"
      }
      return "(SELECT \(list.joined(separator: ", ")) FROM \(location))"
    case .csv(let columns):
      guard columns.contains(where: \.isSemiStructured) else { return location }
      let list = columns.enumerated().map { index, column in
        column.isSemiStructured ? "PARSE_JSON($\(index + 1))" : "$\(index + 1)"
      }
      return "(SELECT \(list.joined(separator: ", ")) FROM \(location))"
    }
  }

  /// The type to cast a member to: without length or number of digits, which the column itself enforces. A cast to
  /// `VARCHAR(10)` could cut a text in silence, and the statement must fit after the column was widened.
  private static func castType(_ type: String) -> String {
    if type.hasPrefix("VARCHAR") { return "VARCHAR" }
    guard type.hasPrefix("NUMBER("), let comma = type.firstIndex(of: ",") else { return type }
    return "NUMBER(38\(type[comma...])"
  }

  /// CSV as `CSVRows` writes it: NULL is an empty field, an empty text stands in quotes, and a backslash is itself.
  /// In JSON the last of two members with one name wins: a document may have such, and is not refused for it.
  private static func format(_ table: StagedTable) -> String {
    let compression = "COMPRESSION = \(table.compression.rawValue)"
    switch table.layout.format {
    case .csv:
      return
        "TYPE = CSV \(compression) FIELD_DELIMITER = ',' RECORD_DELIMITER = '\\n' FIELD_OPTIONALLY_ENCLOSED_BY = '\"' "
        + "ESCAPE = NONE ESCAPE_UNENCLOSED_FIELD = NONE NULL_IF = () EMPTY_FIELD_AS_NULL = TRUE "
        + "TRIM_SPACE = FALSE ERROR_ON_COLUMN_COUNT_MISMATCH = TRUE ENCODING = 'UTF8'"
    case .json, .parquet:
      return "TYPE = JSON \(compression) ALLOW_DUPLICATE = TRUE"
    }
  }
}

/// `@"DB"."SCHEMA"."STAGE"/folder/`.
func stageLocation(_ stage: TableName, _ folder: String) -> String {
  "@\(stage.sql)/\(folder)\(folder.isEmpty ? "" : "/")"
}
