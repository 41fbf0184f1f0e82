internal import CNebulaKernels
public import NebulaCore

/// Takes the values of one column, a row at a time. It belongs to a `ParquetFileWriter` and lives as long as one wants.
///
/// A value that doesn't fit is refused by an error whose disposition is `reject`, and nothing was appended; then
/// `ParquetFileWriter.undoRow` takes back what the row's other columns got.
public final class ParquetColumn {
  /// What it holds.
  public let type: ParquetPrimitive
  let leaf: ParquetLeaf
  private let owner: ParquetOpenPages
  @usableFromInline let page: UnsafeMutablePointer<ParquetOpenPage>
  @usableFromInline let physical: ParquetPhysical
  /// True when `physical` numbers mean themselves.
  @usableFromInline let isPlainInteger: Bool
  private let isText: Bool
  /// A byte an entry; empty while `page.hasLevels` is false.
  let definitions = OutputBuffer(capacity: 64)
  /// A byte an entry of a column under lists.
  let repetitions = OutputBuffer(capacity: 64)

  init(_ leaf: ParquetLeaf, _ index: Int, of owner: ParquetOpenPages) {
    self.leaf = leaf
    self.owner = owner
    page = owner.first + index
    type = leaf.primitive
    physical = type.physical
    switch type {
    case .int64, .timestamp: isPlainInteger = true
    default: isPlainInteger = false
    }
    switch type {
    case .string, .json: isText = true
    default: isText = false
    }
  }

  // MARK: - Values

  /// Appends an integer: of int32 or int64, the days of a date, the units of a timestamp, a whole number as a decimal.
  @inlinable public func append(int64 value: Int64) throws(NebulaError) {
    if isPlainInteger { put(value) } else { try append(otherInteger: value) }
  }
  /// Appends a double, which must be one's column.
  @inlinable public func append(double value: Double) throws(NebulaError) {
    guard physical == .double else { throw misfit("the double \(value)") }
    put(value.bitPattern)
  }
  /// Appends a boolean.
  @inlinable public func append(boolean value: Bool) throws(NebulaError) {
    guard physical == .boolean else { throw misfit("the boolean \(value)") }
    put(value ? 1 as UInt8 : 0)
  }
  /// Appends a text or binary. A text must be UTF-8, which is checked; JSON must be JSON, which is not.
  public func append(bytes: UnsafeRawBufferPointer) throws(NebulaError) {
    if isText, !UTF8Text.isValid(bytes) { throw misfit("a text that is not UTF-8") }
    try append(validated: bytes)
  }
  /// The same of what is known to be UTF-8, or of binary.
  public func append(validated bytes: UnsafeRawBufferPointer) throws(NebulaError) {
    guard physical == .bytes else { throw misfit("text or binary") }
    guard bytes.count <= ParquetLimits.largestValue else { throw tooLarge("a value of \(bytes.count) bytes") }
    let size = 4 + bytes.count
    // Behind the value there is room for what the short copy writes too much.
    if page.pointee.capacity &- page.pointee.used < size + 16 { page.pointee.grow(by: size + 16) }
    let room = UnsafeMutableRawPointer(page.pointee.values + page.pointee.used)
    room.storeBytes(of: UInt32(truncatingIfNeeded: bytes.count), as: UInt32.self)
    if let base = bytes.baseAddress {
      if bytes.count <= 16 {
        nebula_copy_short(
          (room + 4).assumingMemoryBound(to: UInt8.self), base.assumingMemoryBound(to: UInt8.self), bytes.count)
      } else {
        (room + 4).copyMemory(from: base, byteCount: bytes.count)
      }
    }
    page.pointee.used &+= size
    didAppend()
  }
  /// Appends null.
  public func appendNull() { append(nullAt: leaf.definition - 1) }

  // MARK: - Levels

  @inlinable func put<T: BitwiseCopyable>(_ value: T) {
    let size = MemoryLayout<T>.size
    if page.pointee.capacity &- page.pointee.used < size { page.pointee.grow(by: size) }
    UnsafeMutableRawPointer(page.pointee.values + page.pointee.used).storeBytes(of: value, as: T.self)
    page.pointee.used &+= size
    didAppend()
  }
  func put(big value: Int128) {
    withUnsafeBytes(of: value.bigEndian) { bytes in
      let width = type.width
      if page.pointee.capacity &- page.pointee.used < width { page.pointee.grow(by: width) }
      UnsafeMutableRawBufferPointer(start: page.pointee.values + page.pointee.used, count: width)
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.suffix(width)))
      page.pointee.used &+= width
    }
    didAppend()
  }
  @inlinable @inline(__always) func didAppend() {
    page.pointee.entries &+= 1
    if page.pointee.hasLevels { putLevels() } else { page.pointee.rows &+= 1 }
  }
  @usableFromInline func putLevels() { putLevels(UInt8(truncatingIfNeeded: leaf.definition)) }

  /// An entry without a value: so much of the path is there.
  func append(nullAt definition: Int) {
    if !page.pointee.hasLevels {
      page.pointee.hasLevels = true
      definitions.removeAll()
      let count = page.pointee.entries
      definitions.withSpare(minimum: count) { room in
        room.prefix(count).initializeMemory(as: UInt8.self, repeating: 1)
        return count
      }
    }
    page.pointee.nulls &+= 1
    page.pointee.entries &+= 1
    putLevels(UInt8(truncatingIfNeeded: definition))
  }
  private func putLevels(_ definition: UInt8) {
    definitions.append(definition)
    if leaf.repetition > 0 { repetitions.append(page.pointee.repetition) }
    if page.pointee.repetition == 0 { page.pointee.rows &+= 1 }
  }

  // MARK: - Pages

  /// Takes back all that came behind the last row.
  func returnToMark() {
    page.pointee.returnToMark()
    if page.pointee.hasLevels { definitions.truncate(to: page.pointee.entries) }
    if leaf.repetition > 0 { repetitions.truncate(to: page.pointee.entries) }
  }
  /// Starts a new page behind one that was written.
  func startPage() {
    page.pointee.removeAll(keeping: 8 << 20)
    page.pointee.hasLevels = leaf.definition > 1
    definitions.removeAll()
    repetitions.removeAll()
  }
}
