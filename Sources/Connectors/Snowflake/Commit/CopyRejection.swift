internal import NebulaCore

/// A COPY that was refused for one row: the error, and where the row is to be read.
struct CopyRejection: Sendable {
  private let error: NebulaError
  private let row: UInt64?
  private let table: StagedTable
  private let file: StagedFile?

  init(_ error: NebulaError, _ row: UInt64?, _ table: StagedTable, _ statement: CopyStatement) {
    self.error = error
    self.table = table
    let name = error.place?.path.split(separator: "/").last.map(String.init)
    file = statement.files.first { $0.name == name }
    // For JSON a line is a row, also where the message names no row.
    self.row = row ?? (table.layout.format == .json ? error.place?.line.flatMap { UInt64(exactly: $0) } : nil)
  }

  /// The error with the row itself: Snowflake names the value only at times. As it is where the row can't be read.
  func error(showingRowOf stage: any Stage) async -> NebulaError {
    guard let file, let row else { return error }
    var text: String?
    try? await stage.read(file, of: table) { (found) throws(NebulaError) in
      guard found.number == row else { return }
      text = String(decoding: found.bytes.prefix(400), as: UTF8.self)
    }
    guard let text else { return error }
    return NebulaError(
      error.code, "\(error.message) The row: \(shortened(text, to: 300))", remedy: error.remedy, at: error.place,
      native: error.native, disposition: error.disposition, exit: error.exit)
  }
}
