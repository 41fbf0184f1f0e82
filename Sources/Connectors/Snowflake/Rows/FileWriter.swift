internal import NebulaCore
internal import NebulaFormats
internal import NebulaHTTP

/// When a staged file is closed. A value, so that it is tested without files.
struct RollRule: Sendable, Hashable {
  var maxRecords: Int
  var maxBytes: Int
  var maxAge: Duration
  /// Rows are compressed in pieces of this size.
  var piece: Int { max(4 << 10, min(256 << 10, maxBytes / 4)) }

  init(_ options: SnowflakeOptions) {
    maxRecords = options.microBatchSize
    maxBytes = options.maxFileSize.bytes
    maxAge = options.microBatchTimeout
  }

  /// `bytes` are those that the codec has given out; up to two pieces more may still come of what it was given.
  func isFull(records: Int, bytes: Int) -> Bool { records >= maxRecords || bytes + 2 * piece >= maxBytes }
  func isOld(opened: Duration, now: Duration) -> Bool { now - opened >= maxAge }
}

/// Which records of a batch go to one table.
enum Selection: Sendable {
  case all(Int)
  case some([Int32])

  var count: Int {
    switch self {
    case .all(let count): count
    case .some(let indices): indices.count
    }
  }
  @inline(__always) subscript(position: Int) -> Int {
    switch self {
    case .all: position
    case .some(let indices): Int(indices[position])
    }
  }
}

/// One open staged file: rows in, compressed (and encrypted) bytes out.
///
/// One owner at a time: a worker, or the epoch's writer while it is idle. That is what makes it `@unchecked Sendable`;
/// it is handed over only through the `EpochWriter` actor.
final class FileWriter: @unchecked Sendable {
  let lane: LaneKey
  let name: String
  let encryption: FileEncryption?
  let opened: Duration
  private(set) var records = 0
  private let encoder: any RowEncoder
  private let staged: StagedBytes
  private let rule: RollRule
  private let compressors: CompressorShelf
  private var compressor: Compressor?
  private let scratch = OutputBuffer(capacity: 64 << 10)

  init(
    lane: LaneKey, name: String, encryption: FileEncryption?, encoder: any RowEncoder, staged: StagedBytes,
    rule: RollRule, compressors: CompressorShelf, opened: Duration
  ) {
    self.lane = lane
    self.name = name
    self.encryption = encryption
    self.encoder = encoder
    self.staged = staged
    self.rule = rule
    self.compressors = compressors
    self.opened = opened
  }

  /// True when it holds a compressor, so some megabytes of memory.
  var isHeavy: Bool { compressor != nil }
  /// True when nothing more may be added.
  var isFull: Bool { rule.isFull(records: records, bytes: staged.count) }

  /// Adds the selected records from `start` on until it is full; returns the first that was not taken.
  func encode(
    _ batch: RecordBatch, _ selection: Selection, from start: Int, rejected: inout [RejectedRecord]
  ) throws(NebulaError) -> Int {
    try encoder.start(batch)
    let piece = rule.piece
    let rows = encoder.rows
    var at = start
    var refused: [RejectedRecord] = []
    try batch.withBytes { (bytes) throws(NebulaError) in
      let end = selection.count
      while at < end, records < rule.maxRecords {
        let index = selection[at]
        at += 1
        do throws(NebulaError) {
          try encoder.append(index, of: batch, bytes)
          records += 1
        } catch {
          guard error.disposition == .reject else { throw error }
          refused.append(RejectedRecord(error, index, of: batch))
        }
        if rows.count >= piece {
          try flush()
          if isFull { break }
        }
      }
    }
    rejected += refused
    return at
  }

  /// Finds room for what was added; false when the file has to go now.
  func settle() async throws -> Bool { try await staged.settle() }

  /// Ends the file: what is uploaded, and its digest.
  func finish() async throws -> (body: StagedBody, bytes: Int) {
    try flush()
    let compressor = try taken()
    try compressor.finish(into: scratch)
    compressors.giveBack(compressor)
    self.compressor = nil
    try drain()
    let body = try await staged.finish()
    return (body, body.body.count)
  }

  /// Gives memory and disk back.
  func release() async {
    compressor = nil
    await staged.release()
  }

  private func flush() throws(NebulaError) {
    let rows = encoder.rows
    guard !rows.isEmpty else { return }
    let compressor = try taken()
    let wasHuge = rows.count > 2 << 20
    try rows.withBytes { (bytes) throws(NebulaError) in
      // In pieces, so that what the codec gives out never needs much room.
      var rest = bytes
      while !rest.isEmpty {
        try compressor.write(UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 20)), into: scratch)
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(1 << 20))
        try drain()
      }
    }
    rows.removeAll(keepingCapacity: !wasHuge)
  }

  private func taken() throws(NebulaError) -> Compressor {
    if let compressor { return compressor }
    let fresh = try compressors.take()
    compressor = fresh
    return fresh
  }

  private func drain() throws(NebulaError) {
    try staged.append(scratch)
    scratch.removeAll(keepingCapacity: true)
  }
}
