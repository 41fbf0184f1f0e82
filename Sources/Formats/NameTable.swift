internal import CNebulaKernels

/// Finds the column of a name by its bytes, without making a text of it: tables may have thousands of columns, and
/// members come in any order.
struct NameTable {
  private var names: [[UInt8]] = []
  private var columns: [Int32] = []
  /// The name that stands first for a column, by index; nil for none.
  private var firsts: [Int32]
  /// Open addressing: indices into `names`, -1 where free; a power of two, at most half full.
  private var buckets: [Int32]

  init(_ columnNames: [String?]) {
    firsts = Array(repeating: -1, count: columnNames.count)
    buckets = Array(repeating: -1, count: 16)
    for (column, name) in columnNames.enumerated() { if let name { add(name, column) } }
  }

  /// Of a name that is given twice the first counts.
  mutating func add(_ name: String, _ column: Int) {
    let bytes = Array(name.utf8)
    let bucket = bytes.withUnsafeBytes { self.bucket(of: $0) }
    guard buckets[bucket] < 0 else { return }
    buckets[bucket] = Int32(names.count)
    if firsts[column] < 0 { firsts[column] = Int32(names.count) }
    names.append(bytes)
    columns.append(Int32(column))
    if names.count * 2 > buckets.count { grow() }
  }

  /// -1 when there is none.
  func column(of name: UnsafeRawBufferPointer) -> Int {
    let index = buckets[bucket(of: name)]
    return index < 0 ? -1 : Int(columns[Int(index)])
  }

  @inline(__always) func isColumn(_ column: Int, _ name: UnsafeRawBufferPointer) -> Bool {
    firsts[column] >= 0 && isName(Int(firsts[column]), name)
  }

  private func isName(_ index: Int, _ name: UnsafeRawBufferPointer) -> Bool {
    names[index].withUnsafeBytes { known in
      guard known.count == name.count else { return false }
      guard let a = known.baseAddress, let b = name.baseAddress else { return true }
      return nebula_equal(a, b, known.count)
    }
  }

  /// Where the name stands, or would stand.
  private func bucket(of name: UnsafeRawBufferPointer) -> Int {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325  // FNV-1a: names are short
    for byte in name { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    var bucket = Int(truncatingIfNeeded: hash ^ hash >> 32) & (buckets.count - 1)
    while buckets[bucket] >= 0, !isName(Int(buckets[bucket]), name) { bucket = (bucket + 1) & (buckets.count - 1) }
    return bucket
  }

  private mutating func grow() {
    buckets = Array(repeating: -1, count: buckets.count * 2)
    for index in names.indices {
      let bucket = names[index].withUnsafeBytes { self.bucket(of: $0) }
      buckets[bucket] = Int32(index)
    }
  }
}
