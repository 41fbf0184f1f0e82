public import NebulaCore

/// How a CSV text separates and quotes its fields; rows end with `\n` or `\r\n`.
public struct CSVDialect: Sendable, Hashable {
  /// Between fields: any ASCII byte but quote, `\r` and `\n`.
  public var delimiter: UInt8
  /// Around fields; doubled inside them.
  public var quote: UInt8
  /// Makes a dialect; RFC 4180's unless told otherwise.
  public init(delimiter: UInt8 = UInt8(ascii: ","), quote: UInt8 = UInt8(ascii: "\"")) {
    self.delimiter = delimiter
    self.quote = quote
  }
  /// A schema's dialect.
  public init(_ schema: RecordSchema) { self.init(delimiter: schema.delimiter, quote: schema.quote) }
}

/// Why a row is not CSV, and where in it.
public struct CSVProblem: Sendable, Hashable {
  /// The offset of the offending byte in the row.
  public let offset: Int
  /// A sentence without an end.
  public let reason: String
  /// Makes a problem.
  public init(offset: Int, reason: String) {
    self.offset = offset
    self.reason = reason
  }
  /// The error of the record; only it is at fault.
  public func error(at place: NebulaError.Place? = nil) -> NebulaError {
    NebulaError(
      .malformedCSV, "Not CSV: \(reason), at byte \(offset) of the row.",
      remedy: "Correct the row at its origin, or set `delimiter` and `quote`.", at: place, disposition: .reject)
  }
}
