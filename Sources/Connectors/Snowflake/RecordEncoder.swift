internal import NebulaCore
internal import NebulaFormats

/// Writes plain records (CSV rows, flat JSON objects) as rows of CSV or lines of JSON, a column a field.
///
/// In CSV an empty field is NULL and `""` an empty text. A column for text takes a JSON string as it reads and anything
/// else as its JSON text; a VARIANT column takes JSON text always, so that each value keeps its type. A value that the
/// column's type can't take is a rejected record.
final class RecordEncoder: RowEncoder {
  let rows = OutputBuffer(capacity: 320 << 10)
  private let columns: [LoadColumn]
  private let checks: [ColumnCheck]
  /// The columns whose type does not take everything.
  private let checked: [Int]
  private let target: FileFormat
  private let limit: Int
  private let slotsByName: [String: Int]
  /// The field that was met for a column; nil until one is.
  private var fields: [String?]
  private var slotsByField: [String: Int] = [:]
  private var names: [[UInt8]]
  private let jsonNames: [[UInt8]]
  private var members: [JSONObjectReader.Member?]
  private let scratch = OutputBuffer(capacity: 1024)
  private let output = CSVDialect()

  init(_ columns: [LoadColumn], as target: FileFormat, limit: Int) {
    self.columns = columns
    checks = columns.map { ColumnCheck(type: $0.type) }
    checked = checks.indices.filter { [checks] in checks[$0] != .anything }
    self.target = target
    self.limit = limit
    slotsByName = Dictionary(columns.enumerated().map { ($1.name.name, $0) }, uniquingKeysWith: { first, _ in first })
    names = columns.map { Array($0.field.utf8) }
    fields = columns.map { $0.field.isEmpty ? nil : $0.field }
    jsonNames = columns.map {
      let name = OutputBuffer(capacity: 64)
      JSONText.appendString($0.name.name, to: name)
      name.append(":")
      return name.array
    }
    members = Array(repeating: nil, count: columns.count)
  }

  func start(_ batch: RecordBatch) throws(NebulaError) {
    guard batch.changes == nil, batch.format != .bson, batch.format != .csv || batch.schema != nil else {
      throw NebulaError(
        .formatMismatch, "Changes and plain records can't go to the same table.",
        remedy: "Give each its own table: {collection} in table does it.")
    }
  }

  func append(_ index: Int, of batch: RecordBatch, _ bytes: UnsafeRawBufferPointer) throws(NebulaError) {
    let start = rows.count
    let record = batch.records[index].slice(of: bytes)
    do {
      if batch.format == .csv, let schema = batch.schema {
        try csvRecord(record, CSVDialect(schema))
      } else {
        try jsonRecord(record)
      }
    } catch {
      rows.truncate(to: start)
      throw error
    }
    let length = rows.count - start - 1
    guard length <= limit else {
      rows.truncate(to: start)
      throw RowEncoding.tooLarge(length, limit)
    }
  }

  // MARK: from CSV

  private func csvRecord(_ row: UnsafeRawBufferPointer, _ dialect: CSVDialect) throws(NebulaError) {
    guard UTF8Text.isValid(row) else { throw Self.unreadable("The row is not UTF-8") }
    var fields = CSVFields(row, dialect: dialect)
    var slot = 0
    if target == .json { rows.append("{") }
    while let field = fields.next() {
      guard slot < columns.count else { throw Self.unreadable("The row has more than \(columns.count) fields") }
      try csvField(field, row, dialect, slot)
      slot += 1
    }
    if let problem = fields.problem { throw problem.error() }
    guard slot == columns.count else { throw Self.unreadable("The row has \(slot) fields instead of \(columns.count)") }
    target == .json ? rows.append("}\n") : rows.append("\n")
  }

  private func csvField(
    _ field: CSVField, _ row: UnsafeRawBufferPointer, _ dialect: CSVDialect, _ slot: Int
  ) throws(NebulaError) {
    let raw = UnsafeRawBufferPointer(rebasing: row[field.range])
    separator(slot)
    guard field.isQuoted || !raw.isEmpty else {
      if target == .json { rows.append("null") }
      return
    }
    guard field.needsUnquoting else { return try text(raw, slot) }
    scratch.removeAll(keepingCapacity: true)
    CSVText.unquote(raw, dialect: dialect, into: scratch)
    try scratch.withBytes { (content) throws(NebulaError) in try text(content, slot) }
  }

  /// A field's content, which is not null.
  private func text(_ content: UnsafeRawBufferPointer, _ slot: Int) throws(NebulaError) {
    if columns[slot].isSemiStructured {
      if let problem = JSONText.validate(content) {
        throw Self.unreadable(
          "The column \(shortened(columns[slot].name.name)) is declared as JSON or number: \(problem.reason)")
      }
      target == .json ? rows.append(oneLine: content) : CSVText.appendField(content, dialect: output, to: rows)
      return
    }
    try check(content, slot)
    if target == .json {
      JSONText.appendString(content, to: rows)
    } else {
      CSVText.appendField(content, dialect: output, to: rows, alwaysQuote: content.isEmpty)
    }
  }

  /// Throws when the column can't take the text.
  private func check(_ content: UnsafeRawBufferPointer, _ slot: Int) throws(NebulaError) {
    guard !checks[slot].takes(content) else { return }
    throw Self.unreadable(
      "The column \(shortened(columns[slot].name.name)) is \(columns[slot].type), which can't take "
        + shortened(String(decoding: content.prefix(200), as: UTF8.self)))
  }

  private func separator(_ slot: Int) {
    if slot > 0 { rows.append(",") }
    if target == .json { rows.append(jsonNames[slot]) }
  }

  // MARK: from JSON

  private func jsonRecord(_ object: UnsafeRawBufferPointer) throws(NebulaError) {
    guard var reader = JSONObjectReader(object) else { throw Self.unreadable("The record is no JSON object") }
    for slot in members.indices { members[slot] = nil }
    var guess = 0
    while let member = reader.next() {
      let slot = try self.slot(of: member, object, guess)
      members[slot] = member
      guess = slot + 1
    }
    for slot in checked { if let member = members[slot] { try check(member, object, slot) } }
    if target == .json { return jsonLine(object) }
    for slot in members.indices {
      if slot > 0 { rows.append(",") }
      if let member = members[slot] { field(member, object, slot) }
    }
    rows.append("\n")
  }

  private func check(
    _ member: JSONObjectReader.Member, _ object: UnsafeRawBufferPointer, _ slot: Int
  ) throws(NebulaError) {
    let value = UnsafeRawBufferPointer(rebasing: object[member.value])
    if member.kind == .null { return }
    guard member.kind == .string else { return try check(value, slot) }
    let inside = UnsafeRawBufferPointer(rebasing: value.dropFirst().dropLast())
    guard inside.contains(UInt8(ascii: "\\")) else { return try check(inside, slot) }
    scratch.removeAll(keepingCapacity: true)
    JSONObjectReader.unescape(inside, into: scratch)
    try scratch.withBytes { (text) throws(NebulaError) in try check(text, slot) }
  }

  /// Members under their columns' names; those that are null are left out, so that they become NULL.
  private func jsonLine(_ object: UnsafeRawBufferPointer) {
    rows.append("{")
    var first = true
    for slot in members.indices {
      guard let member = members[slot], member.kind != .null else { continue }
      if !first { rows.append(",") }
      first = false
      rows.append(jsonNames[slot])
      rows.append(oneLine: UnsafeRawBufferPointer(rebasing: object[member.value]))
    }
    rows.append("}\n")
  }

  /// Members mostly come in the order of the columns: the one behind the last is tried first.
  private func slot(
    of member: JSONObjectReader.Member, _ object: UnsafeRawBufferPointer, _ guess: Int
  ) throws(NebulaError) -> Int {
    let key = UnsafeRawBufferPointer(rebasing: object[member.key])
    if !member.keyIsEscaped, guess < names.count, names[guess].elementsEqual(key) { return guess }
    let name = member.keyIsEscaped ? JSONObjectReader.unescape(key) : String(decoding: key, as: UTF8.self)
    if let slot = slotsByField[name] { return slot }
    guard let slot = slotsByName[Identifier(folding: name).name] else { throw Self.unknown(name) }
    if let other = fields[slot], other != name {
      throw NebulaError(
        .columnsCollide,
        "The fields \(shortened(other)) and \(shortened(name)) both become \(columns[slot].name.quoted).",
        remedy: "Rename one of them at the source.")
    }
    fields[slot] = name
    names[slot] = Array(name.utf8)
    slotsByField[name] = slot
    return slot
  }

  private func field(_ member: JSONObjectReader.Member, _ object: UnsafeRawBufferPointer, _ slot: Int) {
    let value = UnsafeRawBufferPointer(rebasing: object[member.value])
    guard member.kind != .null else { return }
    guard member.kind == .string, !columns[slot].isSemiStructured else {
      return CSVText.appendField(value, dialect: output, to: rows)
    }
    let inside = UnsafeRawBufferPointer(rebasing: value.dropFirst().dropLast())
    guard inside.contains(UInt8(ascii: "\\")) else {
      return CSVText.appendField(inside, dialect: output, to: rows, alwaysQuote: inside.isEmpty)
    }
    scratch.removeAll(keepingCapacity: true)
    JSONObjectReader.unescape(inside, into: scratch)
    scratch.withBytes { CSVText.appendField($0, dialect: output, to: rows, alwaysQuote: $0.isEmpty) }
  }

  private static func unreadable(_ problem: String) -> NebulaError {
    NebulaError(.unreadableRecord, "\(problem).", remedy: "Correct the record at its origin.", disposition: .reject)
  }

  private static func unknown(_ name: String) -> NebulaError {
    NebulaError(
      .unknownColumn, "A record has the field \(shortened(name)), for which the table has no column.",
      remedy:
        "Add it: ALTER TABLE … ADD COLUMN \(Identifier(folding: name).quoted) VARIANT; then run again. Nothing is "
        + "lost. (schema_evolution will do this.)")
  }
}
