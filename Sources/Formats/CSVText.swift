internal import CNebulaKernels

/// Writes and reads single CSV fields.
public enum CSVText {
  /// Appends a field, in quotes where they are needed: with a delimiter, quote, `\r`, `\n`, or a space or tab at
  /// either end. An empty text is quoted only by `alwaysQuote` (so that it differs from null).
  public static func appendField(
    _ bytes: UnsafeRawBufferPointer, dialect: CSVDialect, to output: OutputBuffer, alwaysQuote: Bool = false
  ) {
    if alwaysQuote || needsQuotes(bytes, dialect) {
      appendQuoted(bytes, dialect, output)
    } else {
      output.append(short: bytes)
    }
  }

  /// Appends a row's line end. `start` is where the row began: a row of one empty field is written `""`, since readers
  /// pass over a blank line.
  public static func endRow(
    from start: Int, dialect: CSVDialect, in output: OutputBuffer, with end: StaticString = "\n"
  ) {
    if output.count == start {
      output.append(dialect.quote)
      output.append(dialect.quote)
    }
    output.append(end)
  }

  private static func needsQuotes(_ bytes: UnsafeRawBufferPointer, _ dialect: CSVDialect) -> Bool {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return false }
    if isBlank(bytes[0]) || isBlank(bytes[bytes.count - 1]) { return true }
    let special = nebula_find_any4(
      base.assumingMemoryBound(to: UInt8.self), bytes.count, dialect.delimiter, dialect.quote, UInt8(ascii: "\n"),
      UInt8(ascii: "\r"))
    return special < bytes.count
  }
  private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

  private static func appendQuoted(_ bytes: UnsafeRawBufferPointer, _ dialect: CSVDialect, _ output: OutputBuffer) {
    output.append(dialect.quote)
    appendDoubled(bytes, dialect, output)
    output.append(dialect.quote)
  }
  private static func appendDoubled(_ bytes: UnsafeRawBufferPointer, _ dialect: CSVDialect, _ output: OutputBuffer) {
    guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
    // In pieces, so that the room for the worst case stays small.
    for start in stride(from: 0, to: bytes.count, by: 16 << 10) {
      let count = min(16 << 10, bytes.count - start)
      output.withSpare(minimum: count * 2 + 16) { room in
        guard let out = room.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
        return nebula_double_quotes(out, base + start, count, dialect.quote)
      }
    }
  }

  /// Appends the content of a field's bytes (those between its quotes): each doubled quote once.
  public static func unquote(_ bytes: UnsafeRawBufferPointer, dialect: CSVDialect, into output: OutputBuffer) {
    guard let start = bytes.baseAddress else { return }
    let base = start.assumingMemoryBound(to: UInt8.self)
    var at = 0
    while at < bytes.count {
      let found = at + nebula_find_byte(base + at, bytes.count - at, dialect.quote)
      let end = min(found + 1, bytes.count)
      output.append(UnsafeRawBufferPointer(start: start + at, count: end - at))
      at = min(end + 1, bytes.count)
      if found == bytes.count { break }
    }
  }

  /// A field's content as a text, for headers.
  public static func text(of field: CSVField, in row: UnsafeRawBufferPointer, dialect: CSVDialect) -> String {
    let bytes = UnsafeRawBufferPointer(rebasing: row[field.range])
    guard field.needsUnquoting else { return String(decoding: bytes, as: UTF8.self) }
    let output = OutputBuffer(capacity: bytes.count)
    unquote(bytes, dialect: dialect, into: output)
    return output.withBytes { String(decoding: $0, as: UTF8.self) }
  }
}
