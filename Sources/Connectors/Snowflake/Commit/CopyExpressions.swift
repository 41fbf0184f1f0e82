internal import NebulaCore

/// The expressions by which COPY fills a table's columns from staged rows.
enum CopyExpressions {
  /// Nil when the file's columns are the table's, so that nothing has to be computed; not so when rows are numbered.
  /// Of two members of one name in a parsed text, the last counts when `takesLast`; else they are an error.
  static func list(_ layout: TableLayout, isNumbered: Bool = false, takesLast: Bool = false) -> [String]? {
    func parsed(_ text: String) -> String { "PARSE_JSON(\(text)\(takesLast ? ", 'd'" : ""))" }
    switch layout.format {
    case .json: return layout.columns.map { json($0, layout.rows) }
    case .csv:
      guard isNumbered || layout.columns.contains(where: \.isSemiStructured) else { return nil }
      return layout.columns.enumerated().map { $1.isSemiStructured ? parsed("$\($0 + 1)") : "$\($0 + 1)" }
    case .parquet:
      guard !matchesByName(layout) || isNumbered else { return nil }
      return layout.columns.map { column in
        if let metadata = metadata(column) { return metadata }
        let path = "$1:\(column.name.quoted)"
        return column.isSemiStructured ? parsed("\(path)::VARCHAR") : "\(path)::\(column.plainType)"
      }
    }
  }

  /// Parquet of typed columns only is matched by the names in the file.
  static func matchesByName(_ layout: TableLayout) -> Bool {
    layout.format == .parquet
      && layout.columns.allSatisfy { !$0.isSemiStructured && $0.origin != .file && $0.origin != .fileRow }
  }

  private static func json(_ column: LoadColumn, _ rows: TableLayout.Rows) -> String {
    if let metadata = metadata(column) { return metadata }
    let path =
      switch (rows, column.origin) {
      case (.records, _): "$1:\(column.name.quoted)"
      case (_, .field): "$1:fields:\(column.name.quoted)"
      case (_, let origin): "$1:\(origin.rawValue)"
      }
    return column.isSemiStructured ? path : "\(path)::\(column.plainType)"
  }

  private static func metadata(_ column: LoadColumn) -> String? {
    switch column.origin {
    case .file: "METADATA$FILENAME"
    case .fileRow: "METADATA$FILE_ROW_NUMBER"
    default: nil
    }
  }
}
