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
}
