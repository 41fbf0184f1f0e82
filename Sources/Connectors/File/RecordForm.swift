import NebulaCore
import NebulaFormats

/// How one record of a batch becomes a line. Throws for a record that can't be written; what it appended is then
/// taken back.
struct RecordForm {
  private enum Kind {
    case verbatim
    case jsonToCSV(FlatJSONToCSV)
    case csvToJSON(CSVToJSON)
    case csvToCSV(from: CSVDialect, to: CSVDialect)
    case bsonToJSON(BSONToJSON)
    case bsonToCSV(BSONToJSON, FlatJSONToCSV)
    case change(ChangeForm)
  }
  private var kind: Kind
  private let batch: RecordBatch
  private let scratch = OutputBuffer(capacity: 1024)

  init(_ options: FileDestinationOptions, _ batch: RecordBatch, _ columns: [String]) {
    self.batch = batch
    let flat = FlatJSONToCSV(columns: columns, dialect: options.dialect, nullMarker: options.nullText)
    if let changes = batch.changes {
      kind = .change(ChangeForm(options, batch, changes))
      return
    }
    switch (batch.format, options.format) {
    case (.json, .jsonl): kind = .verbatim
    case (.json, .csv): kind = .jsonToCSV(flat)
    case (.bson, .jsonl): kind = .bsonToJSON(BSONToJSON(options.json))
    case (.bson, .csv): kind = .bsonToCSV(BSONToJSON(options.json), flat)
    case (.csv, .jsonl): kind = .csvToJSON(CSVToJSON(batch.schema))
    case (.csv, .csv):
      kind = .csvToCSV(from: batch.schema.map { CSVDialect($0) } ?? options.dialect, to: options.dialect)
    }
  }

  mutating func append(
    _ bytes: UnsafeRawBufferPointer, _ index: Int, to output: OutputBuffer
  ) throws(NebulaError) {
    let range = batch.records[index]
    let record = UnsafeRawBufferPointer(rebasing: bytes[Int(range.start)..<Int(range.end)])
    switch kind {
    case .verbatim: Self.appendLine(record, to: output)
    case .jsonToCSV(var flat):
      try Self.appendRow(record, &flat, to: output)
      kind = .jsonToCSV(flat)
    case .csvToJSON(let form): try form.append(record, to: output)
    case .csvToCSV(let from, let to): try Self.append(record, from, to, output)
    case .bsonToJSON(let json):
      try json.append(document: record, to: output)
      output.append(UInt8(ascii: "\n"))
    case .bsonToCSV(let json, var flat):
      scratch.removeAll()
      try json.append(document: record, to: scratch)
      try scratch.withBytes { (text) throws(NebulaError) in try Self.appendRow(text, &flat, to: output) }
      kind = .bsonToCSV(json, flat)
    case .change(let form): try form.append(bytes, index, to: output)
    }
  }

  /// JSON text on one line: a newline can only stand between its tokens.
  static func appendLine(_ json: UnsafeRawBufferPointer, to output: OutputBuffer) {
    appendFlat(json, to: output)
    output.append(UInt8(ascii: "\n"))
  }

  static func appendFlat(_ json: UnsafeRawBufferPointer, to output: OutputBuffer) {
    guard lineEnd(json, from: 0, ended: false) != nil else { return output.append(json) }
    for byte in json { output.append(byte == 0x0A || byte == 0x0D ? 0x20 : byte) }
  }

  private static func appendRow(
    _ record: UnsafeRawBufferPointer, _ flat: inout FlatJSONToCSV, to output: OutputBuffer
  ) throws(NebulaError) {
    guard JSONObjectReader(record) != nil else {
      throw NebulaError(
        .fileNotAnObject, "The record is no JSON object, so it has no columns.", remedy: "Use format jsonl.",
        disposition: .reject)
    }
    let before = flat.unknownMembers
    try flat.append(validated: record, to: output)
    guard flat.unknownMembers == before else {
      throw NebulaError(
        .fileUnknownKey, "The record has a key that is no column.", remedy: "List all columns in `columns`.",
        disposition: .reject)
    }
  }

  private static func append(
    _ row: UnsafeRawBufferPointer, _ from: CSVDialect, _ to: CSVDialect, _ output: OutputBuffer
  ) throws(NebulaError) {
    let start = output.count
    defer { CSVText.endRow(from: start, dialect: to, in: output) }
    guard from != to else { return output.append(row) }
    var fields = CSVFields(row, dialect: from)
    let scratch = OutputBuffer(capacity: 256)
    var isFirst = true
    while let field = fields.next() {
      if !isFirst { output.append(to.delimiter) }
      isFirst = false
      scratch.removeAll()
      CSVText.unquote(UnsafeRawBufferPointer(rebasing: row[field.range]), dialect: from, into: scratch)
      scratch.withBytes {
        CSVText.appendField($0, dialect: to, to: output, alwaysQuote: field.isQuoted && field.range.isEmpty)
      }
    }
    if let problem = fields.problem { throw problem.error() }
  }
}

/// A CSV row as a JSON object: names from the header, declared types as numbers, booleans or JSON, the rest as text.
///
/// A class with what every field needs in plain memory: no reference is counted per record or field.
final class CSVToJSON {
  private let schema: [RecordSchema.Column]
  private let types: [RecordSchema.ColumnType]
  /// `"first":`, `,"second":` … one behind the other, and where each ends.
  private let names: [UInt8]
  private let nameEnds: [Int]
  private let dialect: CSVDialect
  private let scratch = OutputBuffer(capacity: 256)

  init(_ schema: RecordSchema?) {
    let columns = schema?.columns ?? []
    let names = OutputBuffer(capacity: 256)
    nameEnds = columns.map { column in
      if !names.isEmpty { names.append(UInt8(ascii: ",")) }
      JSONText.appendString(column.name, to: names)
      names.append(UInt8(ascii: ":"))
      return names.count
    }
    self.names = names.array
    self.schema = columns
    types = columns.map(\.type)
    dialect = schema.map { CSVDialect($0) } ?? CSVDialect()
  }

  func append(_ row: UnsafeRawBufferPointer, to output: OutputBuffer) throws(NebulaError) {
    var fields = CSVFields(row, dialect: dialect)
    var index = 0
    var nameStart = 0
    output.append(UInt8(ascii: "{"))
    while let field = fields.next() {
      guard index < nameEnds.count else { throw wrongWidth }
      names.withUnsafeBytes { output.append(UnsafeRawBufferPointer(rebasing: $0[nameStart..<nameEnds[index]])) }
      nameStart = nameEnds[index]
      try append(row, field, index, to: output)
      index += 1
    }
    if let problem = fields.problem { throw problem.error() }
    guard index == nameEnds.count else { throw wrongWidth }
    output.append("}\n")
  }

  private func append(
    _ row: UnsafeRawBufferPointer, _ field: CSVField, _ column: Int, to output: OutputBuffer
  ) throws(NebulaError) {
    let raw = UnsafeRawBufferPointer(rebasing: row[field.range])
    if field.needsUnquoting {
      scratch.removeAll()
      CSVText.unquote(raw, dialect: dialect, into: scratch)
      return try scratch.withBytes { (value) throws(NebulaError) in try append(value, column, to: output) }
    }
    if types[column] != .text, raw.isEmpty, !field.isQuoted { return output.append("null") }
    try append(raw, column, to: output)
  }

  private func append(
    _ value: UnsafeRawBufferPointer, _ column: Int, to output: OutputBuffer
  ) throws(NebulaError) {
    let type = types[column]
    if type == .text { return JSONText.appendString(value, to: output) }
    guard CSVValue.fits(value, type) else { throw CSVValue.misfit(value, schema[column]) }
    if type == .json { return RecordForm.appendFlat(value, to: output) }
    CSVValue.append(value, type, to: output)
  }

  private var wrongWidth: NebulaError {
    NebulaError(
      .fileWrongWidth, "The row has another number of fields than the \(schema.count) columns.",
      remedy: "Mend the row.", disposition: .reject)
  }
}
