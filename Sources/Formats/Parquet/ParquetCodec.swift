public import NebulaCore

/// How the pages of a Parquet file are compressed.
public enum ParquetCodec: String, Sendable, CaseIterable, PropertyChoice {
  /// Not at all.
  case none
  /// Snappy, which has no levels.
  case snappy
  /// RFC 1952.
  case gzip
  /// RFC 8878.
  case zstd

  /// Its number in the format.
  var number: Int32 {
    switch self {
    case .none: 0
    case .snappy: 1
    case .gzip: 2
    case .zstd: 6
    }
  }

  /// The levels that may be asked for; nil when there are none.
  public var levels: ClosedRange<Int>? {
    switch self {
    case .none, .snappy: nil
    case .gzip: Codec.gzip.levels
    case .zstd: Codec.zstd.levels
    }
  }
}
