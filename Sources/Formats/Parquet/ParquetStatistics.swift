internal import CNebulaKernels

/// The smallest and largest value of a column's part in a row group, in the order that its logical type has.
struct ParquetStatistics {
  private enum Range {
    case none
    case integers(Int64, Int64)
    case doubles(Double, Double)
    case texts(ParquetBound, ParquetBound)
    /// Decimals of more than 64 bits, with the sign's bit turned, so that they sort as unsigned bytes.
    case decimals(ParquetBound, ParquetBound)
  }
  private let primitive: ParquetPrimitive
  private var range = Range.none
  /// For some readers NaN is larger than everything, so there is no range that holds for all of them.
  private var hasNaN = false

  init(_ primitive: ParquetPrimitive) { self.primitive = primitive }

  /// Looks at values as PLAIN writes them (booleans as bytes).
  mutating func add(_ values: UnsafeRawBufferPointer, count: Int) {
    guard count > 0, let base = values.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
    switch primitive.physical {
    case .int32:
      var (least, most) = (Int32(0), Int32(0))
      nebula_range_i32(base, count, &least, &most)
      add(Int64(least), Int64(most))
    case .int64:
      var (least, most) = (Int64(0), Int64(0))
      nebula_range_i64(base, count, &least, &most)
      add(least, most)
    case .double:
      var (least, most) = (0.0, 0.0)
      guard !hasNaN, nebula_range_double(base, count, &least, &most) else { return hasNaN = true }
      if case .doubles(let low, let high) = range { (least, most) = (min(low, least), max(high, most)) }
      range = .doubles(least, most)
    case .boolean, .bytes, .fixed: addBytes(values, base, count)
    }
  }

  private mutating func add(_ least: Int64, _ most: Int64) {
    if case .integers(let low, let high) = range {
      range = .integers(min(low, least), max(high, most))
    } else {
      range = .integers(least, most)
    }
  }

  private mutating func addBytes(_ values: UnsafeRawBufferPointer, _ base: UnsafePointer<UInt8>, _ count: Int) {
    let width = primitive.width
    let isDecimal = primitive.physical == .fixed
    var (least, most) = (0, 0)
    nebula_range_bytes(base, count, UInt32(width), isDecimal, &least, &most)
    func bound(_ at: Int) -> ParquetBound {
      if width == 0 {
        let size = Int(values.loadUnaligned(fromByteOffset: at, as: UInt32.self))
        return ParquetBound(UnsafeRawBufferPointer(rebasing: values[at + 4..<at + 4 + size]))
      }
      var value = Array(values[at..<at + width])
      if isDecimal { value[0] ^= 0x80 }
      return value.withUnsafeBytes { ParquetBound($0) }
    }
    let (low, high) = (bound(least), bound(most))
    switch range {
    case .texts(let lowest, let highest): range = .texts(min(low, lowest), max(high, highest))
    case .decimals(let lowest, let highest): range = .decimals(min(low, lowest), max(high, highest))
    default: range = isDecimal ? .decimals(low, high) : .texts(low, high)
    }
  }

  /// Writes the Thrift struct.
  func write(_ id: Int, nulls: Int, to thrift: inout ThriftWriter) {
    thrift.begin(id)
    thrift.i64(3, Int64(nulls))
    let (least, most) = bounds
    if let most { thrift.bytes(5, most.bytes) }
    if let least { thrift.bytes(6, least.bytes) }
    if let most { thrift.bool(7, most.isExact) }
    if let least { thrift.bool(8, least.isExact) }
    thrift.end()
  }

  typealias Bound = (bytes: [UInt8], isExact: Bool)
  /// What readers may rely on: no value is below the least and none above the most.
  var bounds: (least: Bound?, most: Bound?) {
    switch range {
    case .none: return (nil, nil)
    case .integers(let low, let high): return ((number(low), true), (number(high), true))
    case .doubles(let low, let high):
      if hasNaN { return (nil, nil) }
      // Zeros are equal but have two forms: a reader that looks for the other one must find it.
      return (
        (bytes(of: low == 0 ? -0.0 : low), low != 0), (bytes(of: high == 0 ? 0.0 : high), high != 0)
      )
    case .texts(let low, let high):
      let isText = primitive != .binary
      return (
        (low.lower(isText: isText), !low.isCut), high.upper(isText: isText).map { ($0, !high.isCut) }
      )
    case .decimals(let low, let high): return ((turned(low.bytes), true), (turned(high.bytes), true))
    }
  }

  private func number(_ value: Int64) -> [UInt8] {
    primitive.physical == .int32 ? bytes(of: Int32(truncatingIfNeeded: value)) : bytes(of: value)
  }
  private func bytes(of value: some BitwiseCopyable) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
  private func turned(_ value: [UInt8]) -> [UInt8] {
    var value = value
    value[0] ^= 0x80
    return value
  }
}
