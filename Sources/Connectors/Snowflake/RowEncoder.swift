internal import NebulaCore
internal import NebulaFormats

/// Writes records of a batch as rows of a staged file. One owner at a time; kept for all batches of a file.
protocol RowEncoder: AnyObject {
  /// Where the rows go.
  var rows: OutputBuffer { get }
  /// Called before the records of a batch.
  func start(_ batch: RecordBatch) throws(NebulaError)
  /// Appends record `index` as a row; the error of a record that can't be one has the disposition `reject`, and `rows`
  /// is then as it was.
  func append(_ index: Int, of batch: RecordBatch, _ bytes: UnsafeRawBufferPointer) throws(NebulaError)
}

/// The parts of encoding that all encoders share.
enum RowEncoding {
  /// The encoder for a table.
  static func make(_ layout: TableLayout, options: SnowflakeOptions) -> any RowEncoder {
    switch layout {
    case .documents: LandingEncoder(json: options.json, limit: options.maxRowBytes.bytes)
    case .csv(let columns): RecordEncoder(columns, as: .csv, limit: options.maxRowBytes.bytes)
    case .json(let columns): RecordEncoder(columns, as: .json, limit: options.maxRowBytes.bytes)
    }
  }

  /// A row larger than may be loaded.
  static func tooLarge(_ bytes: Int, _ limit: Int) -> NebulaError {
    NebulaError(
      .rowTooLarge, "The row has \(bytes) bytes; max_row_bytes is \(limit).",
      remedy: "Raise max_row_bytes (up to 128MiB) if the account loads such rows.", disposition: .reject)
  }

  /// A record whose bytes are at fault.
  static func unreadable(_ problem: String) -> NebulaError {
    NebulaError(.unreadableRecord, "\(problem).", remedy: "Correct the record at its origin.", disposition: .reject)
  }

  /// The record with its error and place, for the dead letters.
  static func rejected(_ error: NebulaError, _ index: Int, of batch: RecordBatch) -> RejectedRecord {
    var error = error
    batch.withBytes { bytes in
      let key = batch.changes.flatMap { keyText($0.keys[index].slice(of: bytes), batch.format) }
      error.place = .init(
        path: batch.namespace(of: index).description, line: error.place?.line, column: error.place?.column, key: key)
    }
    error.disposition = .reject
    let payload = batch.withBytes { [UInt8](batch.records[index].slice(of: $0)) }
    return RejectedRecord(error, payload: payload, format: batch.format)
  }

  /// A key as JSON text; nil when there is none that can be read.
  static func keyText(_ key: UnsafeRawBufferPointer, _ format: PayloadFormat) -> String? {
    guard key.count > 0 else { return nil }
    guard format == .bson else { return String(decoding: key, as: UTF8.self) }
    let output = OutputBuffer(capacity: 128)
    guard (try? BSONToJSON(.canonical).append(document: key, to: output)) != nil else { return nil }
    return output.withBytes { String(decoding: $0, as: UTF8.self) }
  }
}
