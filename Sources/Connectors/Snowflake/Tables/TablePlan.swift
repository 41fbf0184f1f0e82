internal import NebulaCore

/// One column that a load fills.
struct LoadColumn: Sendable, Hashable {
  /// Its name in the table.
  var name: Identifier
  /// Its type, as `CREATE TABLE` takes it.
  var type: String
  /// The field of the record that it comes from, as the source calls it.
  var field: String
  /// True for VARIANT, OBJECT and ARRAY: such a column takes JSON text, and keeps each value's type.
  var isSemiStructured: Bool { ["VARIANT", "OBJECT", "ARRAY"].contains { type.hasPrefix($0) } }
}

/// What a table takes, and in which form its rows are staged.
enum TableLayout: Sendable, Hashable {
  /// Change documents, in the landing table's columns; staged as JSON lines.
  case documents
  /// Plain records, a column a field; staged as CSV rows.
  case csv([LoadColumn])
  /// Plain records, a column a field; staged as JSON lines.
  case json([LoadColumn])

  /// The columns, in the order of the statement.
  var columns: [LoadColumn] {
    switch self {
    case .documents: Landing.columns
    case .csv(let columns), .json(let columns): columns
    }
  }
  /// `TYPE` in `FILE_FORMAT`.
  var format: FileFormat {
    switch self {
    case .documents, .json: .json
    case .csv: .csv
    }
  }
}

/// The table for change documents. A row is one change; SEQUENCE alone orders the changes of a key.
enum Landing {
  /// One column: its type, and the expression that fills it from a staged line.
  struct Column: Sendable {
    let name: String
    let type: String
    let expression: String
  }
  static let definition: [Column] = [
    Column(name: "DOCUMENT", type: "VARIANT", expression: "$1:document"),
    Column(name: "DOCUMENT_BEFORE", type: "VARIANT", expression: "$1:before"),
    Column(name: "UPDATE_DESCRIPTION", type: "VARIANT", expression: "$1:update"),
    Column(name: "DOCUMENT_KEY", type: "VARIANT", expression: "$1:key"),
    Column(name: "OPERATION", type: "VARCHAR", expression: "$1:op::VARCHAR"),
    Column(name: "NAMESPACE", type: "VARCHAR", expression: "$1:ns::VARCHAR"),
    Column(name: "EVENT_TIME", type: "TIMESTAMP_NTZ", expression: "$1:time::TIMESTAMP_NTZ"),
    Column(name: "SEQUENCE", type: "VARCHAR", expression: "$1:seq::VARCHAR"),
    Column(name: "EVENT_ID", type: "VARCHAR", expression: "$1:id::VARCHAR"),
    Column(name: "FILE", type: "VARCHAR", expression: "METADATA$FILENAME"),
    Column(name: "FILE_ROW", type: "NUMBER(38,0)", expression: "METADATA$FILE_ROW_NUMBER"),
  ]
  static let columns = definition.map { LoadColumn(name: Identifier(exactly: $0.name), type: $0.type, field: "") }
}

/// The columns of plain records.
enum RecordColumns {
  /// For CSV: those of the schema, with the types declared there.
  static func make(_ schema: RecordSchema) throws(NebulaError) -> [LoadColumn] {
    try make(fields: schema.columns.map { ($0.name, type(of: $0.type)) })
  }

  /// For JSON objects: VARIANT for each field, so that every value keeps its type.
  static func make(keys: [String]) throws(NebulaError) -> [LoadColumn] {
    try make(fields: keys.map { ($0, "VARIANT") })
  }

  /// Numbers that are no integers go to VARIANT, which keeps decimals exactly where FLOAT would not.
  static func type(of type: RecordSchema.ColumnType) -> String {
    switch type {
    case .text: "VARCHAR"
    case .integer: "NUMBER(38,0)"
    case .number, .json: "VARIANT"
    case .boolean: "BOOLEAN"
    case .date: "DATE"
    case .timestamp: "TIMESTAMP_NTZ"
    }
  }

  private static func make(fields: [(String, String)]) throws(NebulaError) -> [LoadColumn] {
    var owners: [String: String] = [:]
    var columns: [LoadColumn] = []
    columns.reserveCapacity(fields.count)
    for (field, type) in fields {
      let name = Identifier(folding: field)
      if let problem = Identifier.problem(of: name.name) {
        throw NebulaError(
          .columnsCollide, "The column name \(shortened(field)) \(problem).", remedy: "Rename it at the source.")
      }
      if let other = owners.updateValue(field, forKey: name.fold) {
        throw NebulaError(
          .columnsCollide, "The columns \(shortened(other)) and \(shortened(field)) both become \(name.fold).",
          remedy: "Rename one of them at the source.")
      }
      columns.append(LoadColumn(name: name, type: type, field: field))
    }
    guard !columns.isEmpty else {
      throw NebulaError(.columnsCollide, "The records have no columns.", remedy: "Check the source's first record.")
    }
    return columns
  }
}
