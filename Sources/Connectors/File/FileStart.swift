import NebulaCore
import NebulaFormats

/// Where a file's records start, and for CSV how they look: read again whenever the file is opened.
struct FileStart {
  /// Decoded bytes and lines before the first record.
  var offset: UInt64 = 0
  var lines: UInt64 = 0
  /// CSV only.
  var schema: RecordSchema?

  private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

  /// Nil while a CSV file has no whole first row; with `isFinal`, what is there counts as whole.
  static func read(
    _ file: DecodedFile, _ format: FileFormat, _ options: FileSourceOptions, isFinal: Bool
  ) throws(NebulaError) -> FileStart? {
    var start = FileStart()
    let buffer = OutputBuffer(capacity: 65_536)
    var ended = try !more(file, buffer)
    let marked = buffer.withBytes { $0.starts(with: byteOrderMark) }
    if marked {
      start.offset = 3
      buffer.removeFirst(3)
    }
    guard format == .csv else { return start }
    let dialect = options.dialect(of: file.file.path)
    var scanner = CSVRowScanner(dialect)
    while true {
      if let row = buffer.withBytes({ scanner.next(in: $0) }) ?? (ended ? last(&scanner, buffer, isFinal) : nil) {
        let end = scanner.consumed
        if row.isEmpty, end < buffer.count || !ended {
          start.lines += 1
          continue
        }
        return try buffer.withBytes { (bytes) throws(NebulaError) in
          try start.reading(UnsafeRawBufferPointer(rebasing: bytes[row]), end, dialect, options, file.file.path)
        }
      }
      if ended { return nil }
      guard buffer.count <= options.maxLineBytes.bytes else {
        throw badHeader("is longer than max_line_bytes", file.file.path)
      }
      ended = try !more(file, buffer)
    }
  }

  private static func last(_ scanner: inout CSVRowScanner, _ buffer: OutputBuffer, _ isFinal: Bool) -> Range<Int>? {
    isFinal ? buffer.withBytes { scanner.finish(in: $0) } : nil
  }

  private static func more(_ file: DecodedFile, _ buffer: OutputBuffer) throws(NebulaError) -> Bool {
    let before = buffer.count
    try buffer.withSpare(minimum: 16_384) { (room) throws(NebulaError) in try file.read(into: room) }
    return buffer.count > before
  }

  private func reading(
    _ row: UnsafeRawBufferPointer, _ end: Int, _ dialect: CSVDialect, _ options: FileSourceOptions, _ path: String
  ) throws(NebulaError) -> FileStart {
    var start = self
    let fields = try Self.names(row, dialect, path)
    let names = options.header ? fields : fields.indices.map { "column_\($0 + 1)" }
    if options.header {
      start.offset += UInt64(end)
      start.lines += 1 + UInt64(row.count { $0 == 0x0A })
      try Self.checkDistinct(names, path)
    } else {
      start.lines = 0
    }
    try Self.checkDeclared(options.columns.keys.sorted(), names, path)
    let columns = names.map { name in
      RecordSchema.Column(name, options.columns[name].flatMap(RecordSchema.ColumnType.init) ?? .text)
    }
    start.schema = RecordSchema(columns: columns, delimiter: dialect.delimiter, quote: dialect.quote)
    return start
  }

  private static func names(
    _ row: UnsafeRawBufferPointer, _ dialect: CSVDialect, _ path: String
  ) throws(NebulaError) -> [String] {
    guard UTF8Text.isValid(row) else { throw badHeader("is not UTF-8", path) }
    var fields = CSVFields(row, dialect: dialect)
    var names: [String] = []
    while let field = fields.next() {
      let name = CSVText.text(of: field, in: row, dialect: dialect)
      names.append(name.isEmpty ? "column_\(names.count + 1)" : name)
    }
    if let problem = fields.problem { throw badHeader("has \(problem.reason)", path) }
    return names
  }

  private static func checkDistinct(_ names: [String], _ path: String) throws(NebulaError) {
    var seen: Set<String> = []
    for name in names where !seen.insert(name).inserted { throw badHeader("names the column '\(name)' twice", path) }
  }

  /// A misspelled name would leave its column text, unnoticed.
  private static func checkDeclared(_ declared: [String], _ names: [String], _ path: String) throws(NebulaError) {
    guard let unknown = declared.first(where: { !names.contains($0) }) else { return }
    let hint = closest(to: unknown, among: names).map { "Did you mean '\($0)'? " } ?? ""
    let shown = names.prefix(20).joined(separator: ", ") + (names.count > 20 ? ", …" : "")
    throw NebulaError(
      .fileUnknownColumn, "columns declares '\(unknown)', which \(path) does not have.",
      remedy: "\(hint)The file has: \(shown).", at: .init(path: path, line: 1), exit: .configuration)
  }

  private static func badHeader(_ what: String, _ path: String) -> NebulaError {
    NebulaError(
      .fileBadHeader, "The header of \(path) \(what).",
      remedy: "Mend it, or set `header: false`, `delimiter` or `quote`.", at: .init(path: path, line: 1))
  }
}
