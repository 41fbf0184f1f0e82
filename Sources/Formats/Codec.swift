public import NebulaCore

/// How a file's bytes are compressed.
public enum Codec: String, Sendable, CaseIterable, PropertyChoice {
  /// Not at all.
  case none
  /// RFC 1952.
  case gzip
  /// RFC 8878.
  case zstd

  /// With its dot; empty for none.
  public var fileExtension: String {
    switch self {
    case .none: ""
    case .gzip: ".gz"
    case .zstd: ".zst"
    }
  }

  /// The levels that may be asked for.
  public var levels: ClosedRange<Int> {
    switch self {
    case .none: 0...0
    case .gzip: 0...9
    case .zstd: -7...19
    }
  }

  /// The level when none is asked for: the fastest that compresses well (isa-l 1, zstd 1).
  public var defaultLevel: Int { self == .none ? 0 : 1 }

  /// By a file's first bytes (four are enough); none when they are neither gzip's nor zstd's.
  public static func detect(magic bytes: UnsafeRawBufferPointer) -> Codec {
    if bytes.count >= 2, bytes[0] == 0x1F, bytes[1] == 0x8B { return .gzip }
    guard bytes.count >= 4, bytes[3] == 0xFD || bytes[3] == 0x18 else { return .none }
    if bytes[0] == 0x28, bytes[1] == 0xB5, bytes[2] == 0x2F { return .zstd }
    // A skippable frame may stand first.
    return bytes[0] & 0xF0 == 0x50 && bytes[1] == 0x2A && bytes[2] == 0x4D && bytes[3] == 0x18 ? .zstd : .none
  }

  /// By a file's name: `.gz`, `.gzip`, `.zst`, `.zstd` in any case, else none.
  public static func detect(path: String) -> Codec {
    let name = path.lowercased()
    if name.hasSuffix(".gz") || name.hasSuffix(".gzip") { return .gzip }
    return name.hasSuffix(".zst") || name.hasSuffix(".zstd") ? .zstd : .none
  }
}
