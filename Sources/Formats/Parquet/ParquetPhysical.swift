/// How values are stored: Parquet's own few types, with their numbers in the format.
@usableFromInline enum ParquetPhysical: Int32 {
  case boolean = 0
  case int32 = 1
  case int64 = 2
  case double = 5
  case bytes = 6
  case fixed = 7
}

extension ParquetPrimitive {
  var physical: ParquetPhysical {
    switch self {
    case .boolean: .boolean
    case .int32, .date: .int32
    case .int64, .timestamp: .int64
    case .double: .double
    case .string, .json, .binary: .bytes
    case .decimal(let precision, _): precision <= 9 ? .int32 : precision <= 18 ? .int64 : .fixed
    }
  }

  /// The bytes of a value in a page that is still open; 0 for texts, which stand behind their 32-bit length. A boolean
  /// has a byte there, and becomes a bit when the page is written.
  var width: Int {
    switch physical {
    case .boolean: 1
    case .int32: 4
    case .int64, .double: 8
    case .bytes: 0
    case .fixed: fixedWidth
    }
  }

  /// The fewest bytes that hold every decimal of that precision.
  private var fixedWidth: Int {
    guard case .decimal(let precision, _) = self else { return 0 }
    let largest = DecimalText.power(precision) - 1
    return (UInt128.bitWidth - largest.leadingZeroBitCount + 1 + 7) / 8
  }

  /// The type in the words of this room, for messages.
  var description: String {
    switch self {
    case .boolean: "a boolean"
    case .int32: "a 32-bit integer"
    case .int64: "a 64-bit integer"
    case .double: "a double"
    case .string: "a text"
    case .json: "JSON"
    case .binary: "binary"
    case .date: "a date"
    case .timestamp: "a timestamp"
    case .decimal(let precision, let scale): "decimal(\(precision),\(scale))"
    }
  }
}
