internal import NebulaCore
internal import NebulaFormats

/// Knows of the rows of an open file which are the last of their key; the others are left out when the file is written.
///
/// Several files of a table may hold a key, since one must end somewhere: MERGE takes the last of those. So this saves
/// work, and nothing depends on it. One owner at a time.
final class KeyedRows {
  private struct Row {
    var start: Int
    var end: Int
    var keyStart: Int
    var keyEnd: Int
    var hash: Int
    var high: UInt64
    var low: UInt64
    var isSuperseded = false
  }
  private var entries: [Row] = []
  private let keys = OutputBuffer(capacity: 256)
  /// Open addressing: indices into `entries`, -1 where free; a power of two, at least twice as many as there are keys.
  private var buckets = [Int32](repeating: -1, count: 64)
  private(set) var supersededCount = 0
  /// Rows that are the last of their key.
  private(set) var count = 0
  /// Bytes of the superseded rows that are still in the buffer.
  private var garbage = 0
  private var bounds: KeyBounds?
  private var hasBounds = true
  private let kind: BoundKind

  /// How the first key column's values are compared.
  enum BoundKind: Sendable, Hashable {
    case text, integer, none

    init(_ type: String) {
      self = type.hasPrefix("VARCHAR") ? .text : type.hasPrefix("NUMBER(") && type.hasSuffix(",0)") ? .integer : .none
    }
  }

  init(_ kind: BoundKind) { self.kind = kind }

  /// Bytes held here, without the rows.
  var bytes: Int { keys.count + entries.count * MemoryLayout<Row>.stride + buckets.count * 4 }

  /// Adds the row that ends the buffer now.
  func add(_ row: Range<Int>, _ key: RowKey) {
    key.bytes.withBytes { bytes in
      widen(RowKey.first(of: bytes))
      var hasher = Hasher()
      hasher.combine(bytes: bytes)
      let hash = hasher.finalize()
      let bucket = self.bucket(of: bytes, hash)
      let start = keys.count
      keys.append(bytes)
      var entry = Row(
        start: row.lowerBound, end: row.upperBound, keyStart: start, keyEnd: keys.count, hash: hash, high: key.high,
        low: key.low)
      let known = Int(buckets[bucket])
      if known >= 0, (entries[known].high, entries[known].low) > (key.high, key.low) {
        entry.isSuperseded = true
        supersede(entry)
      } else {
        if known >= 0 {
          entries[known].isSuperseded = true
          supersede(entries[known])
        } else {
          count += 1
        }
        buckets[bucket] = Int32(entries.count)
      }
      entries.append(entry)
    }
    if entries.count * 2 > buckets.count { rehash() }
  }

  private func supersede(_ row: Row) {
    supersededCount += 1
    garbage += row.end - row.start
  }

  /// True when leaving superseded rows out would make half of the room free again.
  func isWorthCompacting(_ rows: OutputBuffer) -> Bool { garbage * 2 >= rows.count && garbage > 0 }

  /// Leaves the superseded rows out of the buffer.
  func compact(_ rows: OutputBuffer) {
    guard garbage > 0 else { return }
    let kept = OutputBuffer(capacity: max(64, rows.count - garbage))
    let keptKeys = OutputBuffer(capacity: 4096)
    rows.withBytes { bytes in
      keys.withBytes { keyBytes in
        entries = entries.compactMap { row in
          guard !row.isSuperseded else { return nil }
          var moved = row
          moved.start = kept.count
          kept.append(UnsafeRawBufferPointer(rebasing: bytes[row.start..<row.end]))
          moved.end = kept.count
          moved.keyStart = keptKeys.count
          keptKeys.append(UnsafeRawBufferPointer(rebasing: keyBytes[row.keyStart..<row.keyEnd]))
          moved.keyEnd = keptKeys.count
          return moved
        }
      }
    }
    rows.removeAll(keepingCapacity: true)
    rows.append(kept)
    keys.removeAll(keepingCapacity: true)
    keys.append(keptKeys)
    garbage = 0
    rehash()
  }

  private func bucket(of key: UnsafeRawBufferPointer, _ hash: Int) -> Int {
    var bucket = hash & (buckets.count - 1)
    while buckets[bucket] >= 0, !isKey(entries[Int(buckets[bucket])], key, hash) {
      bucket = (bucket + 1) & (buckets.count - 1)
    }
    return bucket
  }
  private func isKey(_ row: Row, _ key: UnsafeRawBufferPointer, _ hash: Int) -> Bool {
    guard row.hash == hash, row.keyEnd - row.keyStart == key.count else { return false }
    return keys.withBytes { UnsafeRawBufferPointer(rebasing: $0[row.keyStart..<row.keyEnd]).elementsEqual(key) }
  }
  private func rehash() {
    var size = 64
    while size < entries.count * 4 { size *= 2 }
    buckets = [Int32](repeating: -1, count: size)
    for (index, row) in entries.enumerated() where !row.isSuperseded {
      var bucket = row.hash & (size - 1)
      while buckets[bucket] >= 0 { bucket = (bucket + 1) & (size - 1) }
      buckets[bucket] = Int32(index)
    }
  }

  // MARK: bounds

  private func widen(_ first: UnsafeRawBufferPointer) {
    guard hasBounds, kind != .none else { return }
    // In a statement's text a NUL is nothing to rely on.
    guard first.count <= KeyBounds.longest, !first.contains(0) else { return drop() }
    guard let bounds else {
      let text = String(decoding: first, as: UTF8.self)
      guard kind == .text || Int64(text) != nil else { return drop() }
      self.bounds = KeyBounds(least: text, greatest: text)
      return
    }
    if kind == .integer {
      guard let number = Int64(String(decoding: first, as: UTF8.self)), let least = Int64(bounds.least),
        let greatest = Int64(bounds.greatest)
      else { return drop() }
      if number < least { self.bounds?.least = String(number) }
      if number > greatest { self.bounds?.greatest = String(number) }
    } else {
      if first.lexicographicallyPrecedes(bounds.least.utf8) {
        self.bounds?.least = String(decoding: first, as: UTF8.self)
      }
      if bounds.greatest.utf8.lexicographicallyPrecedes(first) {
        self.bounds?.greatest = String(decoding: first, as: UTF8.self)
      }
    }
  }
  private func drop() {
    hasBounds = false
    bounds = nil
  }
  /// The bounds of all keys that were added; nil when they are not known.
  var knownBounds: KeyBounds? { hasBounds ? bounds : nil }
}
