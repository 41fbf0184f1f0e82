internal import NebulaCore
internal import NebulaFormats

extension SnowflakeOptions {
  /// What is done with new fields and unfit values; nil when nothing was chosen.
  var schemaRule: SchemaContract? { contract ?? (schemaEvolution ? .evolve : nil) }
  /// True when tables get a column for what does not fit.
  var keepsOverflow: Bool { schemaRule == .evolve || schemaRule == .freeze }

  func checkTables() throws(NebulaError) {
    if schemaEvolution, let contract, contract != .evolve {
      throw contradiction(
        "contract", "schema_evolution is true, but contract is \(contract.rawValue)",
        "Set contract alone: evolve adds columns, freeze and reject do not.")
    }
    if writeMode == .append {
      try refuse("key", !key.isEmpty, "a key belongs to write_mode merge")
      try refuse("delete_mode", deleteMode == .hard, "appended rows are never deleted")
    } else {
      try refuse("current_view", currentView, "with write_mode merge the table itself is the current state")
    }
    if packMode == .unpacked, schemaRule == nil {
      throw contradiction(
        "pack_mode", "pack_mode unpacked needs to know what becomes of new fields",
        "Set contract: evolve, freeze or reject.")
    }
    try checkKey()
    try checkColumns()
    try checkDelimiter()
  }

  private func checkDelimiter() throws(NebulaError) {
    let byte = fieldDelimiter.utf8.first ?? 0
    guard fieldDelimiter.utf8.count == 1, byte == 9 || (32..<127).contains(byte), byte != UInt8(ascii: "\"") else {
      throw contradiction(
        "field_delimiter", "field_delimiter \(shortened(fieldDelimiter)) can't separate fields",
        "Use one printable ASCII character or a tab, but no quote.")
    }
  }

  private func refuse(_ name: String, _ when: Bool, _ reason: String) throws(NebulaError) {
    guard when else { return }
    throw contradiction(name, "\(name) has no meaning here: \(reason)", "Leave it out.")
  }

  private func checkKey() throws(NebulaError) {
    var seen: Set<String> = []
    for name in key {
      let identifier = try Identifier(name, property: "key")
      guard seen.insert(identifier.fold).inserted else {
        throw contradiction("key", "key names \(identifier.quoted) twice", "Name each column once.")
      }
    }
  }

  /// Declared types are checked here as far as they can be, and names that fold to one column are refused.
  private func checkColumns() throws(NebulaError) {
    var owners: [String: String] = [:]
    for (field, type) in columns.sorted(by: { $0.key < $1.key }) {
      let name = Identifier(folding: field)
      if let problem = Identifier.problem(of: name.name) {
        throw contradiction("columns", "columns: the name \(shortened(field)) \(problem)", "Rename it.")
      }
      if let other = owners.updateValue(field, forKey: name.fold) {
        throw contradiction(
          "columns", "columns: \(shortened(other)) and \(shortened(field)) both become \(name.quoted)", "Keep one.")
      }
      guard DeclaredType.isKnown(type) else {
        throw contradiction(
          "columns", "columns: \(shortened(field)) has the type \(shortened(type)), which is not known here",
          "Use VARCHAR(n), NUMBER(p,s), FLOAT, BOOLEAN, DATE, TIME, TIMESTAMP_NTZ, TIMESTAMP_LTZ, TIMESTAMP_TZ, BINARY, "
            + "VARIANT, OBJECT or ARRAY.")
      }
    }
  }
}

/// Types as they may be declared. They go into statements, so nothing else is let through.
enum DeclaredType {
  private static let plain: Set<String> = [
    "VARCHAR", "NUMBER", "FLOAT", "BOOLEAN", "DATE", "TIME", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ", "BINARY",
    "VARIANT", "OBJECT", "ARRAY",
  ]
  private static let mostNumbers = ["VARCHAR": 1, "NUMBER": 2, "BINARY": 1, "TIME": 1, "TIMESTAMP_NTZ": 1]

  static func isKnown(_ type: String) -> Bool {
    let parts = type.uppercased().split(separator: "(", maxSplits: 1)
    guard let first = parts.first, plain.contains(String(first)) else { return false }
    guard parts.count == 2 else { return !type.contains("(") }
    guard parts[1].hasSuffix(")"), let most = mostNumbers[String(first)] else { return false }
    let numbers = parts[1].dropLast().split(separator: ",", omittingEmptySubsequences: false).map {
      UInt32($0.drop { $0 == " " })
    }
    return numbers.count <= most && numbers.allSatisfy { $0 != nil }
  }

  /// As DESCRIBE TABLE says it: capitals, without blanks, NUMBER with its digits.
  static func canonical(_ type: String) -> String {
    let text = String(type.uppercased().filter { $0 != " " })
    if text == "NUMBER" { return "NUMBER(38,0)" }
    guard text.hasPrefix("NUMBER("), !text.contains(",") else { return text }
    return text.dropLast() + ",0)"
  }
}

extension SnowflakeOptions {
  /// How staged CSV is written.
  var stagedDialect: CSVDialect { CSVDialect(delimiter: fieldDelimiter.utf8.first ?? UInt8(ascii: ",")) }
}
