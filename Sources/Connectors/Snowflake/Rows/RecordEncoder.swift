internal import NebulaCore
internal import NebulaFormats

/// Writes plain records (CSV rows, flat JSON objects) as rows of CSV or lines of JSON, a column a field.
///
/// In CSV an empty field is NULL and `""` an empty text. A column for text takes a JSON string as it reads and anything
/// else as its JSON text; a VARIANT column takes JSON text always, so that each value keeps its type. A value that the
/// column's type can't take is a rejected record.
final class RecordEncoder: RowEncoder {
  let rows = OutputBuffer(capacity: 320 << 10)
  private let columns: FieldColumns
  private let isSemiStructured: [Bool]
  private var count: Int { isSemiStructured.count }
  private let target: FileFormat
  private let limit: Int
  private var csv: FlatJSONToCSV
  private let jsonNames: [[UInt8]]
  private var members: [JSONObjectReader.Member?]
  private let scratch = OutputBuffer(capacity: 1024)
  private let output = CSVDialect()

  init(_ columns: [LoadColumn], as target: FileFormat, limit: Int) {
    let rules = FieldColumns(columns)
    self.columns = rules
    isSemiStructured = columns.map(\.isSemiStructured)
    self.target = target
    self.limit = limit
    csv = FlatJSONToCSV(
      columns.enumerated().map { slot, column in
        FlatJSONToCSV.Column(
          column.field.isEmpty ? nil : column.field, keepsJSON: column.isSemiStructured,
          isChecked: rules.checks[slot] != .anything)
      }, dialect: output)
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
        try target == .json ? jsonLine(record) : csv.append(validated: record, to: rows, rules: columns)
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
    guard UTF8Text.isValid(row) else { throw RowEncoding.unreadable("The row is not UTF-8") }
    var fields = CSVFields(row, dialect: dialect)
    var slot = 0
    if target == .json { rows.append("{") }
    while let field = fields.next() {
      guard slot < count else { throw RowEncoding.unreadable("The row has more than \(count) fields") }
      try csvField(field, row, dialect, slot)
      slot += 1
    }
    if let problem = fields.problem { throw problem.error() }
    guard slot == count else { throw RowEncoding.unreadable("The row has \(slot) fields instead of \(count)") }
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
    if isSemiStructured[slot] {
      if let problem = JSONText.validate(content) {
        throw RowEncoding.unreadable(
          "The column \(shortened(columns.columns[slot].name.name)) is declared as JSON or number: \(problem.reason)")
      }
      target == .json ? rows.append(oneLine: content) : CSVText.appendField(content, dialect: output, to: rows)
      return
    }
    try columns.check(content, for: slot)
    if target == .json {
      JSONText.appendString(content, to: rows)
    } else {
      CSVText.appendField(content, dialect: output, to: rows, alwaysQuote: content.isEmpty)
    }
  }

  private func separator(_ slot: Int) {
    if slot > 0 { rows.append(",") }
    if target == .json { rows.append(jsonNames[slot]) }
  }

  // MARK: from JSON

  /// Members under their columns' names; those that are null are left out, so that they become NULL.
  private func jsonLine(_ object: UnsafeRawBufferPointer) throws(NebulaError) {
    try place(object)
    rows.append("{")
    var isFirst = true
    for slot in members.indices {
      guard let member = members[slot], member.kind != .null else { continue }
      if columns.checks[slot] != .anything { try check(member, object, slot) }
      if !isFirst { rows.append(",") }
      isFirst = false
      rows.append(jsonNames[slot])
      rows.append(oneLine: UnsafeRawBufferPointer(rebasing: object[member.value]))
    }
    rows.append("}\n")
  }

  /// Notes for each column which member goes there.
  private func place(_ object: UnsafeRawBufferPointer) throws(NebulaError) {
    guard var reader = JSONObjectReader(object) else { throw RowEncoding.unreadable("The record is no JSON object") }
    for slot in members.indices { members[slot] = nil }
    while let member = reader.next() {
      let key = UnsafeRawBufferPointer(rebasing: object[member.key])
      let name = member.keyIsEscaped ? JSONObjectReader.unescape(key) : String(decoding: key, as: UTF8.self)
      if let slot = try columns.column(of: name) { members[slot] = member }
    }
  }

  private func check(
    _ member: JSONObjectReader.Member, _ object: UnsafeRawBufferPointer, _ slot: Int
  ) throws(NebulaError) {
    let value = UnsafeRawBufferPointer(rebasing: object[member.value])
    guard member.kind == .string else { return try columns.check(value, for: slot) }
    let inside = UnsafeRawBufferPointer(rebasing: value.dropFirst().dropLast())
    scratch.removeAll(keepingCapacity: true)
    JSONObjectReader.unescape(inside, into: scratch)
    try scratch.withBytes { (text) throws(NebulaError) in try columns.check(text, for: slot) }
  }
}
