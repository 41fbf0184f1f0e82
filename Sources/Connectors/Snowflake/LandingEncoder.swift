internal import NebulaCore
internal import NebulaFormats

/// Writes changes as lines of JSON for the landing table: BSON is converted once, straight into the file's buffer.
final class LandingEncoder: RowEncoder {
  let rows = OutputBuffer(capacity: 320 << 10)
  private let documents: BSONToJSON
  private let copiedRow = CopiedRowID()
  private let limit: Int
  private let scratch = OutputBuffer(capacity: 512)
  /// `{"op":"insert","ns":"shop.orders"` of each pair that was met in this batch.
  private var heads: [UInt64: [UInt8]] = [:]
  /// The batch's namespaces as text.
  private var namespaces: [[UInt8]] = []

  init(json: DocumentJSON, limit: Int) {
    documents = BSONToJSON(BSONJSONMode(json))
    self.limit = limit
  }

  func start(_ batch: RecordBatch) throws(NebulaError) {
    heads.removeAll(keepingCapacity: true)
    namespaces = batch.namespaces.map { Array($0.description.utf8) }
    guard batch.format != .csv else {
      throw NebulaError(
        .formatMismatch, "Changes came as CSV, which the landing table can't take.", remedy: "Report the defect.")
    }
  }

  func append(_ index: Int, of batch: RecordBatch, _ bytes: UnsafeRawBufferPointer) throws(NebulaError) {
    let start = rows.count
    do {
      if let changes = batch.changes {
        try change(index, changes, batch, bytes)
      } else {
        rows.append(head(nil, batch.namespaces[0], key: 0))
        try value(",\"document\":", batch.records[index].slice(of: bytes), batch.format)
      }
    } catch {
      rows.truncate(to: start)
      throw error
    }
    rows.append("}\n")
    let length = rows.count - start - 1
    guard length <= limit else {
      rows.truncate(to: start)
      throw RowEncoding.tooLarge(length, limit)
    }
  }

  private func change(
    _ index: Int, _ changes: ChangeColumns, _ batch: RecordBatch, _ bytes: UnsafeRawBufferPointer
  ) throws(NebulaError) {
    let operation = changes.operations[index]
    let pair = UInt64(operation.rawValue) << 32 | UInt64(changes.namespaces[index])
    if let known = heads[pair] {
      rows.append(known)
    } else {
      rows.append(head(changes.name(of: operation), batch.namespace(of: index), key: pair))
    }
    time(changes.eventTimes[index])
    sequence(changes.sequences[index])
    let key = changes.keys[index].slice(of: bytes)
    let token = changes.tokens[index].slice(of: bytes)
    if operation == .snapshot {
      try copiedID(token, namespaces[Int(changes.namespaces[index])], key, batch.format)
    } else if !token.isEmpty {
      rows.append(",\"id\":")
      JSONText.appendString(token, to: rows)
    }
    try value(",\"key\":", key, batch.format)
    try value(",\"document\":", changes.documents[index].slice(of: bytes), batch.format)
    try value(",\"before\":", changes.befores[index].slice(of: bytes), batch.format)
    try value(",\"update\":", changes.updates[index].slice(of: bytes), batch.format)
  }

  private func head(_ operation: String?, _ namespace: Namespace, key: UInt64) -> [UInt8] {
    let output = OutputBuffer(capacity: 128)
    output.append("{")
    if let operation {
      output.append("\"op\":")
      JSONText.appendString(operation, to: output)
      output.append(",")
    }
    output.append("\"ns\":")
    JSONText.appendString(namespace.description, to: output)
    let bytes = output.array
    heads[key] = bytes
    return bytes
  }

  /// Without a zone, since EVENT_TIME has none: it is UTC.
  private func time(_ milliseconds: Int64) {
    guard milliseconds != .min else { return }
    rows.append(",\"time\":\"")
    rows.append(iso8601: milliseconds)
    rows.truncate(to: rows.count - 1)
    rows.append("\"")
  }

  /// 24 hex digits: cluster time, then index. As text it sorts as itself.
  private func sequence(_ sequence: ChangeSequence) {
    rows.append(",\"seq\":\"")
    rows.withSpare(minimum: 24) { room in
      for digit in 0..<16 {
        room[digit] = hex(UInt8(truncatingIfNeeded: sequence.clusterTime >> UInt64(60 - 4 * digit)))
      }
      for digit in 0..<8 { room[16 + digit] = hex(UInt8(truncatingIfNeeded: sequence.index >> UInt32(28 - 4 * digit))) }
      return 24
    }
    rows.append("\"")
  }
  @inline(__always) private func hex(_ number: UInt8) -> UInt8 {
    let digit = number & 15
    return digit < 10 ? 48 &+ digit : 87 &+ digit
  }

  private func copiedID(
    _ token: UnsafeRawBufferPointer, _ namespace: [UInt8], _ key: UnsafeRawBufferPointer, _ format: PayloadFormat
  ) throws(NebulaError) {
    scratch.removeAll(keepingCapacity: true)
    try copiedRow.append(token: token, namespace: namespace, key: key, format, to: scratch)
    rows.append(",\"id\":")
    scratch.withBytes { JSONText.appendString($0, to: rows) }
  }

  @inline(__always) private func value(
    _ name: StaticString, _ slice: UnsafeRawBufferPointer, _ format: PayloadFormat
  ) throws(NebulaError) {
    guard !slice.isEmpty else { return }
    rows.append(name)
    if format == .bson { try documents.append(document: slice, to: rows) } else { rows.append(oneLine: slice) }
  }
}

extension BSONJSONMode {
  init(_ json: DocumentJSON) {
    switch json {
    case .plain: self = .plain
    case .relaxed: self = .relaxed
    case .canonical: self = .canonical
    }
  }
}

extension OutputBuffer {
  /// Appends JSON text on one line: a line break in valid JSON stands between tokens, where a blank does as well.
  func append(oneLine json: UnsafeRawBufferPointer) {
    let start = count
    append(json)
    guard json.contains(where: { $0 == 10 || $0 == 13 }) else { return }
    let clean = json.map { $0 == 10 || $0 == 13 ? 32 : $0 }
    truncate(to: start)
    append(clean)
  }
}
