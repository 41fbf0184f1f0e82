import NebulaCore
import NebulaFormats

/// A change as an envelope: the columns of the Snowflake landing table in lower camel case, all of them in every
/// record, null where there is nothing.
struct ChangeForm {
  /// In this order, in JSON and CSV.
  static let names = [
    "document", "documentBefore", "updateDescription", "documentKey", "operation", "namespace", "eventTime", "sequence",
    "eventId",
  ]
  private static let members = names.map { JSONLineWriter.Name($0) }

  private let batch: RecordBatch
  private let changes: ChangeColumns
  private let json: BSONToJSON
  private let dialect: CSVDialect
  private let nullText: [UInt8]
  private let isCSV: Bool
  private let namespaces: [String]
  private let scratch = OutputBuffer(capacity: 1024)

  init(_ options: FileDestinationOptions, _ batch: RecordBatch, _ changes: ChangeColumns) {
    self.batch = batch
    self.changes = changes
    json = BSONToJSON(options.json)
    dialect = options.dialect
    nullText = Array(options.nullText.utf8)
    isCSV = options.format == .csv
    namespaces = batch.namespaces.map(\.description)
  }

  func append(_ bytes: UnsafeRawBufferPointer, _ index: Int, to output: OutputBuffer) throws(NebulaError) {
    if !isCSV { output.append(UInt8(ascii: "{")) }
    for column in Self.names.indices {
      if column > 0 { output.append(isCSV ? dialect.delimiter : UInt8(ascii: ",")) }
      if !isCSV { Self.append(Self.members[column], to: output) }
      scratch.removeAll()
      let isText = try appendValue(column, bytes, index)
      scratch.withBytes { place($0, isText: isText, in: output) }
    }
    output.append(utf8: isCSV ? "\n" : "}\n")
  }

  private static func append(_ name: JSONLineWriter.Name, to output: OutputBuffer) {
    var writer = JSONLineWriter(output)
    writer.name(name)
  }

  private func place(_ value: UnsafeRawBufferPointer, isText: Bool, in output: OutputBuffer) {
    switch (isCSV, value.isEmpty) {
    case (true, true): output.append(nullText)
    case (true, false): CSVText.appendField(value, dialect: dialect, to: output)
    case (false, true): output.append("null")
    case (false, false): if isText { JSONText.appendString(value, to: output) } else { output.append(value) }
    }
  }

  /// Writes a column's value to `scratch`, nothing for null; true when it is a text and not JSON.
  private func appendValue(_ column: Int, _ bytes: UnsafeRawBufferPointer, _ index: Int) throws(NebulaError) -> Bool {
    switch column {
    case 0: try appendSlice(changes.documents[index], bytes)
    case 1: try appendSlice(changes.befores[index], bytes)
    case 2: try appendSlice(changes.updates[index], bytes)
    case 3: try appendSlice(changes.keys[index], bytes)
    case 4: scratch.append(utf8: changes.name(of: changes.operations[index]))
    case 5: scratch.append(utf8: namespaces[Int(changes.namespaces[index])])
    case 6: if changes.eventTimes[index] != .min { scratch.append(iso8601: changes.eventTimes[index]) }
    case 7: appendSequence(changes.sequences[index])
    default: try appendEventID(bytes, index)
    }
    return column > 3
  }

  private func slice(_ range: ByteRange, _ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[Int(range.start)..<Int(range.end)])
  }

  private func appendSlice(_ range: ByteRange, _ bytes: UnsafeRawBufferPointer) throws(NebulaError) {
    guard !range.isEmpty else { return }
    if batch.format == .bson {
      try json.append(document: slice(range, bytes), to: scratch)
    } else {
      RecordForm.appendFlat(slice(range, bytes), to: scratch)
    }
  }

  private func appendSequence(_ sequence: ChangeSequence) {
    func hex(_ number: UInt64, _ digits: Int) {
      for shift in stride(from: (digits - 1) * 4, through: 0, by: -4) {
        let digit = UInt8(truncatingIfNeeded: number >> UInt64(shift)) & 15
        scratch.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
      }
    }
    hex(sequence.clusterTime, 16)
    hex(UInt64(sequence.index), 8)
  }

  /// The resume token; for a snapshot row T0's token, a colon and the document's key.
  private func appendEventID(_ bytes: UnsafeRawBufferPointer, _ index: Int) throws(NebulaError) {
    scratch.append(slice(changes.tokens[index], bytes))
    guard changes.operations[index] == .snapshot else { return }
    scratch.append(UInt8(ascii: ":"))
    try appendSlice(changes.keys[index], bytes)
  }
}
