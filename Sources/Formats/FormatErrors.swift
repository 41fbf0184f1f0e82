public import NebulaCore

extension NebulaError.Code {
  /// Compressed input is damaged.
  public static let corruptCompression: Self = "formats.corrupt_compression"
  /// Compressed input ends in the middle.
  public static let truncatedCompression: Self = "formats.truncated_compression"
  /// A codec refused to work.
  public static let codecFailed: Self = "formats.codec_failed"
  /// A compression level that the codec does not have.
  public static let badCompressionLevel: Self = "formats.bad_compression_level"
  /// A record is not JSON.
  public static let malformedJSON: Self = "formats.malformed_json"
  /// A record is not BSON.
  public static let malformedBSON: Self = "formats.malformed_bson"
  /// A record is not CSV.
  public static let malformedCSV: Self = "formats.malformed_csv"
}

/// The errors of this room, for the docs.
public let formatErrors: [ErrorSpecification] = [
  .init(.corruptCompression, "Compressed input is damaged.", remedy: "Write the file again from its origin."),
  .init(
    .truncatedCompression, "Compressed input ends in the middle.",
    remedy: "Copy the file again, or wait until it is complete."),
  .init(
    .codecFailed, "A compression library refused to work.", remedy: "Check the free memory; else report the defect."),
  .init(.badCompressionLevel, "The codec has no such level.", remedy: "Choose one from the range in the message."),
  .init(
    .malformedJSON, "A record is not one JSON value in UTF-8.",
    remedy: "Correct the record at its origin; it is in the dead letters."),
  .init(
    .malformedBSON, "A record is not a BSON document.",
    remedy: "Correct the record at its origin; it is in the dead letters."),
  .init(
    .malformedCSV, "A row's quoting is wrong.", remedy: "Correct the row at its origin, or set `delimiter` and `quote`."
  ),
  .init(.badParquetSchema, "The columns of a Parquet file can't be.", remedy: "See the message; correct the columns."),
  .init(
    .parquetMisfit, "A value does not fit its Parquet column.",
    remedy: "Correct the record at its origin, or the column's type; the record is in the dead letters."),
  .init(
    .parquetTooLarge, "A value, page or file is larger than Parquet can say.",
    remedy: "Leave the value out, split it, or write smaller files."),
  .init(.parquetRow, "A row was not written whole.", remedy: "Report the defect."),
]
