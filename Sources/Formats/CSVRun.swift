internal import CNebulaKernels

/// Finds many rows of CSV at one look: those that are right beyond doubt, up to the first that has to be looked at closely.
///
/// Rows of a run stand one behind the other, all of the given width, in UTF-8, with quotes only around whole fields. So those of
/// the wanted dialect can be copied as they are. One owner at a time.
public final class CSVRun {
  private let dialect: CSVDialect
  private let width: Int
  private let refusesBlanks: Bool
  /// For each row where it starts and where each of its fields ends.
  private let places: UnsafeMutableBufferPointer<UInt32>
  private let capacity: Int
  /// How many rows were found.
  public private(set) var count = 0

  /// So many places are kept: those of some thousand usual rows, in 64 KiB.
  private static let most = 16 << 10

  /// Looks for rows of `width` fields; with `refusesBlanks` none with a space or tab at either end of a field, which some
  /// readers drop. Rows of 16384 fields and more are never found.
  public init(_ dialect: CSVDialect, width: Int, refusesBlanks: Bool) {
    self.dialect = dialect
    self.width = width
    self.refusesBlanks = refusesBlanks
    capacity = width > 0 ? Self.most / (width + 1) : 0
    places = .allocate(capacity: capacity * (width + 1))
    places.initialize(repeating: 0)
  }
  deinit { places.deallocate() }

  /// Looks at bytes that begin with a row; returns how many bytes the rows that were found have, with their line ends.
  public func look(_ bytes: UnsafeRawBufferPointer) -> Int {
    count = 0
    guard capacity > 0, let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
    let run = nebula_csv_rows(
      base, min(bytes.count, Int(UInt32.max)), dialect.delimiter, dialect.quote, refusesBlanks, width,
      places.baseAddress,
      capacity)
    count = run.rows
    guard run.has_high else { return run.bytes }
    let valid = nebula_utf8_valid_prefix(base, run.bytes)
    guard valid < run.bytes else { return run.bytes }
    while count > 0, row(count - 1).upperBound >= valid { count -= 1 }
    // A row that is dropped starts where the ones before it end.
    return place(count, 0)
  }

  /// A row's bytes without its line end, counted from where the look began.
  @inline(__always) public func row(_ index: Int) -> Range<Int> { place(index, 0)..<place(index, width) }
  /// A field's bytes, its quotes included.
  @inline(__always) public func field(_ slot: Int, of row: Int) -> Range<Int> {
    (slot == 0 ? place(row, 0) : place(row, slot) + 1)..<place(row, slot + 1)
  }
  @inline(__always) private func place(_ row: Int, _ number: Int) -> Int { Int(places[row * (width + 1) + number]) }
}
