import NebulaCore
import NebulaFormats
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

/// What may be left out by a load, and what never.
@Suite struct LeftOutTests {
  private let table = TableName(
    database: Identifier(exactly: "RAW"), schema: Identifier(exactly: "SHOP"), name: Identifier(exactly: "T"))
  private func file(_ name: String, _ rows: UInt64, rejected: UInt64 = 0) -> StagedFile {
    StagedFile(name: name, rows: rows, bytes: 9, sha256: "", rejected: rejected)
  }

  /// status, rows_parsed, rows_loaded, errors_seen
  private func check(
    _ file: StagedFile, _ row: (String, Int, Int, Int), _ onError: OnError
  ) throws(NebulaError) -> [LeftOut] {
    let columns = [
      "file", "status", "rows_parsed", "rows_loaded", "error_limit", "errors_seen", "first_error", "first_error_line",
      "first_error_character", "first_error_column_name",
    ]
    let cells: [String?] = [
      "st/\(file.name)", row.0, "\(row.1)", "\(row.2)", "9", "\(row.3)", row.3 > 0 ? "bad 'x'" : nil, "3", "7", "\"C\"",
    ]
    return try CopyResult.check(
      QueryResult(columns: columns, rows: [cells], queryID: "q"), against: [file], table: table, onError: onError)
  }

  @Test func nothingIsLeftOutUnlessItIsAskedFor() throws {
    #expect(try check(file("a", 5), ("LOADED", 5, 5, 0), .skipRow).isEmpty)
    #expect(throws: NebulaError.self) { try check(file("a", 5), ("PARTIALLY_LOADED", 5, 4, 1), .abort) }
    #expect(throws: NebulaError.self) { try check(file("a", 5), ("LOAD_FAILED", 5, 0, 5), .abort) }
    #expect(throws: NebulaError.self) { try check(file("a", 5), ("LOADED", 5, 4, 0), .skipRow) }
    #expect(throws: NebulaError.self) { try check(file("a", 5), ("LOAD_SKIPPED", 0, 0, 1), .skipRow) }
  }

  @Test func whatIsLeftOutIsCounted() throws {
    let found = try check(file("a", 5), ("PARTIALLY_LOADED", 5, 3, 2), .skipRow)
    #expect(found.map(\.rows) == [2])
    #expect(found[0].error == LoadError(text: "bad 'x'", line: 3, character: 7, column: "\"C\""))
    #expect(try check(file("a", 5), ("LOAD_FAILED", 5, 0, 5), .skipRow).map(\.rows) == [5])
    // A file that is skipped is left out whole, however many of its rows are bad.
    #expect(try check(file("a", 5), ("LOAD_FAILED", 5, 0, 2), .skipFile).map(\.rows) == [5])
    // Rows without a fate, and files that could not be read at all.
    for (row, onError) in [
      (("PARTIALLY_LOADED", 5, 3, 1), OnError.skipRow), (("PARTIALLY_LOADED", 5, 3, 3), .skipRow),
      (("PARTIALLY_LOADED", 4, 3, 1), .skipRow), (("LOAD_FAILED", 0, 0, 1), .skipRow),
      (("LOAD_FAILED", 5, 0, 4), .skipRow), (("PARTIALLY_LOADED", 5, 3, 2), .skipFile),
      (("LOAD_FAILED", 5, 0, 0), .skipFile), (("LOAD_FAILED", 0, 0, 1), .skipFile),
    ] {
      #expect(throws: NebulaError.self, "\(row)") { try check(file("a", 5), row, onError) }
    }
  }

  @Test func theNextLoadMustLeaveOutTheSame() throws {
    let known = file("a", 5, rejected: 2)
    #expect(try check(known, ("PARTIALLY_LOADED", 5, 3, 2), .skipRow).isEmpty)
    #expect(throws: NebulaError.self) { try check(known, ("LOADED", 5, 5, 0), .skipRow) }
    #expect(throws: NebulaError.self) { try check(known, ("PARTIALLY_LOADED", 5, 3, 2), .abort) }
    // Other counts are told apart, and the committer refuses them.
    for row in [("PARTIALLY_LOADED", 5, 4, 1), ("PARTIALLY_LOADED", 5, 2, 3), ("LOAD_FAILED", 5, 0, 5)] {
      let found = try check(known, row, .skipRow)
      let staged = StagedTable(table: table, layout: .documents, compression: .zstd, folder: "f", files: [known])
      let statement = CopyStatement.all(for: staged, stage: table, options: try CopyOptions([:]), limit: 9)[0]
      #expect(CopyResult.changed(found, statement, table: table)?.code == .copyIncomplete, "\(row)")
      #expect(CopyResult.changed([], statement, table: table) == nil)
    }
  }

  @Test func optionsAndStatements() throws {
    #expect(try CopyOptions(["on_error": "continue"]).onError == .skipRow)
    #expect(try CopyOptions(["ON_ERROR": "SKIP_FILE"]).onError == .skipFile)
    #expect(try CopyOptions([:]).onError == .abort)
    for bad in ["SKIP_FILE_3", "SKIP_FILE_10%", "IGNORE"] {
      #expect(throws: NebulaError.self) { try CopyOptions(["ON_ERROR": bad]) }
    }
    var staged = StagedTable(
      table: table, layout: .documents, compression: .zstd, folder: "f",
      files: [file("a", 5), file("b", 5, rejected: 5), file("c", 5)])
    let texts = CopyStatement.all(
      for: staged, stage: table, options: try CopyOptions(["ON_ERROR": "CONTINUE"]), limit: 9
    ).map(\.text)
    #expect(texts.count == 1 && texts[0].contains("FILES = ('a', 'c')") && texts[0].contains("ON_ERROR = CONTINUE"))
    // A table of which rows are known to be bad is loaded without them, also when the configuration has changed since.
    #expect(try CopyOptions([:]).fitting(staged).onError == .abort)
    staged.files[2].rejected = 1
    #expect(try CopyOptions([:]).fitting(staged).onError == .skipRow)
    staged.files = [file("b", 5, rejected: 5)]
    #expect(CopyStatement.all(for: staged, stage: table, options: try CopyOptions([:]), limit: 9).isEmpty)
    let scratch = RejectScratch(like: table, epoch: .at(1, 2))
    staged.layout = .csv([LoadColumn(name: Identifier(exactly: "A"), type: "NUMBER(4,2)", field: "a")])
    let load = scratch.load(
      staged, [file("a", 5)], stage: table, options: try CopyOptions(["ON_ERROR": "CONTINUE"]))
    #expect(
      load.text.hasPrefix(
        "COPY INTO \"RAW\".\"SHOP\".\"NEBULA_REJECTS_1_2\" (\"A\", \"NEBULA_FILE_ROW\") FROM "
          + "(SELECT $1, METADATA$FILE_ROW_NUMBER FROM @"))
  }

  @Test func missingNumbersAreExact() {
    func missing(_ gaps: [(Int, Int)], rows: UInt64, count: UInt64) -> [UInt64]? {
      RejectScratch.missing(
        QueryResult(columns: ["BEFORE", "BEHIND"], rows: gaps.map { ["\($0.0)", "\($0.1)"] }), rows: rows, count: count)
    }
    #expect(missing([(0, 2), (4, 7), (9, 11)], rows: 10, count: 4) == [1, 5, 6, 10])
    #expect(missing([], rows: 10, count: 0) == [])
    #expect(missing([(0, 11)], rows: 10, count: 10) == Array(1...10))
    #expect(missing([(4, 7)], rows: 10, count: 1) == nil && missing([(4, 7)], rows: 10, count: 3) == nil)
    #expect(missing([(9, 12)], rows: 10, count: 2) == nil && missing([(7, 4)], rows: 10, count: 2) == nil)
    #expect(missing([(0, 1 << 62)], rows: 1 << 62, count: 3) == nil)
  }

  @Test func manifestsOfVersionOneAreRead() throws {
    let text = #"""
      {"stage":["RAW","SHOP","NEBULA_STAGE"],"tables":[{"table":["RAW","SHOP","T"],"layout":"csv","columns":[["A","NUMBER(38,0)","a"],["V","VARIANT","v"]],"compression":"GZIP","folder":"nebula/orders/T","files":[["0000000001-0000000002-000001.csv.gz",20,321,"ab12"],["0000000001-0000000002-000002.csv.gz",7,90,"cd34"]]}]}
      """#
    let old = PreparedEpoch(.at(1, 2), counts: RecordCounts(committed: 27), version: 1, manifest: Array(text.utf8))
    let manifest = try Manifest(decoding: old)
    #expect(manifest.rows == 27 && manifest.rejected == 0 && manifest.files == 2 && manifest.bytes == 411)
    #expect(manifest.tables[0].layout.columns.map(\.type) == ["NUMBER(38,0)", "VARIANT"])
    #expect(manifest.encoded == Array(text.utf8))
    for version in [0, 3] {
      let error = #expect(throws: NebulaError.self) {
        try Manifest(decoding: PreparedEpoch(.at(1, 2), counts: old.counts, version: version, manifest: old.manifest))
      }
      #expect(error?.code == .badManifest)
    }
  }

  @Test func aReplacementSaysFileByFile() throws {
    let files = [file("a", 5), file("b", 4), file("c", 3)]
    let staged = StagedTable(table: table, layout: .documents, compression: .zstd, folder: "f", files: files)
    let manifest = Manifest(stage: table, tables: [staged])
    let prepared = PreparedEpoch(
      .at(1, 1), counts: RecordCounts(committed: 12, rejected: 1, filtered: 2), version: 1, manifest: manifest.encoded)
    func leftOut(_ file: Int, _ rows: UInt64) -> LeftOut {
      LeftOut(file: files[file], rows: rows, error: LoadError(text: "x"), queryID: "q")
    }
    let replacement = Replacement(leftOut: [TableLeftOut(table: staged, files: [leftOut(0, 2), leftOut(2, 3)])])
    let epoch = replacement.epoch(replacing: prepared, manifest)
    #expect(
      epoch.counts == RecordCounts(committed: 7, rejected: 6, filtered: 2) && epoch.version == 2 && !epoch.isEmpty)
    let new = try Manifest(decoding: epoch)
    #expect(
      new.tables[0].files.map(\.rejected) == [2, 0, 3] && new.tables[0].files.map(\.isLeftOut) == [false, false, true])
    #expect(new.rows == 7 && new.rejected == 5 && new.files == 2)
    try replacement.checkBounds(table, .at(1, 1))
    let error = #expect(throws: NebulaError.self) {
      try Replacement(leftOut: [TableLeftOut(table: staged, files: [leftOut(0, Replacement.maxRows + 1)])])
        .checkBounds(table, .at(1, 1))
    }
    #expect(error?.code == .tooManyLeftOut)
  }

  @Test(arguments: [1, 3, 7, 1 << 20], [FileFormat.csv, .json])
  func stagedBytesAreCutIntoRows(_ piece: Int, _ format: FileFormat) throws {
    let rows =
      format == .csv
      ? ["1,a", "2,\"two\nlines, \"\"quoted\"\"\"", ",", "\"\",\"x\ny\""] : ["{\"a\":1}", "{}", "{\"b\":\"c\"}"]
    let text = Array(rows.map { $0 + "\n" }.joined().utf8)
    let cut = StagedRows(format: format, codec: .none)
    var found: [String] = []
    var lines: [Int] = []
    let take: (StagedRows.Row) throws(NebulaError) -> Void = { row in
      found.append(String(decoding: row.bytes, as: UTF8.self))
      lines.append(row.line)
      #expect(Int(row.number) == found.count)
    }
    for start in stride(from: 0, to: text.count, by: piece) {
      try cut.add(Array(text[start..<min(start + piece, text.count)]), take)
    }
    try cut.finish(take)
    #expect(found == rows && cut.count == UInt64(rows.count))
    #expect(lines == (format == .csv ? [1, 2, 4, 5] : [1, 2, 3]))
  }
}
