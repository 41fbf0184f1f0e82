import Glibc
import NebulaCore
import NebulaFormats

/// CSV: one row a record, as wide as the schema; blank lines are no records.
///
/// A quote that is never closed would swallow the rest of the file: then its first line is rejected, and the rows
/// start again at the next line.
struct RowCutter: RecordCutter {
  var found: CutRecords
  let limit: Int
  private let schema: RecordSchema
  private let dialect: CSVDialect
  private let typed: Bool
  private var scanner: CSVRowScanner
  /// Where the scanner's offset 0 lies in the buffer.
  private var base = 0
  private let scratch = OutputBuffer()
  /// Rows that need no closer look; nil where each does, since columns have types.
  private let run: CSVRun?

  init(_ found: CutRecords, _ schema: RecordSchema, limit: Int) {
    self.found = found
    self.limit = limit
    self.schema = schema
    dialect = CSVDialect(schema)
    typed = schema.columns.contains { $0.type != .text }
    run = typed ? nil : CSVRun(dialect, width: schema.columns.count, refusesBlanks: false)
    scanner = CSVRowScanner(dialect)
  }

  mutating func scan(_ bytes: UnsafeRawBufferPointer, ended: Bool) {
    repeat {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[base...])
      while !found.isFull {
        if takeRun(rest) { continue }
        guard let row = scanner.next(in: rest) else { break }
        take(rest, row, end: base + scanner.consumed)
      }
      guard ended, !found.isFull, found.consumed < bytes.count else { return }
      if !scanner.isInsideQuotes, let row = scanner.finish(in: rest) {
        take(rest, row, end: bytes.count)
        found.endsOpen = true
      }
    } while found.consumed < bytes.count && rejectLine(bytes, because: unclosed, ended: true)
  }

  private var unclosed: NebulaError {
    NebulaError(
      .fileBadLine, "A quote that opens in this line is never closed.",
      remedy: "Close it, or set `quote`; the rows behind this line were read as if it were not there.",
      disposition: .reject)
  }

  /// Takes rows that one look shows to be right; false when the next row is none of those.
  private mutating func takeRun(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let run, scanner.isAtRow else { return false }
    let start = scanner.consumed
    let size = run.look(UnsafeRawBufferPointer(rebasing: bytes[start...]))
    var rows = 0
    while rows < run.count, !found.isFull, run.row(rows).count <= limit {
      let row = run.row(rows)
      keep(start + row.lowerBound..<start + row.upperBound)
      rows += 1
    }
    guard rows > 0 else { return false }
    scanner.skip(rows: rows, bytes: rows < run.count ? run.row(rows).lowerBound : size)
    found.lines += UInt64(rows)
    found.consumed = base + scanner.consumed
    return true
  }

  private mutating func take(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, end: Int) {
    let row = UnsafeRawBufferPointer(rebasing: bytes[range])
    if !row.isEmpty {
      if let error = problem(row) { found.reject(row, .csv, error) } else { keep(range) }
    }
    found.lines += 1 + newlines(row)
    found.consumed = end
  }

  private mutating func keep(_ range: Range<Int>) {
    found.records.append(ByteRange(UInt32(base + range.lowerBound), UInt32(base + range.upperBound)))
  }

  private func newlines(_ row: UnsafeRawBufferPointer) -> UInt64 {
    guard let start = row.baseAddress, memchr(start, 0x0A, row.count) != nil else { return 0 }
    return row.reduce(into: UInt64(0)) { $0 += $1 == 0x0A ? 1 : 0 }
  }

  private mutating func problem(_ row: UnsafeRawBufferPointer) -> NebulaError? {
    if row.count > limit { return found.tooLong(limit) }
    var fields = CSVFields(row, dialect: dialect)
    var width = 0
    var bad: NebulaError?
    while let field = fields.next() {
      if typed, width < schema.columns.count, bad == nil { bad = misfit(row, field, schema.columns[width]) }
      width += 1
    }
    if let problem = fields.problem { return badRow("\(problem.reason), at byte \(problem.offset)") }
    if width != schema.columns.count {
      return NebulaError(
        .fileWrongWidth, "The row has \(width) fields, the header has \(schema.columns.count).",
        remedy: "Mend the row; its text is in the dead letters.", disposition: .reject)
    }
    return bad ?? (UTF8Text.isValid(row) ? nil : badRow("not UTF-8"))
  }

  private func badRow(_ reason: String) -> NebulaError {
    NebulaError(
      .fileBadLine, "The row is not CSV: \(reason).", remedy: "Mend the row; its text is in the dead letters.",
      disposition: .reject)
  }

  private func misfit(_ row: UnsafeRawBufferPointer, _ field: CSVField, _ column: RecordSchema.Column) -> NebulaError? {
    guard column.type != .text, !(field.range.isEmpty && !field.isQuoted) else { return nil }
    func check(_ value: UnsafeRawBufferPointer) -> NebulaError? {
      CSVValue.fits(value, column.type) ? nil : CSVValue.misfit(value, column)
    }
    let raw = UnsafeRawBufferPointer(rebasing: row[field.range])
    guard field.needsUnquoting else { return check(raw) }
    scratch.removeAll()
    CSVText.unquote(raw, dialect: dialect, into: scratch)
    return scratch.withBytes { check($0) }
  }

  mutating func rejectLine(_ bytes: UnsafeRawBufferPointer, because error: NebulaError, ended: Bool) -> Bool {
    guard let end = lineEnd(bytes, from: found.consumed, ended: ended) else { return false }
    found.reject(UnsafeRawBufferPointer(rebasing: bytes[found.consumed..<end]), .csv, error)
    found.consumed = min(end + 1, bytes.count)
    found.lines += 1
    base = found.consumed
    scanner = CSVRowScanner(dialect)
    return true
  }
}
