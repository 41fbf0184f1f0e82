internal import CNebulaKernels
internal import NebulaCore

/// What the columns of a file share while a page is written: the compressor and memory to work in.
final class ParquetWorkshop {
  let compression: ParquetCompression
  let limits: ParquetLimits
  let page = OutputBuffer(capacity: 64 << 10)
  private let packed = OutputBuffer(capacity: 64 << 10)
  private var indices = UnsafeMutableBufferPointer<UInt32>.allocate(capacity: 1024)

  init(_ compression: ParquetCompression, _ limits: ParquetLimits) {
    self.compression = compression
    self.limits = limits
  }
  deinit { indices.deallocate() }

  /// Empties the page.
  func startPage() { page.removeAll(keepingCapacity: page.count <= 8 << 20) }

  func room(forIndices count: Int) -> UnsafeMutableBufferPointer<UInt32> {
    if indices.count < count {
      indices.deallocate()
      indices = .allocate(capacity: max(count, indices.count * 2))
    }
    return indices
  }

  /// Appends levels behind their length in 32 bits.
  func append(levels: UnsafeRawBufferPointer, most: Int) {
    let start = page.count
    page.append([0, 0, 0, 0])
    let width = UInt32(Int.bitWidth - most.leadingZeroBitCount)
    page.withSpare(minimum: nebula_hybrid_room(levels.count, width)) { room in
      guard let out = room.baseAddress?.assumingMemoryBound(to: UInt8.self),
        let base = levels.baseAddress?.assumingMemoryBound(to: UInt8.self)
      else { return 0 }
      return nebula_hybrid_levels(out, base, levels.count, width)
    }
    setLength(at: start)
  }
  /// The same of `count` levels of 1, in one run.
  func append(ones count: Int) {
    let start = page.count
    page.append([0, 0, 0, 0])
    ThriftWriter(page).varint(UInt64(count) << 1)
    page.append(1)
    setLength(at: start)
  }
  private func setLength(at start: Int) {
    let length = UInt32(page.count - start - 4).littleEndian
    page.overwrite(at: start, with: length)
  }

  /// Appends the indices that stand in the room for them, behind their width.
  func append(indices count: Int, width: Int) {
    page.append(UInt8(width))
    guard width > 0 else {
      // One entry: a single run of nothing.
      return ThriftWriter(page).varint(UInt64(count) << 1)
    }
    page.withSpare(minimum: nebula_hybrid_room(count, UInt32(width))) { room in
      guard let out = room.baseAddress?.assumingMemoryBound(to: UInt8.self), let base = indices.baseAddress
      else { return 0 }
      return nebula_hybrid_indices(out, base, count, UInt32(width))
    }
  }

  /// Appends booleans, a byte each, as bits.
  func append(booleans: UnsafeRawBufferPointer) {
    page.withSpare(minimum: booleans.count / 8 + 1) { room in
      guard let out = room.baseAddress?.assumingMemoryBound(to: UInt8.self),
        let base = booleans.baseAddress?.assumingMemoryBound(to: UInt8.self)
      else { return 0 }
      nebula_pack_booleans(out, base, booleans.count)
      return (booleans.count + 7) / 8
    }
  }

  /// Appends a header and the page, compressed, to `output`; `describe` adds what is particular to the page's kind.
  /// Returns the bytes without compression.
  func write(
    _ page: UnsafeRawBufferPointer, kind: Int32, to output: OutputBuffer, _ describe: (inout ThriftWriter) -> Void
  ) throws(NebulaError) -> Int {
    packed.removeAll()
    try compression.append(page, to: packed)
    guard let size = Int32(exactly: page.count), let packedSize = Int32(exactly: packed.count) else {
      throw NebulaError(
        .parquetTooLarge, "A page of \(page.count) bytes, \(packed.count) compressed: Parquet's have less than 2 GiB.",
        remedy: "Use smaller pages, or leave such values out.")
    }
    let start = output.count
    var thrift = ThriftWriter(output)
    thrift.i32(1, kind)
    thrift.i32(2, size)
    thrift.i32(3, packedSize)
    thrift.i32(4, packed.withBytes { ParquetCompression.checksum($0) })
    describe(&thrift)
    thrift.end()
    let header = output.count - start
    output.append(packed)
    // A page of one huge value must not be paid for as long as the file is written.
    if packed.count > 8 << 20 { packed.removeAll(keepingCapacity: false) }
    return header + page.count
  }
}

extension OutputBuffer {
  /// Writes over bytes that are there.
  fileprivate func overwrite(at start: Int, with number: UInt32) {
    precondition(start + 4 <= used)
    UnsafeMutableRawPointer(base + start).storeBytes(of: number, as: UInt32.self)
  }
}
