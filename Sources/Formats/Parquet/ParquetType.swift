/// What one value of a Parquet column is. Every column takes nulls too.
public enum ParquetPrimitive: Sendable, Hashable {
  /// True or false.
  case boolean
  /// 32 bits, signed.
  case int32
  /// 64 bits, signed.
  case int64
  /// IEEE 754, 64 bits.
  case double
  /// UTF-8.
  case string
  /// Any JSON value as its text: a JSON string keeps its quotes. Readers see JSON, or, when it is not annotated, a text.
  case json(isAnnotated: Bool)
  /// Bytes.
  case binary
  /// Days since 1970-01-01.
  case date
  /// A point in time since 1970, in UTC; or, when `isUTC` is false, what a clock and a calendar show.
  case timestamp(ParquetTimeUnit, isUTC: Bool)
  /// `precision` digits (1…38), `scale` of them behind the point.
  case decimal(precision: Int, scale: Int)
}

/// In what a timestamp counts.
public enum ParquetTimeUnit: Sendable, Hashable {
  /// Millionths of a second.
  case microseconds
  /// Thousand millionths of a second: the years 1677 to 2262.
  case nanoseconds

  var perSecond: Int64 { self == .microseconds ? 1_000_000 : 1_000_000_000 }
  var digits: Int { self == .microseconds ? 6 : 9 }
}

/// What a field holds: one value, several fields, or any number of elements. All of them may be null.
public indirect enum ParquetType: Sendable, Hashable {
  /// One value.
  case primitive(ParquetPrimitive)
  /// Fields, one at least.
  case structure([ParquetField])
  /// Elements of one type.
  case list(ParquetType)
}

/// A name and what is held under it.
public struct ParquetField: Sendable, Hashable {
  /// Its name, told apart from its neighbours' by its bytes.
  public var name: String
  /// What it holds.
  public var type: ParquetType
  /// Describes a field.
  public init(_ name: String, _ type: ParquetType) {
    self.name = name
    self.type = type
  }
  /// Describes a flat column.
  public init(_ name: String, _ type: ParquetPrimitive) { self.init(name, .primitive(type)) }
}
