internal import Glibc
internal import NebulaCore
internal import NebulaFormats

/// Writes changes as lines of JSON for the landing table: BSON is converted once, straight into the file's buffer.
final class LandingEncoder: RowEncoder {
  let rows = OutputBuffer(capacity: 1024)
  private let documents: BSONToJSON
  private let copiedRow = CopiedRowID()
  private let limit: Int
  private let scratch = OutputBuffer(capacity: 512)
  private let starts = RowStarts()
  private var namespaces = NamespaceText()

  init(json: DocumentJSON, limit: Int) {
    documents = BSONToJSON(BSONJSONMode(json))
    self.limit = limit
  }

  var key: RowKey? { nil }

  func start(_ batch: RecordBatch, order: UInt32) throws(NebulaError) {
    starts.removeAll()
    namespaces.removeAll()
    guard batch.format != .csv else {
      throw NebulaError(
        .formatMismatch, "Changes came as CSV, which the landing table can't take.", remedy: "Report the defect.")
    }
  }

  func append(_ index: Int, of batch: RecordBatch, _ bytes: UnsafeRawBufferPointer) throws(NebulaError) -> Bool {
    let start = rows.count
    do {
      if let changes = batch.changes {
        try change(index, changes, batch, bytes)
      } else {
        rows.append("{\"ns\":")
        JSONText.appendString(batch.namespaces[0].description, to: rows)
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
    return true
  }

  private func change(
    _ index: Int, _ changes: ChangeColumns, _ batch: RecordBatch, _ bytes: UnsafeRawBufferPointer
  ) throws(NebulaError) {
    starts.append(index, changes, batch, to: rows)
    sequence(changes.sequences[index])
    let key = changes.keys[index].slice(of: bytes)
    let token = changes.tokens[index].slice(of: bytes)
    if changes.operations[index] == .snapshot {
      try copiedID(token, namespaces.text(of: index, batch), key, batch.format)
    } else if !token.isEmpty {
      rows.append(",\"id\":")
      JSONText.appendString(token, to: rows)
    }
    try value(",\"key\":", key, batch.format)
    try value(",\"document\":", changes.documents[index].slice(of: bytes), batch.format)
    try value(",\"before\":", changes.befores[index].slice(of: bytes), batch.format)
    try value(",\"update\":", changes.updates[index].slice(of: bytes), batch.format)
  }

  private func sequence(_ sequence: ChangeSequence) {
    rows.append(",\"seq\":\"")
    rows.append(sequence)
    rows.append("\"")
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
    guard let base = json.baseAddress, memchr(base, 10, json.count) ?? memchr(base, 13, json.count) != nil else {
      return
    }
    let clean = json.map { $0 == 10 || $0 == 13 ? 32 : $0 }
    truncate(to: start)
    append(clean)
  }
}
