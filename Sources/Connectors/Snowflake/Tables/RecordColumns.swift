internal import NebulaCore

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
