public import NebulaCore

extension NebulaError.Code {
  /// The columns of a Parquet file can't be.
  public static let badParquetSchema: Self = "formats.bad_parquet_schema"
  /// A value does not fit its Parquet column.
  public static let parquetMisfit: Self = "formats.parquet_misfit"
  /// A row, page or file is larger than Parquet can say.
  public static let parquetTooLarge: Self = "formats.parquet_too_large"
  /// A row of a Parquet file does not have one value for each column.
  public static let parquetRow: Self = "formats.parquet_row"
}

extension ParquetColumn {
  /// The error of a value that the column can't take.
  @usableFromInline func misfit(_ what: String, _ why: String? = nil) -> NebulaError {
    NebulaError(
      .parquetMisfit,
      "Column `\(leaf.description)` is \(type.description) and can't take \(what)\(why.map { ", " + $0 } ?? "").",
      remedy: "Correct the record at its origin, or the column's type.", disposition: .reject)
  }
  func misfit(_ text: UnsafeRawBufferPointer, _ why: String? = nil) -> NebulaError {
    let start = String(decoding: text.prefix(60), as: UTF8.self)
    return misfit("`\(start)\(text.count > 60 ? "…" : "")`", why)
  }
  func tooLarge(_ what: String) -> NebulaError {
    NebulaError(
      .parquetTooLarge, "Column `\(leaf.description)` can't take \(what): Parquet's pages have less than 2 GiB.",
      remedy: "Leave the value out, or split it.", disposition: .reject)
  }
}
