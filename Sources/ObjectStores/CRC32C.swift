internal import NebulaCore
internal import NebulaHTTP

/// CRC-32C (Castagnoli), as Google Cloud Storage keeps it of every object. Only where nothing else proves a content.
struct CRC32C {
  private var state: UInt32 = .max

  private static let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
  }

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    var value = state
    Self.table.withUnsafeBufferPointer { table in
      for byte in bytes { value = value >> 8 ^ table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] }
    }
    state = value
  }

  /// Four bytes, the highest first: how the service writes it in base64.
  var bytes: [UInt8] {
    let value = ~state
    return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
  }
}

extension HTTPBody {
  /// Its CRC-32C. Reads a file where it is called.
  func crc32c() throws(NebulaError) -> [UInt8] {
    var sum = CRC32C()
    try forEachPiece { sum.update($0) }
    return sum.bytes
  }
}
