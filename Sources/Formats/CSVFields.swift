internal import CNebulaKernels

/// One field of a row.
public struct CSVField: Sendable, Hashable {
  /// Its bytes in the row, without the quotes around it.
  public let range: Range<Int>
  /// True when quotes stood around it: `""` is an empty text where nothing at all may mean null.
  public let isQuoted: Bool
  /// True when quotes are doubled in it: `CSVText.unquote` gives its content.
  public let needsUnquoting: Bool
}

/// Walks the fields of one row without allocating. A row always has at least one field.
public struct CSVFields {
  private let row: UnsafeRawBufferPointer
  private let dialect: CSVDialect
  private var at = 0
  private var ended = false
  /// Why the walk ended before the row's end; nil when it did not.
  public private(set) var problem: CSVProblem?

  /// Starts at the row's first field; `row` is what `CSVRowScanner` gave.
  public init(_ row: UnsafeRawBufferPointer, dialect: CSVDialect) {
    self.row = row
    self.dialect = dialect
  }

  /// The next field; nil behind the last, and at a problem.
  public mutating func next() -> CSVField? {
    guard !ended else { return nil }
    guard at < row.count, let base = row.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
      ended = true
      return CSVField(range: row.count..<row.count, isQuoted: false, needsUnquoting: false)
    }
    if base[at] == dialect.quote { return quoted(base) }
    let start = at
    at += nebula_find_byte(base + at, row.count - at, dialect.delimiter)
    let field = CSVField(range: start..<at, isQuoted: false, needsUnquoting: false)
    step()
    return field
  }

  /// Over the delimiter, or to the end.
  private mutating func step() {
    if at < row.count { at += 1 } else { ended = true }
  }

  private mutating func quoted(_ base: UnsafePointer<UInt8>) -> CSVField? {
    let start = at + 1
    var doubled = false
    at = start
    while true {
      at += nebula_find_byte(base + at, row.count - at, dialect.quote)
      guard at < row.count else { return fail("a quote that is never closed", start - 1) }
      guard at + 1 < row.count, base[at + 1] == dialect.quote else { break }
      doubled = true
      at += 2
    }
    let field = CSVField(range: start..<at, isQuoted: true, needsUnquoting: doubled)
    at += 1
    guard at == row.count || base[at] == dialect.delimiter else { return fail("text behind a closing quote", at) }
    step()
    return field
  }

  private mutating func fail(_ reason: String, _ offset: Int) -> CSVField? {
    ended = true
    problem = CSVProblem(offset: offset, reason: reason)
    return nil
  }
}
