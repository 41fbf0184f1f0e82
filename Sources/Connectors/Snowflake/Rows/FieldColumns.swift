internal import NebulaCore
internal import NebulaFormats

/// Which column takes a field, and which values that column can take. One owner at a time.
final class FieldColumns: ColumnRules {
  let columns: [LoadColumn]
  let checks: [ColumnCheck]
  let contract: SchemaContract?
  /// Names of columns that the program itself fills.
  private let reserved: Set<String>
  private let slotsByName: [String: Int]
  /// The field that was met for a column; nil until one is.
  private var fields: [String?]
  /// By the field's bytes; what was found to have no column is there with the number behind the last.
  private let slots: NameTable
  private var homeless: [String: String] = [:]

  /// `columns` are those of fields only.
  init(
    _ columns: [LoadColumn], contract: SchemaContract? = nil, reserved: Set<String> = [], isStrict: Bool = false
  ) {
    self.columns = columns
    self.reserved = reserved
    self.contract = contract
    checks = columns.map {
      $0.isSemiStructured ? .anything : ColumnCheck(type: $0.type, isStrict: isStrict || contract != nil)
    }
    slotsByName = Dictionary(columns.enumerated().map { ($1.name.name, $0) }, uniquingKeysWith: { first, _ in first })
    fields = columns.map { $0.field.isEmpty ? nil : $0.field }
    slots = NameTable(fields + [nil])
  }

  /// The column of a field by its name's bytes; nil for one that goes to `_OVERFLOW`. Throws as the contract asks.
  func column(of name: UnsafeRawBufferPointer) throws(NebulaError) -> Int? {
    let slot = slots.column(of: name)
    if slot >= 0 { return slot < columns.count ? slot : nil }
    return try column(of: String(decoding: name, as: UTF8.self))
  }

  /// The same by its name.
  func column(of field: String) throws(NebulaError) -> Int? {
    if let problem = Self.problem(of: field, reserved) { return try homeless(field, problem) }
    guard let slot = slotsByName[Identifier(folding: field).name] else {
      // A table that can't grow any more is as good as frozen.
      guard contract == .freeze || (contract == .evolve && columns.count >= LayoutPlanner.mostColumns - 16) else {
        throw unknown(field)
      }
      return try homeless(field, "the table has no column for it")
    }
    if let other = fields[slot], other != field {
      return try homeless(field, "its column \(columns[slot].name.quoted) is that of \(shortened(other))")
    }
    fields[slot] = field
    slots.add(field, slot)
    return slot
  }

  /// Why a field has no column.
  func reason(_ field: String) -> String { homeless[field] ?? "the table has no column for it" }

  private func homeless(_ field: String, _ reason: String) throws(NebulaError) -> Int? {
    guard contract == .evolve || contract == .freeze else {
      throw NebulaError(
        .columnsCollide, "A record has the field \(shortened(field)): \(reason).", remedy: "Rename it at the source.",
        disposition: contract == .reject ? .reject : .stop)
    }
    // A record may be made of thousands of names that never come again: they are not all remembered.
    if homeless.count < 10_000 {
      homeless[field] = reason
      slots.add(field, columns.count)
    }
    return nil
  }

  /// Why no column can have that name, whatever the contract.
  static func problem(of field: String, _ reserved: Set<String>) -> String? {
    let name = Identifier(folding: field).name
    if let problem = Identifier.problem(of: name) { return "the name \(problem)" }
    return reserved.contains(name) ? "the column \(name) is the program's own" : nil
  }

  /// Throws when the column can't take the text.
  func check(_ text: UnsafeRawBufferPointer, for slot: Int) throws(NebulaError) {
    guard !checks[slot].takes(text) else { return }
    throw unfit(text, for: slot)
  }

  /// The error of a value that the column can't take.
  func unfit(_ text: UnsafeRawBufferPointer, for slot: Int) -> NebulaError {
    RowEncoding.unreadable(
      "The column \(shortened(columns[slot].name.name)) is \(columns[slot].type), which can't take "
        + shortened(String(decoding: text.prefix(200), as: UTF8.self))
        + (isCutByOffset(text, slot) ? ": its offset from UTC would be lost, which TIMESTAMP_TZ keeps" : ""))
  }
  private func isCutByOffset(_ text: UnsafeRawBufferPointer, _ slot: Int) -> Bool {
    guard case .timestamp(_, keepsOffset: false) = checks[slot] else { return false }
    return MomentText(text)?.hasOffset ?? false
  }

  /// What `_OVERFLOW` says of a value.
  func misfit(_ slot: Int) -> String { "it does not fit \(columns[slot].type)" }

  private func unknown(_ name: String) -> NebulaError {
    NebulaError(
      .unknownColumn, "A record has the field \(shortened(name)), for which the table has no column.",
      remedy:
        "Add it: ALTER TABLE … ADD COLUMN \(Identifier(folding: name).quoted) VARIANT; or set schema_evolution: true, "
        + "or a contract; then run again. Nothing is lost.",
      disposition: contract == .reject ? .reject : .stop)
  }
}
