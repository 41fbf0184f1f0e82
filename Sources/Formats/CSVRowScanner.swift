internal import CNebulaKernels

/// Finds rows in a buffer that grows at its end; a newline inside quotes is no row end.
///
/// A quote opens a quoted field only as the field's first byte, as RFC 4180 has it; elsewhere it is a byte like
/// others. Call `next` until it gives nil, drop or move the first `consumed` bytes, tell `discard` so, append, go on.
public struct CSVRowScanner: Sendable {
  private enum State { case plain, quoted, afterQuote }
  private let dialect: CSVDialect
  private var state = State.plain
  private var at = 0
  /// How many bytes of the buffer belong to rows that were given out.
  public private(set) var consumed = 0
  /// How many newlines stood in the rows given out and their ends: the line number of the next row, from 0.
  public private(set) var lines = 0

  /// Starts at offset 0, at the start of a row.
  public init(_ dialect: CSVDialect) { self.dialect = dialect }

  /// True when the bytes seen so far end inside quotes.
  public var isInsideQuotes: Bool { state == .quoted }

  /// True between rows.
  public var isAtRow: Bool { at == consumed }
  /// Passes over the next `bytes`, which are `rows` whole rows of a line each; only between rows.
  public mutating func skip(rows: Int, bytes: Int) {
    precondition(isAtRow)
    consumed += bytes
    at = consumed
    lines += rows
  }

  /// The next whole row, without its line end; nil when there is none yet. A blank line is an empty row.
  public mutating func next(in bytes: UnsafeRawBufferPointer) -> Range<Int>? {
    guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return nil }
    let newline = UInt8(ascii: "\n")
    while at < bytes.count {
      switch state {
      case .plain:
        // Only a quote or the row's end matters here; delimiters are passed over.
        at += nebula_find_either(base + at, bytes.count - at, dialect.quote, newline)
        guard at < bytes.count else { return nil }
        at += 1
        if base[at - 1] == newline { return row(endingAt: at - 1, base) }
        if at - 1 == consumed || base[at - 2] == dialect.delimiter { state = .quoted }
      case .quoted:
        let found = nebula_find_byte(base + at, bytes.count - at, dialect.quote)
        at += found
        guard at < bytes.count else { return nil }
        at += 1
        state = .afterQuote
      case .afterQuote:
        if base[at] == dialect.quote {
          state = .quoted
          at += 1
        } else {
          state = .plain
        }
      }
    }
    return nil
  }

  private mutating func row(endingAt end: Int, _ base: UnsafePointer<UInt8>) -> Range<Int> {
    let row = consumed..<(end > consumed && base[end - 1] == UInt8(ascii: "\r") ? end - 1 : end)
    consumed = end + 1
    lines += 1
    return row
  }

  /// At the end of the input: the last row if it has no line end, else nil. When `isInsideQuotes` is true after
  /// it, the row's quote was never closed (`CSVFields` reports that too).
  public mutating func finish(in bytes: UnsafeRawBufferPointer) -> Range<Int>? {
    guard consumed < bytes.count else { return nil }
    let cut = state != .quoted && bytes[bytes.count - 1] == UInt8(ascii: "\r")
    let row = consumed..<(cut ? bytes.count - 1 : bytes.count)
    consumed = bytes.count
    at = consumed
    return row
  }

  /// Says that the first `count` bytes (at most `consumed`) were dropped from the front of the buffer.
  public mutating func discard(_ count: Int) {
    precondition(count <= consumed)
    consumed -= count
    at -= count
  }
}
