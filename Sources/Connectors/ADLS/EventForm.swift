internal import NebulaCore
internal import NebulaFormats

/// A change as one line: `_meta` with what the event says of itself, then its parts; null where there is nothing.
///
/// A class, so that handing it to each record costs one count and not one a column.
final class EventForm {
  private let batch: RecordBatch
  private let changes: ChangeColumns
  private let json: BSONToJSON
  private let hasEnvelope: Bool
  /// As JSON texts, made once a batch.
  private let namespaces: [[UInt8]]
  private let operations: [[UInt8]]

  init(_ options: ADLSOptions, _ batch: RecordBatch, _ changes: ChangeColumns) {
    self.batch = batch
    self.changes = changes
    json = BSONToJSON(options.json)
    hasEnvelope = options.envelope
    namespaces = batch.namespaces.map { namespace in
      let output = OutputBuffer(capacity: 64)
      output.append("{\"db\":")
      namespace.database.map { JSONText.appendString($0, to: output) } ?? output.append("null")
      output.append(",\"coll\":")
      JSONText.appendString(namespace.collection, to: output)
      output.append("}")
      return output.array
    }
    operations = (Operation.known + changes.otherOperations).map { name in
      let output = OutputBuffer(capacity: 32)
      JSONText.appendString(name, to: output)
      return output.array
    }
  }

  /// Appends the line of record `index`.
  func append(_ bytes: UnsafeRawBufferPointer, _ index: Int, to output: OutputBuffer) throws(NebulaError) {
    guard hasEnvelope else { return try appendDocument(bytes, index, to: output) }
    try appendMeta(bytes, index, to: output)
    try member(",\"documentKey\":", changes.keys[index], bytes, output)
    try member(",\"fullDocument\":", changes.documents[index], bytes, output)
    try member(",\"updateDescription\":", changes.updates[index], bytes, output)
    try member(",\"fullDocumentBeforeChange\":", changes.befores[index], bytes, output)
    output.append("}\n")
  }

  /// The document; where there is none, its key (a deletion), else the event as it came.
  private func appendDocument(
    _ bytes: UnsafeRawBufferPointer, _ index: Int, to output: OutputBuffer
  ) throws(NebulaError) {
    let range = [changes.documents[index], changes.keys[index]].first { !$0.isEmpty } ?? batch.records[index]
    try value(range, bytes, output)
    output.append(UInt8(ascii: "\n"))
  }

  private func appendMeta(
    _ bytes: UnsafeRawBufferPointer, _ index: Int, to output: OutputBuffer
  ) throws(NebulaError) {
    var parts = EventParts()
    let operation = changes.operations[index]
    if operation != .snapshot, batch.format == .bson { try parts.read(batch.records[index].slice(of: bytes)) }
    let number = Int(operation.rawValue)
    output.append("{\"_meta\":{\"operationType\":")
    output.append(operations[number < 128 ? number : Operation.known.count + number - 128])
    output.append(",\"clusterTime\":")
    try clusterTime(parts, changes.sequences[index].clusterTime, output)
    try element(",\"wallTime\":", parts.wallTime, output)
    output.append(",\"ns\":")
    output.append(namespaces[Int(changes.namespaces[index])])
    try element(",\"txnNumber\":", parts.txnNumber, output)
    try element(",\"lsid\":", parts.lsid, output)
    output.append(",\"resumeToken\":")
    let token = changes.tokens[index].slice(of: bytes)
    token.isEmpty ? output.append("null") : JSONText.appendString(token, to: output)
    output.append("}")
  }

  /// As the event has it; of a copied row that of T0, in the same form.
  private func clusterTime(_ parts: EventParts, _ time: UInt64, _ output: OutputBuffer) throws(NebulaError) {
    if let element = parts.clusterTime { return try json.append(valueOf: element, to: output) }
    guard time != 0 else { return output.append("null") }
    json.mode == .plain ? output.append("{\"t\":") : output.append("{\"$timestamp\":{\"t\":")
    output.append(decimal: Int64(time >> 32))
    output.append(",\"i\":")
    output.append(decimal: Int64(time & 0xFFFF_FFFF))
    json.mode == .plain ? output.append("}") : output.append("}}")
  }

  private func element(_ name: StaticString, _ element: BSONElement?, _ output: OutputBuffer) throws(NebulaError) {
    output.append(name)
    if let element { try json.append(valueOf: element, to: output) } else { output.append("null") }
  }

  private func member(
    _ name: StaticString, _ range: ByteRange, _ bytes: UnsafeRawBufferPointer, _ output: OutputBuffer
  ) throws(NebulaError) {
    output.append(name)
    if range.isEmpty { output.append("null") } else { try value(range, bytes, output) }
  }

  private func value(
    _ range: ByteRange, _ bytes: UnsafeRawBufferPointer, _ output: OutputBuffer
  ) throws(NebulaError) {
    if batch.format == .bson {
      try json.append(document: range.slice(of: bytes), to: output)
    } else {
      RecordForm.appendFlat(range.slice(of: bytes), to: output)
    }
  }

}

/// The parts of an event that no column has.
private struct EventParts {
  var clusterTime: BSONElement?
  var wallTime: BSONElement?
  var txnNumber: BSONElement?
  var lsid: BSONElement?

  mutating func read(_ event: UnsafeRawBufferPointer) throws(NebulaError) {
    var reader = try BSONReader(event)
    while let element = try reader.next() {
      switch element.name.count {
      case 4: if element.isNamed("lsid") { lsid = element }
      case 8: if element.isNamed("wallTime") { wallTime = element }
      case 9: if element.isNamed("txnNumber") { txnNumber = element }
      case 11: if element.isNamed("clusterTime") { clusterTime = element }
      default: break
      }
    }
  }
}
