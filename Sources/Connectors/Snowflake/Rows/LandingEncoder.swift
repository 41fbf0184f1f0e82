internal import Glibc
internal import NebulaCore
internal import NebulaFormats

/// Writes changes as lines of JSON for the landing table: BSON is converted once, straight into the file's buffer.
final class LandingEncoder: RowEncoder {
  let rows = OutputBuffer(capacity: 1024)
  private let documents: BSONToJSON
  private let limit: Int
  private let starts = RowStarts()
  private let ids = RowIDs()

  init(json: DocumentJSON, limit: Int) {
    documents = BSONToJSON(BSONJSONMode(json))
    self.limit = limit
  }

  var key: RowKey? { nil }

  func start(_ batch: RecordBatch, order: UInt32) throws(NebulaError) {
    starts.removeAll()
    ids.removeAll()
    guard batch.format != .csv else {
      throw NebulaError(
        .formatMismatch, "Changes came as CSV, which the landing table can't take.", remedy: "Report the defect.")
    }
  }

  func append(_ index: Int, of batch: RecordBatch, _ bytes: UnsafeRawBufferPointer) throws(NebulaError) -> Bool {
    try appendRow(limit: limit) { () throws(NebulaError) in
      if let changes = batch.changes {
        try change(index, changes, batch, bytes)
      } else {
        rows.append("{\"ns\":")
        JSONText.appendString(batch.namespaces[0].description, to: rows)
        try value(",\"document\":", batch.records[index].slice(of: bytes), batch.format)
      }
      rows.append("}\n")
    }
    return true
  }

  private func change(
    _ index: Int, _ changes: ChangeColumns, _ batch: RecordBatch, _ bytes: UnsafeRawBufferPointer
  ) throws(NebulaError) {
    starts.append(index, changes, batch, to: rows)
    try ids.append(index, changes, batch, bytes, to: rows)
    try value(",\"key\":", changes.keys[index].slice(of: bytes), batch.format)
    try value(",\"document\":", changes.documents[index].slice(of: bytes), batch.format)
    try value(",\"before\":", changes.befores[index].slice(of: bytes), batch.format)
    try value(",\"update\":", changes.updates[index].slice(of: bytes), batch.format)
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
