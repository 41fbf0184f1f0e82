internal import NebulaCore
internal import NebulaFormats

/// Which column takes a field of plain records, and which values that column can take. One owner at a time.
final class FieldColumns: ColumnRules {
  let columns: [LoadColumn]
  let checks: [ColumnCheck]
  private let slotsByName: [String: Int]
  /// The field that was met for a column; nil until one is.
  private var fields: [String?]
  private var slotsByField: [String: Int]

  init(_ columns: [LoadColumn]) {
    self.columns = columns
    checks = columns.map { $0.isSemiStructured ? .anything : ColumnCheck(type: $0.type) }
    slotsByName = Dictionary(columns.enumerated().map { ($1.name.name, $0) }, uniquingKeysWith: { first, _ in first })
    fields = columns.map { $0.field.isEmpty ? nil : $0.field }
    slotsByField = Dictionary(columns.enumerated().map { ($1.field, $0) }, uniquingKeysWith: { first, _ in first })
    slotsByField[""] = nil
  }

  /// Throws when there is none, or another field has it.
  func column(of field: String) throws(NebulaError) -> Int? {
    if let slot = slotsByField[field] { return slot }
    guard let slot = slotsByName[Identifier(folding: field).name] else { throw Self.unknown(field) }
    if let other = fields[slot] {
      throw NebulaError(
        .columnsCollide,
        "The fields \(shortened(other)) and \(shortened(field)) both become \(columns[slot].name.quoted).",
        remedy: "Rename one of them at the source.")
    }
    fields[slot] = field
    slotsByField[field] = slot
    return slot
  }

  func check(_ text: UnsafeRawBufferPointer, for slot: Int) throws(NebulaError) {
    guard !checks[slot].takes(text) else { return }
    throw RowEncoding.unreadable(
      "The column \(shortened(columns[slot].name.name)) is \(columns[slot].type), which can't take "
        + shortened(String(decoding: text.prefix(200), as: UTF8.self)))
  }

  private static func unknown(_ name: String) -> NebulaError {
    NebulaError(
      .unknownColumn, "A record has the field \(shortened(name)), for which the table has no column.",
      remedy:
        "Add it: ALTER TABLE … ADD COLUMN \(Identifier(folding: name).quoted) VARIANT; then run again. Nothing is "
        + "lost. (schema_evolution will do this.)")
  }
}
