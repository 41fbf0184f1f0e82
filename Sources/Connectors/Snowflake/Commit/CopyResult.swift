internal import NebulaCore

/// Reads what COPY says of each file, and takes nothing for success but LOADED with every row.
struct CopyResult {
  /// Throws unless each of `files` was loaded whole, and nothing else was.
  static func check(_ result: QueryResult, against files: [StagedFile], table: TableName) throws(NebulaError) {
    var missing = Dictionary(uniqueKeysWithValues: files.map { ($0.name, $0) })
    for row in 0..<result.rows.count {
      guard let path = result[row, "file"] else { continue }  // "Copy executed with 0 files processed."
      let name = String(path.split(separator: "/").last ?? "")
      guard let file = missing.removeValue(forKey: name) else {
        throw incomplete(table, "it speaks of \(shortened(path)), which was not asked for or comes twice", result)
      }
      let status = result[row, "status"] ?? ""
      let loaded = result[row, "rows_loaded"].flatMap { UInt64($0) } ?? 0
      guard status == "LOADED" else {
        let reason =
          status == "LOAD_SKIPPED" ? "Snowflake has seen this file before and skipped it" : "its status is \(status)"
        throw incomplete(table, "\(name) was not loaded: \(reason)\(firstError(result, row))", result)
      }
      guard loaded == file.rows else {
        throw incomplete(
          table, "\(name) has \(file.rows) rows, of which \(loaded) were loaded\(firstError(result, row))", result)
      }
    }
    if let file = missing.values.min(by: { $0.name < $1.name }) {
      throw incomplete(table, "\(missing.count) files were left out, among them \(file.name)", result)
    }
  }

  private static func firstError(_ result: QueryResult, _ row: Int) -> String {
    guard let text = result[row, "first_error"] else { return "" }
    return " (\(text)\(result[row, "first_error_line"].map { ", line \($0)" } ?? ""))"
  }

  private static func incomplete(_ table: TableName, _ problem: String, _ result: QueryResult) -> NebulaError {
    NebulaError(
      .copyIncomplete, "COPY into \(table.sql) did not load each file whole: \(problem). Nothing was loaded.",
      remedy: "Look the query up in Snowflake's history; the files are still in the stage.",
      at: .init(path: table.sql), native: "query \(result.queryID)")
  }

  /// The error of a COPY that did not find a file: `recover` sees that it is missing, and the epoch is read again.
  static func missingFile(_ server: ServerError, table: TableName) -> NebulaError? {
    guard server.number == "091016" else { return nil }
    return NebulaError(
      .copyIncomplete, "COPY into \(table.sql) did not find a staged file: \(server.message) Nothing was loaded.",
      remedy: "Find out who removes files from the stage; the epoch is read again.", at: .init(path: table.sql),
      native: server.native, disposition: .reconnect)
  }

  /// The error of a COPY that found a row it can't take, with file, line and column as Snowflake names them.
  static func rejection(_ server: ServerError, of statement: CopyStatement, table: TableName) -> NebulaError? {
    guard server.sqlState?.hasPrefix("22") == true || server.message.contains("File '") else { return nil }
    let reason = server.message.split(whereSeparator: \.isNewline).first.map(String.init) ?? server.message
    let column = text(after: "column ", in: server.message)
    var place = NebulaError.Place(path: quotedText(after: "File '", in: server.message) ?? table.sql)
    place.line = text(after: "line ", in: server.message).flatMap { Int($0) }
    place.column = text(after: "character ", in: server.message).flatMap { Int($0) }
    return NebulaError(
      .copyRejected,
      "COPY into \(table.sql) found a row that it can't take\(column.map { ", column \($0)" } ?? ""): \(reason) "
        + "Nothing was loaded.",
      remedy:
        "Widen the column (ALTER TABLE \(table.sql) ALTER COLUMN … SET DATA TYPE …) and run again: the same files "
        + "are loaded. Or correct the row at its origin, REMOVE \(statement.epochLocation) and run again: the epoch is "
        + "then read anew.",
      at: place, native: server.native)
  }

  private static func quotedText(after mark: String, in message: String) -> String? {
    guard let range = message.firstRange(of: mark) else { return nil }
    return String(message[range.upperBound...].prefix { $0 != "'" })
  }

  private static func text(after mark: String, in message: String) -> String? {
    guard let range = message.firstRange(of: mark) else { return nil }
    let text = message[range.upperBound...].prefix { $0 != "," && !$0.isNewline && $0 != " " }
    return text.isEmpty ? nil : String(text)
  }
}
