public import NebulaCore

extension RejectedRecord {
  /// Record `index` of a batch, whole, with its namespace and key as the place where the error has none.
  public init(_ error: NebulaError, _ index: Int, of batch: RecordBatch) {
    var error = error
    let payload = batch.withBytes { bytes in
      error.place = .init(
        path: error.place?.path ?? batch.namespace(of: index).description, line: error.place?.line,
        column: error.place?.column,
        key: error.place?.key ?? batch.changes.flatMap { Self.text(of: $0.keys[index].slice(of: bytes), batch.format) })
      return [UInt8](batch.records[index].slice(of: bytes))
    }
    error.disposition = .reject
    self.init(error, payload: payload, format: batch.format)
  }

  /// A key as JSON text; nil when there is none that can be read.
  private static func text(of key: UnsafeRawBufferPointer, _ format: PayloadFormat) -> String? {
    guard key.count > 0 else { return nil }
    guard format == .bson else { return String(decoding: key, as: UTF8.self) }
    let output = OutputBuffer(capacity: 128)
    guard (try? BSONToJSON(.canonical).append(document: key, to: output)) != nil else { return nil }
    return output.withBytes { String(decoding: $0, as: UTF8.self) }
  }
}
