internal import NebulaCore

/// `COPY INTO` for one group of a table's files.
struct CopyStatement: Sendable, Hashable {
  let text: String
  let files: [StagedFile]
  /// Where all files of the epoch for this table lie: what REMOVE takes.
  let epochLocation: String
  /// The statements that load a table: each names at most `limit` files.
  static func all(
    for table: StagedTable, stage: TableName, options: CopyOptions, limit: Int, takesLast: Bool = false
  ) -> [CopyStatement] {
    let files = table.loadedFiles
    return stride(from: 0, to: files.count, by: limit).map { start in
      CopyStatement(
        table, files: Array(files[start..<min(start + limit, files.count)]), stage: stage, options: options,
        takesLast: takesLast)
    }
  }

  /// `number` names a column beside those of the layout, which takes each row's number in its file. With `takesLast`, of
  /// two members of one name in a parsed text the last counts, as in JSON files; else they are an error.
  init(
    _ table: StagedTable, files: [StagedFile], stage: TableName, options: CopyOptions, number: Identifier? = nil,
    takesLast: Bool = false
  ) {
    self.files = files
    let epoch = (files.first?.name ?? "").split(separator: "-", maxSplits: 2).prefix(2).joined(separator: "-")
    epochLocation = stageLocation(stage, table.folder) + epoch + "-"
    let columns = (table.layout.columns.map(\.name) + [number].compactMap(\.self)).map(\.quoted)
      .joined(separator: ", ")
    let names = files.map { literal($0.name) }.joined(separator: ", ")
    let isByName = number == nil && CopyExpressions.matchesByName(table.layout)
    // With MATCH_BY_COLUMN_NAME a list of columns is refused.
    let list = isByName ? "" : " (\(columns))"
    let source = Self.source(table, stage, isNumbered: number != nil, takesLast: takesLast)
    var parts = ["COPY INTO \(table.copyTarget.sql)\(list) FROM \(source)"]
    parts.append("FILES = (\(names))")
    parts.append("FILE_FORMAT = (\(Self.format(table)))")
    if isByName { parts.append("MATCH_BY_COLUMN_NAME = CASE_SENSITIVE") }
    parts.append("ON_ERROR = \(options.onError.rawValue)")
    text = (parts + options.clauses).joined(separator: " ")
  }

  /// The stage's folder, with a transformation where columns are computed.
  private static func source(
    _ table: StagedTable, _ stage: TableName, isNumbered: Bool, takesLast: Bool
  ) -> String {
    let location = stageLocation(stage, table.folder)
    guard var list = CopyExpressions.list(table.layout, isNumbered: isNumbered, takesLast: takesLast)
    else { return location }
    if isNumbered { list.append("METADATA$FILE_ROW_NUMBER") }
    return "(SELECT \(list.joined(separator: ", ")) FROM \(location))"
  }

  /// CSV as `CSVRows` writes it: NULL is an empty field, an empty text stands in quotes, and a backslash is itself.
  /// In JSON the last of two members with one name wins: a document may have such, and is not refused for it.
  private static func format(_ table: StagedTable) -> String {
    let compression = "COMPRESSION = \(table.compression.rawValue)"
    switch table.layout.format {
    case .csv:
      return
        "TYPE = CSV \(compression) FIELD_DELIMITER = \(literal(table.delimiter)) RECORD_DELIMITER = '\\n' "
        + "FIELD_OPTIONALLY_ENCLOSED_BY = '\"' "
        + "ESCAPE = NONE ESCAPE_UNENCLOSED_FIELD = NONE NULL_IF = () EMPTY_FIELD_AS_NULL = TRUE "
        + "TRIM_SPACE = FALSE ERROR_ON_COLUMN_COUNT_MISMATCH = TRUE ENCODING = 'UTF8'"
    case .json: return "TYPE = JSON \(compression) ALLOW_DUPLICATE = TRUE"
    // What is compressed is inside; texts are texts, and logical types are kept.
    case .parquet: return "TYPE = PARQUET BINARY_AS_TEXT = FALSE USE_LOGICAL_TYPE = TRUE"
    }
  }
}

/// `@"DB"."SCHEMA"."STAGE"/folder/`.
func stageLocation(_ stage: TableName, _ folder: String) -> String {
  "@\(stage.sql)/\(folder)\(folder.isEmpty ? "" : "/")"
}
