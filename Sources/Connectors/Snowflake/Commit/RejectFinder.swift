internal import NebulaCore
internal import NebulaFormats
internal import NebulaHTTP

/// Fetches the rows that a load left out, as they were staged, with Snowflake's reason for each.
struct RejectFinder: Sendable {
  let pool: SessionPool
  let stage: any Stage
  let options: SnowflakeOptions
  let copyOptions: CopyOptions
  let context: ConnectorContext
  let epoch: EpochID

  /// A row that was left out.
  struct Row: Sendable, Hashable {
    let file: StagedFile
    let number: UInt64
    let line: Int
    let bytes: [UInt8]
    /// Its staged name when it is loaded alone.
    var name: String { hexText(Crypto.sha256(bytes)) }
  }

  /// So many rows are asked about one by one; the others get the reason of their file's first bad row.
  static let maxAsked = 1000

  func records(of leftOut: [TableLeftOut]) async throws -> [RejectedRecord] {
    var records: [RejectedRecord] = []
    var bytes = 0
    for table in leftOut {
      let rows = try await self.rows(of: table, bytes: &bytes)
      let reasons = copyOptions.onError == .skipFile ? [:] : try await self.reasons(rows, table.table)
      for row in rows {
        guard let found = table.files.first(where: { $0.file.name == row.file.name }) else { continue }
        records.append(record(row, found, reasons[row.name], table.table))
      }
    }
    return records
  }

  // MARK: which

  private func rows(of table: TableLeftOut, bytes: inout Int) async throws -> [Row] {
    let wanted = copyOptions.onError == .skipFile ? nil : try await numbers(table)
    var rows: [Row] = []
    for leftOut in table.files {
      let numbers = wanted?[leftOut.file.name].map { Set($0) }
      var size = bytes
      var found: [Row] = []
      try await stage.read(leftOut.file, of: table.table) { (row) throws(NebulaError) in
        guard numbers?.contains(row.number) ?? true else { return }
        size += row.bytes.count
        guard size <= Replacement.maxBytes else {
          throw Replacement.tooMany(
            "more than \(Replacement.maxBytes >> 20) MiB", leftOut.error, table.table, stage.name, epoch)
        }
        found.append(Row(file: leftOut.file, number: row.number, line: row.line, bytes: [UInt8](row.bytes)))
      }
      bytes = size
      rows += found
    }
    return rows
  }

  /// The numbers of the bad rows of each file.
  private func numbers(_ table: TableLeftOut) async throws -> [String: [UInt64]] {
    try await aside(table.table) { session, scratch in
      var numbers: [String: [UInt64]] = [:]
      for leftOut in table.files {
        let statement = scratch.load(table.table, [leftOut.file], stage: stage.name, options: copyOptions)
        let found = try CopyResult.check(
          try await session.query(statement.text, trying: "COPY into a temporary table like \(table.table.table.sql)"),
          against: [leftOut.file], table: scratch.table, onError: .skipRow)
        guard found.map(\.rows) == [leftOut.rows] else { throw changed(leftOut, table.table) }
        let gaps = try await session.query(
          scratch.gaps(rows: leftOut.file.rows), trying: "Looking which rows were left out")
        guard let missing = RejectScratch.missing(gaps, rows: leftOut.file.rows, count: leftOut.rows) else {
          throw changed(leftOut, table.table)
        }
        numbers[leftOut.file.name] = missing
        try await session.succeed(scratch.empty, trying: "Emptying a temporary table")
      }
      return numbers
    }
  }

  // MARK: why

  /// Each row alone in a file, and what COPY says of it: its own reason, and the proof that it is the one that is bad.
  private func reasons(_ rows: [Row], _ table: StagedTable) async throws -> [String: LoadError] {
    let asked = Array(
      Dictionary(rows.prefix(Self.maxAsked).map { ($0.name, $0) }, uniquingKeysWith: { a, _ in a }).values)
    // A part of number 0, which no file of the epoch has.
    let prefix = "\(epoch)-0-"
    let files = asked.map {
      StagedFile(name: "\(prefix)\($0.name)", rows: 1, bytes: UInt64($0.bytes.count + 1), sha256: "")
    }
    try await upload(asked, prefix, table)
    var alone = table
    alone.compression = .none
    let plain = alone
    let reasons = try await aside(table) { session, scratch in
      var reasons: [String: LoadError] = [:]
      for start in stride(from: 0, to: files.count, by: 500) {
        let part = Array(files[start..<min(start + 500, files.count)])
        let statement = scratch.load(plain, part, stage: stage.name, options: copyOptions)
        let result = try await session.query(
          statement.text, trying: "COPY of single rows into a temporary table like \(table.table.sql)")
        for leftOut in try CopyResult.check(result, against: part, table: scratch.table, onError: .skipRow) {
          reasons[String(leftOut.file.name.dropFirst(prefix.count))] = leftOut.error
        }
      }
      return reasons
    }
    await remove(prefix, table)
    guard reasons.count == asked.count else {
      throw NebulaError(
        .copyIncomplete,
        "COPY into \(table.table.sql) leaves rows out of a file that it takes one by one: which they are can't be told.",
        remedy:
          "Look at the table's constraints and the dead letters' file; ON_ERROR: ABORT_STATEMENT names the first row.",
        at: .init(path: table.table.sql))
    }
    return reasons
  }

  private func upload(_ rows: [Row], _ prefix: String, _ table: StagedTable) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, row) in rows.enumerated() {
        if index >= 8 { try await group.next() }
        group.addTask { try await self.upload(row, "\(prefix)\(row.name)", table.folder) }
      }
      try await group.waitForAll()
    }
  }

  private func upload(_ row: Row, _ name: String, _ folder: String) async throws {
    let preparation = try await stage.preparation(folder: folder, file: name, .none)
    let plain = row.bytes + [UInt8(ascii: "\n")]
    let body = try preparation.encryption.map { try Crypto.aesCBCEncrypt(plain, key: $0.fileKey, iv: $0.iv) } ?? plain
    let staged = StagedBody(
      body: .bytes(body), sha256: Crypto.sha256(plain), md5: preparation.needsMD5 ? Crypto.md5(body) : nil)
    try await stage.upload(staged, file: name, folder: folder, encryption: preparation.encryption, .none)
  }

  private func remove(_ prefix: String, _ table: StagedTable) async {
    do { try await stage.remove(table.folder, prefix: prefix) } catch {
      // The epoch's files go by the same prefix later.
      context.log.debug("Single rows stay in the stage: \(error)")
    }
  }

  // MARK: the scratch table

  /// Runs `body` with a temporary table in a session of its own, which ends with it.
  private func aside<R: Sendable>(
    _ table: StagedTable, _ body: @Sendable (Session, RejectScratch) async throws -> R
  ) async throws -> R {
    let scratch = RejectScratch(like: table.copyTarget, epoch: epoch)
    return try await pool.with { session in
      do {
        try await session.succeed(
          scratch.create, trying: "Making a temporary table like \(table.table.sql)",
          grant: Grants.create("TEMPORARY TABLE", in: table.table))
      } catch {
        await session.close()
        throw error
      }
      do {
        try await session.succeed(scratch.number, trying: "Adding a column to a temporary table")
        let result = try await body(session, scratch)
        // Not by ending the session: with a passcode there may be no other.
        try await session.succeed(scratch.drop, trying: "Dropping a temporary table")
        return result
      } catch let error as NebulaError where error.code == .objectMissing {
        // The session ended meanwhile and was made anew, without the table.
        await session.close()
        throw NebulaError(
          .sessionLost, "A temporary table vanished with its session: \(error.message)",
          remedy: "Nothing: bad rows are looked for again.", native: error.native, disposition: .reconnect)
      } catch {
        await session.close()
        throw error
      }
    }
  }

  private func changed(_ leftOut: LeftOut, _ table: StagedTable) -> NebulaError {
    NebulaError(
      .copyIncomplete,
      "The rows that COPY into \(table.table.sql) left out of \(leftOut.file.name) are not found again: \(leftOut.rows) are "
        + "bad there, and another number when the file is loaded once more.",
      remedy: "The table was changed meanwhile; it is tried again.", at: .init(path: table.table.sql),
      disposition: .reconnect)
  }

  // MARK: dead letters

  private func record(_ row: Row, _ leftOut: LeftOut, _ reason: LoadError?, _ table: StagedTable) -> RejectedRecord {
    let first = leftOut.error
    let isFirst = first.line == row.line
    var message: String
    var place = NebulaError.Place(path: "\(table.folder)/\(row.file.name)", line: row.line)
    if let own = reason ?? (isFirst || leftOut.rows == 1 ? first : nil) {
      message = "COPY into \(table.table.sql) left the row out: \(own.text)\(own.column.map { ", column \($0)" } ?? "")"
      place.column = own.character
    } else if copyOptions.onError == .skipFile {
      message =
        "COPY into \(table.table.sql) left the row's file out, because of its line \(first.line ?? 0): \(first.text)"
    } else {
      message = "COPY into \(table.table.sql) left the row out. Of its file, the first error is: \(first.text)"
    }
    message = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    return RejectedRecord(
      NebulaError(
        .rowLeftOut, message, remedy: "Correct the record at its origin, or widen the column; then load it again.",
        at: place, native: "query \(leftOut.queryID)", disposition: .reject),
      payload: row.bytes, format: table.layout.format == .csv ? .csv : .json)
  }
}
