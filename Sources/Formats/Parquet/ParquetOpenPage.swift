/// The page of a column that is being filled. It lies in plain memory beside those of the other columns, so that the
/// end of a row, which looks at all of them, is quick.
@usableFromInline struct ParquetOpenPage {
  /// Values as PLAIN writes them (a boolean as a byte).
  @usableFromInline var values: UnsafeMutablePointer<UInt8>
  @usableFromInline var used = 0
  @usableFromInline var capacity: Int
  /// Values, nulls and empty lists: whatever has levels.
  @usableFromInline var entries = 0
  @usableFromInline var rows = 0
  /// Entries without a value.
  var nulls = 0
  /// False while every entry is a value of a flat column: then nobody has to write levels down.
  @usableFromInline var hasLevels: Bool
  /// The repetition level of the next entry.
  var repetition: UInt8 = 0
  /// What there was when the last row ended.
  var mark = Mark()

  struct Mark {
    var used = 0
    var entries = 0
    var rows = 0
    var nulls = 0
  }

  init(isNested: Bool) {
    capacity = 64
    values = .allocate(capacity: capacity)
    hasLevels = isNested
  }

  @usableFromInline @inline(never) mutating func grow(by additional: Int) {
    let larger = max(used + additional, capacity * 2)
    let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
    moved.update(from: values, count: used)
    values.deallocate()
    values = moved
    capacity = larger
  }

  /// Empties it, and gives memory back that only an unusual value needed.
  mutating func removeAll(keeping most: Int) {
    mark = Mark()
    returnToMark()
    guard capacity > most else { return }
    values.deallocate()
    capacity = 64
    values = .allocate(capacity: capacity)
  }

  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: values, count: used) }
  /// An estimate of its memory that is not above what it is by much.
  var held: Int { used + (hasLevels ? entries * 2 : 0) }
  mutating func setMark() { mark = Mark(used: used, entries: entries, rows: rows, nulls: nulls) }
  mutating func returnToMark() {
    used = mark.used
    entries = mark.entries
    rows = mark.rows
    nulls = mark.nulls
    repetition = 0
  }
}

/// Owns the open pages of a file's columns.
final class ParquetOpenPages {
  let first: UnsafeMutablePointer<ParquetOpenPage>
  private let count: Int

  init(_ leaves: [ParquetLeaf]) {
    count = leaves.count
    first = .allocate(capacity: count)
    for (index, leaf) in leaves.enumerated() {
      (first + index).initialize(to: ParquetOpenPage(isNested: leaf.definition > 1))
    }
  }
  deinit {
    for page in all { page.values.deallocate() }
    first.deallocate()
  }

  var all: UnsafeMutableBufferPointer<ParquetOpenPage> { UnsafeMutableBufferPointer(start: first, count: count) }
}
