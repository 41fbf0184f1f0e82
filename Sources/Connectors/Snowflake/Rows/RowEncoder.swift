internal import NebulaCore
internal import NebulaFormats

/// Writes records of a batch as rows of a staged file. One owner at a time; kept for all batches of a file.
protocol RowEncoder: AnyObject {
  /// Where the rows go.
  var rows: OutputBuffer { get }
  /// The key of the row that was appended last; nil where rows are not merged.
  var key: RowKey? { get }
  /// Called before the records of a batch; `order` is the batch's number in its epoch.
  func start(_ batch: RecordBatch, order: UInt32) throws(NebulaError)
  /// Appends record `index` as a row. False when the record needs none, since another of the epoch says what becomes of
  /// its key. The error of a record that can't be a row has the disposition `reject`; `rows` is then as it was.
  func append(_ index: Int, of batch: RecordBatch, _ bytes: UnsafeRawBufferPointer) throws(NebulaError) -> Bool
  /// Appends those of the records, from the first on, that need no look of their own, no more than fill `room` bytes but for
  /// the last; returns how many. None is no statement: `append` is for the next one then.
  func appendRun(
    _ records: Range<Int>, of batch: RecordBatch, _ bytes: UnsafeRawBufferPointer, room: Int
  ) throws(NebulaError) -> Int
  /// What was met that clears a whole namespace, since the last time this was asked.
  func takeSweeps() -> [Sweep]
  /// Whether all rows so far were copied, and when.
  var copied: CopiedRows { get }
}

extension RowEncoder {
  func appendRun(
    _ records: Range<Int>, of batch: RecordBatch, _ bytes: UnsafeRawBufferPointer, room: Int
  ) throws(NebulaError) -> Int { 0 }
  func takeSweeps() -> [Sweep] { [] }
  var copied: CopiedRows { .mixed }
}

extension RowEncoder {
  /// Writes one row by `body`, its line feed with it. Nothing of it stays when `body` throws, or when it is larger than
  /// may be loaded.
  @inline(__always) func appendRow(
    limit: Int, _ body: () throws(NebulaError) -> Void
  ) throws(NebulaError) {
    let start = rows.count
    do { try body() } catch {
      rows.truncate(to: start)
      throw error
    }
    let length = rows.count - start - 1
    guard length <= limit else {
      rows.truncate(to: start)
      throw RowEncoding.tooLarge(length, limit)
    }
  }
}

/// Whether rows were all copied, in one copy.
enum CopiedRows: Sendable, Hashable {
  /// There were no rows.
  case none
  /// All of the copy with this place in the order of changes.
  case at(ChangeSequence)
  case mixed

  mutating func add(_ other: CopiedRows) {
    switch (self, other) {
    case (_, .none): break
    case (.none, _): self = other
    default: if self != other { self = .mixed }
    }
  }
}

/// What tells a row from others of its table, and when it is. One owner at a time.
final class RowKey {
  /// The key columns' texts, each with its length (4 bytes) before it.
  let bytes = OutputBuffer(capacity: 64)
  /// The place in the order of changes.
  var high: UInt64 = 0
  var low: UInt64 = 0

  func removeAll() { bytes.removeAll(keepingCapacity: true) }
  func append(_ text: UnsafeRawBufferPointer) {
    withUnsafeBytes(of: UInt32(truncatingIfNeeded: text.count)) { bytes.append($0) }
    bytes.append(text)
  }
  /// The first key column's text in what `bytes` held.
  static func first(of key: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    guard key.count >= 4 else { return key }
    let count = Int(key.loadUnaligned(as: UInt32.self))
    return UnsafeRawBufferPointer(rebasing: key[4..<min(key.count, 4 + count)])
  }
}

/// The parts of encoding that all encoders share.
enum RowEncoding {
  /// The encoder for a table. `epoch` orders the plain records that are merged.
  static func make(_ layout: TableLayout, options: SnowflakeOptions, epoch: EpochID) -> any RowEncoder {
    let limit = options.maxRowBytes.bytes
    switch layout.rows {
    case .documents: return LandingEncoder(json: options.json, limit: limit)
    case .changes: return ChangeEncoder(layout, options, limit: limit)
    case .records: return RecordEncoder(layout, options, epoch: epoch)
    }
  }

  /// A row larger than may be loaded.
  static func tooLarge(_ bytes: Int, _ limit: Int) -> NebulaError {
    NebulaError(
      .rowTooLarge, "The row has \(bytes) bytes; max_row_bytes is \(limit).",
      remedy: "Raise max_row_bytes (up to 128MiB) if the account loads such rows.", disposition: .reject)
  }

  /// A record whose bytes are at fault.
  static func unreadable(_ problem: String) -> NebulaError {
    NebulaError(.unreadableRecord, "\(problem).", remedy: "Correct the record at its origin.", disposition: .reject)
  }
}
