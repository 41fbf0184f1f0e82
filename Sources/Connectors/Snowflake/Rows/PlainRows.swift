internal import NebulaCore
internal import NebulaFormats

/// Finds the records of a CSV batch that can be staged as they are: the columns' order and dialect, every field what its
/// column takes. Most files have no others, so their rows are looked at once and copied many at a time.
final class PlainRows {
  private let run: CSVRun
  private let checked: [(slot: Int, check: ColumnCheck)]
  private let limit: Int
  private let quote: UInt8
  /// The records that `run` holds, and where in the batch it looked.
  private var known = 0..<0
  private var base = 0
  /// Whether nothing but a line feed stands behind each of them.
  private(set) var isGapless = false

  init(_ dialect: CSVDialect, width: Int, _ checked: [(slot: Int, check: ColumnCheck)], limit: Int) {
    run = CSVRun(dialect, width: width, refusesBlanks: true)
    self.checked = checked
    self.limit = limit
    quote = dialect.quote
  }

  /// Another batch begins.
  func forget() { known = 0..<0 }

  /// How many of the records, from the first on, are such rows; no more than fill `room` bytes, but for the last.
  func find(_ records: Range<Int>, of batch: RecordBatch, _ bytes: UnsafeRawBufferPointer, room: Int) -> Int {
    if !known.contains(records.lowerBound) { look(records, batch, bytes) }
    let window = UnsafeRawBufferPointer(rebasing: bytes[base...])
    var (size, index) = (0, records.lowerBound)
    while index < min(known.upperBound, records.upperBound), size < room {
      let row = index - known.lowerBound
      let length = run.row(row).count
      guard length <= limit, takes(row, window) else { break }
      size += length + 1
      index += 1
    }
    return index - records.lowerBound
  }

  private func look(_ records: Range<Int>, _ batch: RecordBatch, _ bytes: UnsafeRawBufferPointer) {
    base = Int(batch.records[records.lowerBound].start)
    let size = run.look(UnsafeRawBufferPointer(rebasing: bytes[base...]))
    var (count, behind) = (0, 0)
    isGapless = true
    while count < min(run.count, batch.records.count - records.lowerBound) {
      let row = run.row(count)
      let record = batch.records[records.lowerBound + count]
      guard base + row.lowerBound == Int(record.start), base + row.upperBound == Int(record.end) else { break }
      isGapless = isGapless && row.lowerBound == behind
      behind = row.upperBound + 1
      count += 1
    }
    if count > 0, count == run.count { isGapless = isGapless && behind == size }
    if count < run.count { isGapless = isGapless && run.row(count).lowerBound == behind }
    known = records.lowerBound..<records.lowerBound + count
  }

  private func takes(_ row: Int, _ window: UnsafeRawBufferPointer) -> Bool {
    for (slot, check) in checked {
      let field = UnsafeRawBufferPointer(rebasing: window[run.field(slot, of: row)])
      guard let first = field.first else { continue }
      guard first != quote, check.takes(field) else { return false }
    }
    return true
  }
}
