internal import CNebulaKernels
public import NebulaCore

/// How the records of a text file are written.
public enum OutputFormat: String, PropertyChoice {
  /// One JSON value a line.
  case jsonl
  /// RFC 4180 with a header.
  case csv
}

/// How a record becomes a line of text.
public struct LineStyle: Sendable {
  /// JSON or CSV.
  public var format: OutputFormat
  /// How BSON is written as JSON.
  public var json: BSONJSONMode
  /// CSV: delimiter and quote.
  public var dialect: CSVDialect
  /// CSV: what stands for null.
  public var nullText: String
  /// Describes a style.
  public init(
    format: OutputFormat = .jsonl, json: BSONJSONMode = .plain, dialect: CSVDialect = CSVDialect(),
    nullText: String = ""
  ) {
    self.format = format
    self.json = json
    self.dialect = dialect
    self.nullText = nullText
  }

  /// The first line of a CSV file with these columns.
  public func header(_ columns: [String]) -> [UInt8] {
    let output = OutputBuffer(capacity: 256)
    for (index, name) in columns.enumerated() {
      if index > 0 { output.append(dialect.delimiter) }
      var name = name
      name.withUTF8 { CSVText.appendField(UnsafeRawBufferPointer($0), dialect: dialect, to: output) }
    }
    CSVText.endRow(from: 0, dialect: dialect, in: output)
    return output.array
  }
}

/// How one plain record of a batch (no change) becomes a line. Throws for a record that can't be written; what it appended is then
/// taken back.
public struct RecordForm {
  private enum Kind {
    case verbatim
    case jsonToCSV(FlatJSONToCSV)
    case csvToJSON(CSVToJSON)
    case csvToCSV(from: CSVDialect, to: CSVDialect)
    case bsonToJSON(BSONToJSON)
    case bsonToCSV(BSONToJSON, FlatJSONToCSV)
  }
  private var kind: Kind
  private let batch: RecordBatch
  private let scratch = OutputBuffer(capacity: 1024)

  /// Makes a form for the records of `batch`; `columns` are those of CSV that is made from JSON or BSON.
  public init(_ style: LineStyle, _ batch: RecordBatch, _ columns: [String]) {
    self.batch = batch
    let flat = FlatJSONToCSV(columns: columns, dialect: style.dialect, nullMarker: style.nullText)
    switch (batch.format, style.format) {
    case (.json, .jsonl): kind = .verbatim
    case (.json, .csv): kind = .jsonToCSV(flat)
    case (.bson, .jsonl): kind = .bsonToJSON(BSONToJSON(style.json))
    case (.bson, .csv): kind = .bsonToCSV(BSONToJSON(style.json), flat)
    case (.csv, .jsonl): kind = .csvToJSON(CSVToJSON(batch.schema))
    case (.csv, .csv):
      kind = .csvToCSV(from: batch.schema.map { CSVDialect($0) } ?? style.dialect, to: style.dialect)
    }
  }

  /// About how large record `index` becomes, for the budget.
  public static func estimate(_ style: LineStyle, _ batch: RecordBatch, _ index: Int) -> Int {
    let payload = batch.records[index].count
    guard style.format == .jsonl, batch.format == .csv, let schema = batch.schema else {
      return batch.format == .bson ? 2 * payload + 64 : payload + 16
    }
    return payload + schema.columns.reduce(16) { $0 + $1.name.utf8.count + 6 }
  }

  /// Appends record `index` of the batch, whose buffer is `bytes`, as a line.
  public mutating func append(
    _ bytes: UnsafeRawBufferPointer, _ index: Int, to output: OutputBuffer
  ) throws(NebulaError) {
    let range = batch.records[index]
    let record = range.slice(of: bytes)
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
    }
  }

  /// JSON text on one line: a newline can only stand between its tokens.
  static func appendLine(_ json: UnsafeRawBufferPointer, to output: OutputBuffer) {
    appendFlat(json, to: output)
    output.append(UInt8(ascii: "\n"))
  }

  /// JSON text without its line ends.
  public static func appendFlat(_ json: UnsafeRawBufferPointer, to output: OutputBuffer) {
    guard let base = json.baseAddress else { return }
    let found = nebula_find_either(base.assumingMemoryBound(to: UInt8.self), json.count, 0x0A, 0x0D)
    guard found < json.count else { return output.append(json) }
    for byte in json { output.append(byte == 0x0A || byte == 0x0D ? 0x20 : byte) }
  }

  private static func appendRow(
    _ record: UnsafeRawBufferPointer, _ flat: inout FlatJSONToCSV, to output: OutputBuffer
  ) throws(NebulaError) {
    guard JSONObjectReader(record) != nil else {
      throw NebulaError(
        "file.not_an_object", "The record is no JSON object, so it has no columns.", remedy: "Use format jsonl.",
        disposition: .reject)
    }
    let before = flat.unknownMembers
    try flat.append(validated: record, to: output)
    guard flat.unknownMembers == before else {
      throw NebulaError(
        "file.unknown_key", "The record has a key that is no column.", remedy: "List all columns in `columns`.",
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
      "file.wrong_width", "The row has another number of fields than the \(schema.count) columns.",
      remedy: "Mend the row.", disposition: .reject)
  }
}
