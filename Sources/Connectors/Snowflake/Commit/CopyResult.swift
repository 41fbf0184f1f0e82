internal import NebulaCore

/// What a load left out of one file, as COPY says it.
struct LeftOut: Sendable, Hashable {
  let file: StagedFile
  /// How many of its rows.
  let rows: UInt64
  /// Of its first bad row.
  let error: LoadError
  let queryID: String
}

/// Why a row can't be loaded, in Snowflake's words.
struct LoadError: Sendable, Hashable {
  var text: String
  /// In the file, from 1.
  var line: Int?
  var character: Int?
  var column: String?
}

/// Reads what COPY says of each file, and takes nothing for success but LOADED with every row, or exactly those left out
/// that the manifest names already.
struct CopyResult {
  /// What was left out, where `onError` lets rows be left out and the manifest does not know of it yet. Throws unless
  /// each of `files` is spoken of, once, and every row of it was loaded or is counted as bad.
  static func check(
    _ result: QueryResult, of statement: CopyStatement? = nil, against files: [StagedFile], table: TableName,
    onError: OnError = .abort
  ) throws(NebulaError) -> [LeftOut] {
    var missing = Dictionary(uniqueKeysWithValues: files.map { ($0.name, $0) })
    var leftOut: [LeftOut] = []
    for row in 0..<result.rows.count {
      guard let path = result[row, "file"] else { continue }  // "Copy executed with 0 files processed."
      let name = String(path.split(separator: "/").last ?? "")
      guard let file = missing.removeValue(forKey: name) else {
        throw incomplete(table, "it speaks of \(shortened(path)), which was not asked for or comes twice", result)
      }
      if status(row, result) == "LOADED", file.rejected > 0, let statement {
        throw changed("loads rows of \(file.name) that it left out before", statement, table, result.queryID)
      }
      if let found = try check(file, row, result, table, onError) { leftOut.append(found) }
    }
    if let file = missing.values.min(by: { $0.name < $1.name }) {
      // Where errors are passed over, a file that is not there may be one: `recover` looks for it.
      throw incomplete(
        table, "\(missing.count) files were left out, among them \(file.name)", result,
        disposition: onError == .abort ? .stop : .reconnect)
    }
    return leftOut
  }

  private static func check(
    _ file: StagedFile, _ row: Int, _ result: QueryResult, _ table: TableName, _ onError: OnError
  ) throws(NebulaError) -> LeftOut? {
    let status = status(row, result)
    func number(_ name: String) -> UInt64? { result[row, name].flatMap { UInt64($0) } }
    let loaded = number("rows_loaded") ?? 0
    if status == "LOADED", loaded == file.rows, file.rejected == 0 { return nil }
    if onError == .skipRow, status == "PARTIALLY_LOADED", file.rejected > 0, loaded == file.loaded,
      number("errors_seen") == file.rejected
    {
      return nil
    }
    guard onError != .abort, ["PARTIALLY_LOADED", "LOAD_FAILED"].contains(status) else {
      guard status == "LOADED" else {
        let reason =
          status == "LOAD_SKIPPED" ? "Snowflake has seen this file before and skipped it" : "its status is \(status)"
        throw incomplete(table, "\(file.name) was not loaded: \(reason)\(firstError(result, row))", result)
      }
      throw incomplete(
        table, "\(file.name) has \(file.loaded) rows to be loaded, of which \(loaded) were\(firstError(result, row))",
        result)
    }
    guard number("rows_parsed") == file.rows, let errors = number("errors_seen"), errors > 0 else {
      throw incomplete(
        table,
        "\(file.name) has \(file.rows) rows, of which \(number("rows_parsed") ?? 0) could be read"
          + firstError(result, row), result, disposition: .reconnect)
    }
    let isWhole = onError == .skipFile && loaded == 0
    guard isWhole || (onError == .skipRow && loaded <= file.rows && file.rows - loaded == errors) else {
      throw incomplete(
        table,
        "\(file.name) has \(file.rows) rows, of which \(loaded) were loaded and \(errors) are said to be bad"
          + firstError(result, row), result)
    }
    return LeftOut(
      file: file, rows: isWhole ? file.rows : errors,
      error: LoadError(
        text: result[row, "first_error"] ?? "no reason given",
        line: number("first_error_line").flatMap { Int(exactly: $0) },
        character: number("first_error_character").flatMap { Int(exactly: $0) },
        column: result[row, "first_error_column_name"]),
      queryID: result.queryID)
  }

  private static func status(_ row: Int, _ result: QueryResult) -> String { result[row, "status"] ?? "" }

  private static func firstError(_ result: QueryResult, _ row: Int) -> String {
    guard let text = result[row, "first_error"] else { return "" }
    return " (\(text)\(result[row, "first_error_line"].map { ", line \($0)" } ?? ""))"
  }

  private static func incomplete(
    _ table: TableName, _ problem: String, _ result: QueryResult, disposition: NebulaError.Disposition = .stop
  ) -> NebulaError {
    NebulaError(
      .copyIncomplete, "COPY into \(table.sql) did not load each file whole: \(problem). Nothing was loaded.",
      remedy: "Look the query up in Snowflake's history; the files are still in the stage.",
      at: .init(path: table.sql), native: "query \(result.queryID)", disposition: disposition)
  }

  /// The load leaves out other rows than it did when the manifest was made.
  static func changed(_ leftOut: [LeftOut], _ statement: CopyStatement, table: TableName) -> NebulaError? {
    guard let first = leftOut.first else { return nil }
    return changed(
      "leaves \(first.rows) rows of \(first.file.name) out, and not \(first.file.rejected) as before: \(first.error.text)",
      statement, table, first.queryID)
  }

  private static func changed(
    _ what: String, _ statement: CopyStatement, _ table: TableName, _ query: String
  ) -> NebulaError {
    NebulaError(
      .copyIncomplete, "COPY into \(table.sql) now \(what). Nothing was loaded.",
      remedy: "The table was changed since. Change it back and run again, or REMOVE \(statement.epochLocation) and run "
        + "again: the epoch is then read anew.", at: .init(path: table.sql), native: "query \(query)")
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
    // What the account lacks has such a state at times (090073), and is no row's fault.
    guard server.error(trying: "COPY").code == .statementFailed,
      server.sqlState?.hasPrefix("22") == true || server.message.contains("File '")
    else { return nil }
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

  /// The number of the row in the error of `rejection`.
  static func rowNumber(in server: ServerError) -> UInt64? {
    text(after: "\n  Row ", in: server.message).flatMap { UInt64($0) }
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
