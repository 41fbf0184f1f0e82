internal import NebulaCore
internal import NebulaFormats
internal import NebulaHTTP

/// When a staged file is closed. A value, so that it is tested without files.
struct RollRule: Sendable, Hashable {
  var maxRecords: Int
  var maxBytes: Int
  var maxAge: Duration
  /// Rows that wait for later ones of their key: so many bytes in a file.
  var maxKeyedBytes: Int
  /// Rows are compressed in pieces of this size.
  var piece: Int { max(4 << 10, min(256 << 10, maxBytes / 4)) }

  init(_ options: SnowflakeOptions) {
    maxRecords = options.microBatchSize ?? .max
    maxBytes = options.maxFileSize.bytes
    maxAge = MicroBatches(options).ageBehind
    // Much larger files would leave no room for those of other tables; rows compress to a fifth or less.
    maxKeyedBytes = min(maxBytes, 32 << 20)
  }

  /// `bytes` are those that the codec has given out; up to two pieces more may still come of what it was given.
  func isFull(records: Int, bytes: Int) -> Bool { whyFull(records: records, bytes: bytes) != nil }
  func whyFull(records: Int, bytes: Int) -> CloseReason? {
    records >= maxRecords ? .records : bytes + 2 * piece >= maxBytes ? .size : nil
  }
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
  /// The encoder's: asked for once, and not for each record.
  private let rows: OutputBuffer
  /// Nil where rows are appended, and so need not be told apart.
  private let keyed: KeyedRows?
  private let staged: StagedBytes
  private let rule: RollRule
  private let makeSink: () throws(NebulaError) -> any StagedSink
  private var sink: (any StagedSink)?
  private let scratch = OutputBuffer(capacity: 64)

  init(
    lane: LaneKey, name: String, encryption: FileEncryption?, encoder: any RowEncoder, staged: StagedBytes,
    rule: RollRule, opened: Duration, sink: @escaping () throws(NebulaError) -> any StagedSink
  ) {
    self.lane = lane
    self.name = name
    self.encryption = encryption
    self.encoder = encoder
    rows = encoder.rows
    keyed = encoder.key.map { _ in KeyedRows(lane.layout.boundKind) }
    self.staged = staged
    self.rule = rule
    makeSink = sink
    self.opened = opened
  }

  /// Bytes of rows that wait in it: those that no reservation of the budget speaks of.
  var waitingBytes: Int {
    guard let keyed else { return rows.count }
    let bytes = rows.count + keyed.bytes
    return bytes < IdleFiles.small ? bytes : 0
  }
  /// True when it holds a codec, or rows that wait, so some megabytes of memory.
  var isHeavy: Bool { sink != nil || rows.count > 1 << 20 }
  /// Why nothing more may be added; nil while more may.
  var whyFull: CloseReason? {
    isFullOfKeys ? .keys : rule.whyFull(records: records, bytes: staged.count)
  }
  /// Rows that are merged wait uncompressed until the file ends, since a later one may take their place.
  private var isFullOfKeys: Bool { keyed != nil && rows.count >= rule.maxKeyedBytes }
  /// Records that a later one of their key replaced, or that are no rows for another reason.
  var superseded: Int { withoutRow + (keyed?.supersededCount ?? 0) }
  private var withoutRow = 0
  /// The smallest and the largest key.
  var bounds: KeyBounds? { keyed?.knownBounds }
  /// Whether all rows were copied.
  var copied: CopiedRows { encoder.copied }
  /// What clears whole namespaces.
  private(set) var sweeps: [Sweep] = []
  /// The error of a record that waits for another layout of the table.
  private(set) var waiting: NebulaError?
  /// Bytes of rows that were given to the codec.
  private(set) var plain = 0

  /// Adds the selected records from `start` on until it is full, or one comes that needs a column more (`waiting`);
  /// returns the first that was not taken.
  func encode(
    _ batch: RecordBatch, _ selection: Selection, from start: Int, order: UInt32, rejected: inout [RejectedRecord]
  ) throws(NebulaError) -> Int {
    try encoder.start(batch, order: order)
    waiting = nil
    var at = start
    var refused: [RejectedRecord] = []
    try batch.withBytes { (bytes) throws(NebulaError) in
      let end = selection.count
      while at < end, records < rule.maxRecords {
        let run = try addRun(at..<end, selection, batch, bytes)
        if run > 0 {
          at += run
          if try isFullNow() { break }
          continue
        }
        let index = selection[at]
        do throws(NebulaError) {
          try add(index, batch, bytes)
        } catch {
          if error.code == .unknownColumn, error.disposition == .stop {
            waiting = error
            break
          }
          guard error.disposition == .reject else { throw error }
          refused.append(RejectedRecord(error, index, of: batch))
        }
        at += 1
        if try isFullNow() { break }
      }
    }
    sweeps += encoder.takeSweeps()
    rejected += refused
    return at
  }

  /// Adds records that need no look of their own; returns how many.
  private func addRun(
    _ places: Range<Int>, _ selection: Selection, _ batch: RecordBatch, _ bytes: UnsafeRawBufferPointer
  ) throws(NebulaError) -> Int {
    guard batch.format == .csv, case .all = selection, keyed == nil else { return 0 }
    let records = places.prefix(rule.maxRecords - self.records)
    let count = try encoder.appendRun(records, of: batch, bytes, room: max(1, rule.piece - rows.count))
    self.records += count
    return count
  }

  @inline(__always) private func add(
    _ index: Int, _ batch: RecordBatch, _ bytes: UnsafeRawBufferPointer
  ) throws(NebulaError) {
    let start = rows.count
    guard try encoder.append(index, of: batch, bytes) else {
      withoutRow += 1
      return
    }
    guard let keyed, let key = encoder.key else {
      records += 1
      return
    }
    keyed.add(start..<rows.count, key)
    records = keyed.count
  }

  /// Makes room where there is some to be made.
  @inline(__always) private func isFullNow() throws(NebulaError) -> Bool {
    if let keyed {
      guard isFullOfKeys else { return false }
      if keyed.isWorthCompacting(rows) { keyed.compact(rows) }
      return isFullOfKeys
    }
    guard rows.count >= rule.piece else { return false }
    try flush()
    return whyFull != nil
  }

  /// Finds room for what was added; false when the file has to go now.
  func settle() async throws -> Bool {
    guard try await staged.settle() else { return false }
    guard let keyed else { return true }
    let bytes = rows.count + keyed.bytes
    // The epoch's writer bounds what many small files hold together.
    return bytes < IdleFiles.small || staged.hold(bytes)
  }

  /// Ends the file: what is uploaded, and its digest.
  func finish() async throws -> (body: StagedBody, bytes: Int) {
    keyed?.compact(rows)
    try flush()
    staged.letGo()
    try taken().finish(into: scratch)
    sink = nil
    try drain()
    let body = try await staged.finish()
    return (body, body.body.count)
  }

  /// Gives memory and disk back.
  func release() async {
    sink = nil
    await staged.release()
  }

  private func flush() throws(NebulaError) {
    guard !rows.isEmpty else { return }
    let sink = try taken()
    let wasHuge = rows.count > 2 << 20
    try rows.withBytes { (bytes) throws(NebulaError) in
      plain += bytes.count
      // In pieces of whole rows, so that what the codec gives out never needs much room.
      var rest = bytes
      while !rest.isEmpty {
        var size = min(rest.count, 1 << 20)
        while size < rest.count, rest[size - 1] != 10 { size += 1 }
        try sink.write(rows: UnsafeRawBufferPointer(rebasing: rest.prefix(size)), into: scratch)
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(size))
        try drain()
      }
    }
    rows.removeAll(keepingCapacity: !wasHuge)
  }

  private func taken() throws(NebulaError) -> any StagedSink {
    if let sink { return sink }
    let fresh = try makeSink()
    sink = fresh
    return fresh
  }

  private func drain() throws(NebulaError) {
    try staged.append(scratch)
    scratch.removeAll(keepingCapacity: true)
  }
}
