internal import CNebulaKernels

/// The distinct values of a column's part in a row group, as long as there are few of them.
final class ParquetDictionary {
  private var table = nebula_dictionary()
  private let width: Int
  private let limit: Int
  private var slots: UnsafeMutableBufferPointer<UInt64>
  private var offsets: UnsafeMutableBufferPointer<UInt32>
  private var entries: UnsafeMutableBufferPointer<UInt8>
  private var seen = 0

  /// Of values of `width` bytes, 0 for texts behind their length; of `limit` bytes at most.
  init(width: Int, limit: Int) {
    self.width = width
    self.limit = limit
    slots = .allocate(capacity: 1024)
    slots.initialize(repeating: 0)
    offsets = .allocate(capacity: slots.count / 2)
    entries = .allocate(capacity: 64)
    table.slots = slots.baseAddress
    table.mask = UInt64(slots.count - 1)
    table.offsets = offsets.baseAddress
    table.entries = entries.baseAddress
  }
  deinit {
    slots.deallocate()
    offsets.deallocate()
    entries.deallocate()
  }

  /// How many there are.
  var count: Int { Int(table.count) }
  /// They as PLAIN writes them.
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: table.entries, count: table.used) }
  /// What the indices of a page need, in bits.
  var indexWidth: Int { count <= 1 ? 0 : Int.bitWidth - (count - 1).leadingZeroBitCount }
  /// Its memory.
  var held: Int { entries.count + slots.count * 8 + offsets.count * 4 }

  /// So many values decide whether it is worth going on.
  private static let sample = 4096

  /// Writes the index of each value of a page; false, with everything as it was, when the values are too many, or nearly
  /// all different.
  func add(_ values: UnsafeRawBufferPointer, count: Int, indices: UnsafeMutablePointer<UInt32>) -> Bool {
    guard let base = values.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return count == 0 }
    let (countBefore, usedBefore, seenBefore) = (table.count, table.used, seen)
    var (done, at) = (0, 0)
    while done < count {
      let piece = makeRoom(for: count - done, bytes: values.count - at)
      var read = 0
      let added = nebula_dictionary_add(&table, base + at, piece, UInt32(width), limit, indices + done, &read)
      done += added
      at += read
      seen += added
      let isHopeless = seen >= Self.sample && self.count * 4 > seen * 3
      guard added == piece, !isHopeless else {
        // The slots of what goes are left: a dictionary that refused is asked no more.
        (table.count, table.used, seen) = (countBefore, usedBefore, seenBefore)
        return false
      }
    }
    return true
  }

  /// Room for at least 256 values; returns for how many of `wanted` there is.
  private func makeRoom(for wanted: Int, bytes: Int) -> Int {
    if slots.count / 2 - count < 256 {
      let larger = UnsafeMutableBufferPointer<UInt64>.allocate(capacity: slots.count * 2)
      larger.initialize(repeating: 0)
      nebula_dictionary_move(&table, larger.baseAddress, UInt64(larger.count - 1))
      slots.deallocate()
      slots = larger
      offsets = Self.moved(offsets, count, slots.count / 2)
      table.offsets = offsets.baseAddress
    }
    let piece = min(wanted, slots.count / 2 - count)
    let needed = min(limit, table.used + (width > 0 ? piece * width : bytes))
    if needed > entries.count {
      entries = Self.moved(entries, table.used, min(limit, max(needed, entries.count * 2)))
      table.entries = entries.baseAddress
    }
    return piece
  }

  private static func moved<T: BitwiseCopyable>(
    _ buffer: UnsafeMutableBufferPointer<T>, _ used: Int, _ capacity: Int
  ) -> UnsafeMutableBufferPointer<T> {
    let larger = UnsafeMutableBufferPointer<T>.allocate(capacity: capacity)
    if let from = buffer.baseAddress { larger.baseAddress?.update(from: from, count: used) }
    buffer.deallocate()
    return larger
  }
}
