import NebulaCore
import NebulaFormats

/// A change as an envelope: the columns of the Snowflake landing table in lower camel case, all of them in every
/// record, null where there is nothing. A class, so that handing it to each record costs one count and not one a column.
final class ChangeForm {
  /// In this order, in JSON and CSV.
  static let names = [
    "document", "documentBefore", "updateDescription", "documentKey", "operation", "namespace", "eventTime", "sequence",
    "eventId",
  ]
  private let batch: RecordBatch
  private let changes: ChangeColumns
  private let json: BSONToJSON
  private let copiedRow = CopiedRowID()
  private let dialect: CSVDialect
  private let nullText: [UInt8]
  private let isCSV: Bool
  private let namespaces: [[UInt8]]
  /// As JSON texts, made once a batch.
  private let quotedNamespaces: [[UInt8]]
  private let quotedOperations: [[UInt8]]
  private let scratch = OutputBuffer(capacity: 1024)

  init(_ options: FileDestinationOptions, _ batch: RecordBatch, _ changes: ChangeColumns) {
    self.batch = batch
    self.changes = changes
    json = BSONToJSON(options.json)
    dialect = options.dialect
    nullText = Array(options.nullText.utf8)
    isCSV = options.format == .csv
    namespaces = batch.namespaces.map { Array($0.description.utf8) }
    quotedNamespaces = batch.namespaces.map { Self.quoted($0.description) }
    quotedOperations = (Operation.known + changes.otherOperations).map(Self.quoted)
  }

  private static func quoted(_ text: String) -> [UInt8] {
    let output = OutputBuffer(capacity: 64)
    JSONText.appendString(text, to: output)
    return output.array
  }

  func append(_ bytes: UnsafeRawBufferPointer, _ index: Int, to output: OutputBuffer) throws(NebulaError) {
    if isCSV { try appendRow(bytes, index, to: output) } else { try appendObject(bytes, index, to: output) }
  }

  /// Straight into the output, since documents are what most of the work is.
  private func appendObject(
    _ bytes: UnsafeRawBufferPointer, _ index: Int, to output: OutputBuffer
  ) throws(NebulaError) {
    try member("{\"document\":", changes.documents[index], bytes, output)
    try member(",\"documentBefore\":", changes.befores[index], bytes, output)
    try member(",\"updateDescription\":", changes.updates[index], bytes, output)
    try member(",\"documentKey\":", changes.keys[index], bytes, output)
    let operation = Int(changes.operations[index].rawValue)
    output.append(",\"operation\":")
    output.append(quotedOperations[operation < 128 ? operation : Operation.known.count + operation - 128])
    output.append(",\"namespace\":")
    output.append(quotedNamespaces[Int(changes.namespaces[index])])
    appendTime(changes.eventTimes[index], to: output)
    output.append(",\"sequence\":\"")
    output.append(changes.sequences[index])
    output.append("\",\"eventId\":")
    scratch.removeAll()
    try appendEventID(bytes, index)
    scratch.withBytes { $0.isEmpty ? output.append("null") : JSONText.appendString($0, to: output) }
    output.append("}\n")
  }

  private func member(
    _ name: StaticString, _ range: ByteRange, _ bytes: UnsafeRawBufferPointer, _ output: OutputBuffer
  ) throws(NebulaError) {
    output.append(name)
    if range.isEmpty { output.append("null") } else { try appendSlice(range, bytes, to: output) }
  }

  private func appendTime(_ milliseconds: Int64, to output: OutputBuffer) {
    guard milliseconds != .min else { return output.append(",\"eventTime\":null") }
    output.append(",\"eventTime\":\"")
    output.append(iso8601: milliseconds)
    output.append("\"")
  }

  private func appendRow(_ bytes: UnsafeRawBufferPointer, _ index: Int, to output: OutputBuffer) throws(NebulaError) {
    for column in Self.names.indices {
      if column > 0 { output.append(dialect.delimiter) }
      scratch.removeAll()
      try appendValue(column, bytes, index)
      scratch.withBytes {
        $0.isEmpty ? output.append(nullText) : CSVText.appendField($0, dialect: dialect, to: output)
      }
    }
    output.append("\n")
  }

  /// Writes a column's value to `scratch`, nothing for null.
  private func appendValue(_ column: Int, _ bytes: UnsafeRawBufferPointer, _ index: Int) throws(NebulaError) {
    switch column {
    case 0: try appendSlice(changes.documents[index], bytes, to: scratch)
    case 1: try appendSlice(changes.befores[index], bytes, to: scratch)
    case 2: try appendSlice(changes.updates[index], bytes, to: scratch)
    case 3: try appendSlice(changes.keys[index], bytes, to: scratch)
    case 4: scratch.append(utf8: changes.name(of: changes.operations[index]))
    case 5: scratch.append(namespaces[Int(changes.namespaces[index])])
    case 6: if changes.eventTimes[index] != .min { scratch.append(iso8601: changes.eventTimes[index]) }
    case 7: scratch.append(changes.sequences[index])
    default: try appendEventID(bytes, index)
    }
  }

  private func appendSlice(
    _ range: ByteRange, _ bytes: UnsafeRawBufferPointer, to output: OutputBuffer
  ) throws(NebulaError) {
    guard !range.isEmpty else { return }
    if batch.format == .bson {
      try json.append(document: range.slice(of: bytes), to: output)
    } else {
      RecordForm.appendFlat(range.slice(of: bytes), to: output)
    }
  }

  /// The resume token; for a copied row as `CopiedRowID` says.
  private func appendEventID(_ bytes: UnsafeRawBufferPointer, _ index: Int) throws(NebulaError) {
    let token = changes.tokens[index].slice(of: bytes)
    guard changes.operations[index] == .snapshot else { return scratch.append(token) }
    try copiedRow.append(
      token: token, namespace: namespaces[Int(changes.namespaces[index])], key: changes.keys[index].slice(of: bytes),
      batch.format, to: scratch)
  }
}
