internal import CNebulaKernels

/// Finds the column of a name by its bytes, without making a text of it: tables may have thousands of columns, and
/// members come in any order. In plain memory, so that looking costs no reference counting; one owner at a time.
public final class NameTable {
  private struct Entry {
    let start: Int
    let count: Int
    let column: Int32
  }
  private var entries: UnsafeMutableBufferPointer<Entry>
  private var count = 0
  /// All names' bytes, one behind the other.
  private let names = OutputBuffer(capacity: 256)
  /// The name that stands first for a column, by index; -1 for none.
  private let firsts: UnsafeMutableBufferPointer<Int32>
  /// Open addressing: indices into `entries`, -1 where free; a power of two, twice as many as there may be entries.
  private var buckets: UnsafeMutableBufferPointer<Int32>

  /// The columns' names; nil for those that have none yet.
  public init(_ columnNames: [String?]) {
    firsts = Self.room(columnNames.count, of: -1)
    buckets = Self.room(16, of: -1)
    entries = .allocate(capacity: 8)
    for (column, name) in columnNames.enumerated() { if let name { add(name, column) } }
  }
  deinit {
    entries.deallocate()
    firsts.deallocate()
    buckets.deallocate()
  }
  private static func room(_ count: Int, of value: Int32) -> UnsafeMutableBufferPointer<Int32> {
    let room = UnsafeMutableBufferPointer<Int32>.allocate(capacity: count)
    room.initialize(repeating: value)
    return room
  }

  /// One more name of a column. Of a name that is given twice the first counts.
  public func add(_ name: String, _ column: Int) {
    var name = name
    let isNew = name.withUTF8 { bytes in
      let bucket = self.bucket(of: UnsafeRawBufferPointer(bytes))
      guard buckets[bucket] < 0 else { return false }
      buckets[bucket] = Int32(count)
      entries.initializeElement(
        at: count, to: Entry(start: names.count, count: bytes.count, column: Int32(column)))
      names.append(UnsafeRawBufferPointer(bytes))
      return true
    }
    guard isNew else { return }
    if firsts[column] < 0 { firsts[column] = Int32(count) }
    count += 1
    if count == entries.count { grow() }
  }

  /// The column with that name; -1 when there is none.
  public func column(of name: UnsafeRawBufferPointer) -> Int {
    let index = buckets[bucket(of: name)]
    return index < 0 ? -1 : Int(entries[Int(index)].column)
  }

  @inline(__always) func isColumn(_ column: Int, _ name: UnsafeRawBufferPointer) -> Bool {
    firsts[column] >= 0 && isName(Int(firsts[column]), name)
  }

  @inline(__always) private func isName(_ index: Int, _ name: UnsafeRawBufferPointer) -> Bool {
    let entry = entries[index]
    guard entry.count == name.count else { return false }
    return names.withBytes { known in
      guard let known = known.baseAddress, let name = name.baseAddress else { return true }
      return nebula_equal(known + entry.start, name, entry.count)
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

  private func grow() {
    let larger = UnsafeMutableBufferPointer<Entry>.allocate(capacity: entries.count * 2)
    _ = larger.moveInitialize(fromContentsOf: entries)
    entries.deallocate()
    entries = larger
    buckets.deallocate()
    buckets = Self.room(larger.count * 2, of: -1)
    for index in 0..<count {
      let entry = entries[index]
      let bucket = names.withBytes {
        self.bucket(of: UnsafeRawBufferPointer(rebasing: $0[entry.start..<entry.start + entry.count]))
      }
      buckets[bucket] = Int32(index)
    }
  }
}
