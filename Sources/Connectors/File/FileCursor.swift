import Glibc
import NebulaCore
import NebulaFormats

/// Records cut from one file, in one buffer.
struct FileCut {
  let bytes: SharedBytes
  let records: [ByteRange]
  let rejected: [RejectedRecord]
}

/// Reads one file from its mark to its limit, one buffer of whole records at a time.
final class FileCursor {
  /// How far the file was read.
  private(set) var mark: FileMark
  /// CSV only; nil before the header was seen.
  private(set) var schema: RecordSchema?
  let format: FileFormat
  /// Where to stop exactly, in decoded bytes; nil: at the end.
  let stopAt: UInt64?
  /// True when a last line without line end counts as a record.
  private var takesOpenEnd: Bool
  private let bytes: DecodedFile
  private let options: FileSourceOptions
  private var ends = ReadEnds()
  private var carry: [UInt8] = []
  private var hasStarted = false
  private(set) var isExhausted = false

  /// `path` is where the file lies now; the mark may know it by an older name.
  init(
    _ path: String, _ mark: FileMark, _ format: FileFormat, _ options: FileSourceOptions, limit: UInt64,
    stopAt: UInt64? = nil, takesOpenEnd: Bool
  ) throws(NebulaError) {
    self.mark = mark
    self.format = format
    self.options = options
    self.stopAt = stopAt
    self.takesOpenEnd = takesOpenEnd
    bytes = try DecodedFile(path, options.compression.codec(of: mark.path), limit: limit)
  }

  var path: String { bytes.file.path }
  /// Raw bytes that are still to be read.
  var remaining: UInt64 {
    let done = bytes.isCompressed ? bytes.rawOffset : mark.offset
    let end = bytes.isCompressed ? bytes.limit : min(stopAt ?? bytes.limit, bytes.limit)
    return end - min(end, done)
  }

  /// Goes on when the file has grown; with `isFinal` it will grow no more.
  func extend(to limit: UInt64, isFinal: Bool) throws(NebulaError) {
    guard limit >= bytes.limit else { throw bytes.changed("is shorter than what was read of it") }
    bytes.limit = limit
    takesOpenEnd = isFinal
    isExhausted = false
  }

  /// False when bytes behind the mark were given away (the open end of a line too long to be held, in a compressed file,
  /// where nothing leads back): then only a new cursor can go on.
  var isAtMark: Bool { bytes.offset == mark.offset + UInt64(carry.count) }

  func status() throws(NebulaError) -> FileStatus { try bytes.file.status() }

  /// The next whole records; nil at the limit.
  func next(_ budget: MemoryBudget) async throws -> FileCut? {
    guard !isExhausted else { return nil }
    guard try start() else {
      isExhausted = true
      return nil
    }
    let buffer = try await ReadBuffer(carry.count + room(behind: carry.count), budget)
    buffer.append(carry)
    carry = []
    var cutter = makeCutter()
    var ended = false
    while true {
      ended = try fill(buffer)
      let last = ended ? try takesLastLine() : false
      cutter.scan(buffer.bytes, ended: last)
      if cutter.found.consumed > 0 || ended { break }
      if buffer.count > options.maxLineBytes.bytes {
        if cutter.rejectLine(buffer.bytes, because: cutter.found.tooLong(options.maxLineBytes.bytes), ended: last) {
          break
        }
        return try skipLine(buffer, &cutter)
      }
      if buffer.isFull { try await buffer.grow(atMost: options.maxLineBytes.bytes + 2) }
    }
    return try finish(buffer, cutter.found, ended: ended)
  }

  private func makeCutter() -> any RecordCutter {
    let found = CutRecords(path: path, lines: mark.lines)
    if let schema { return RowCutter(found, schema, limit: options.maxLineBytes.bytes) }
    return LineCutter(found, limit: options.maxLineBytes.bytes)
  }

  /// How much to read: a batch, or less when less is left.
  private func room(behind carried: Int) -> Int {
    let left = bytes.isCompressed ? Int.max : Int(clamping: bytes.limit - min(bytes.limit, mark.offset)) - carried
    return max(64, min(options.batchBytes.bytes - carried, left))
  }

  /// Reads until the buffer is full; true at the limit.
  private func fill(_ buffer: ReadBuffer) throws(NebulaError) -> Bool {
    while !buffer.isFull {
      var spare = buffer.spare
      if let stopAt {
        guard stopAt > bytes.offset else { return true }
        spare = UnsafeMutableRawBufferPointer(rebasing: spare.prefix(Int(clamping: stopAt - bytes.offset)))
      }
      let count = try readSome(spare)
      if count == 0 { return true }
      buffer.add(count)
    }
    if let stopAt { return bytes.offset >= stopAt }
    return !bytes.isCompressed && bytes.rawOffset >= bytes.limit
  }

  /// A compressed file that someone still writes ends in the middle of a frame: it is read on when it has grown.
  private func readSome(_ spare: UnsafeMutableRawBufferPointer) throws(NebulaError) -> Int {
    do { return try bytes.read(into: spare) } catch {
      guard error.code == .truncatedCompression, options.follow, !takesOpenEnd else { throw error }
      return 0
    }
  }

  /// A line without end is a record when nothing stands behind it; if the file has grown, its rest is not read yet.
  /// The end of a gzip member or zstd frame ends no line: the next one may go on in it.
  private func takesLastLine() throws(NebulaError) -> Bool {
    guard takesOpenEnd else { return false }
    if stopAt != nil { return true }
    return try bytes.file.status().size <= bytes.limit
  }

  private func finish(_ buffer: ReadBuffer, _ found: CutRecords, ended: Bool) throws(NebulaError) -> FileCut? {
    let rest = buffer.count - found.consumed
    ends.append(UnsafeRawBufferPointer(rebasing: buffer.bytes[0..<found.consumed]))
    advance(found)
    isExhausted = ended && !found.isFull
    mark.isWhole = isExhausted && rest == 0 && stopAt == nil
    carry = Array(buffer.bytes[found.consumed...])
    if rest > 4 << 20, !bytes.isCompressed {  // cheaper to read again than to carry from batch to batch
      carry = []
      try bytes.seek(to: mark.offset)
    }
    if let stopAt, isExhausted, mark.offset != stopAt {
      throw bytes.changed("no longer ends a record at byte \(stopAt)")
    }
    guard !found.records.isEmpty || !found.rejected.isEmpty else { return isExhausted ? nil : FileCut.empty }
    return FileCut(bytes: buffer.freeze(found.consumed), records: found.records, rejected: found.rejected)
  }

  private func advance(_ found: CutRecords) {
    mark.offset += UInt64(found.consumed)
    mark.lines = found.lines
    mark.records += UInt64(found.records.count + found.rejected.count)
    mark.head = Fingerprint.of(ends.head)
    mark.tail = Fingerprint.of(ends.tail)
    if found.consumed > 0 { mark.endsOpen = found.endsOpen }
  }

  /// Passes over a line that is too long to be held; nil, with the mark where it was, when its end is not there yet.
  private func skipLine(_ buffer: ReadBuffer, _ cutter: inout any RecordCutter) throws(NebulaError) -> FileCut? {
    let kept = buffer.bytes
    cutter.found.reject(kept, format == .csv ? .csv : .json, cutter.found.tooLong(options.maxLineBytes.bytes))
    var passed = ends
    var offset = mark.offset
    while true {
      let ended = buffer.count == 0 ? try fill(buffer) : false
      if let end = lineEnd(buffer.bytes, from: 0, ended: false) {
        let rejected = cutter.found.rejected
        ends = passed
        var found = CutRecords(path: path, lines: cutter.found.lines + 1)
        found.rejected = rejected
        found.consumed = end + 1
        mark.offset = offset
        return try finish(buffer, found, ended: false)
      }
      passed.append(buffer.bytes)
      offset += UInt64(buffer.count)
      buffer.removeFirst(buffer.count)
      if ended { return try endSkipping(cutter.found, passed, offset) }
    }
  }

  private func endSkipping(_ found: CutRecords, _ passed: ReadEnds, _ offset: UInt64) throws(NebulaError) -> FileCut? {
    isExhausted = true
    guard try takesLastLine() else {
      if !bytes.isCompressed { try bytes.seek(to: mark.offset) }
      return nil
    }
    ends = passed
    mark.offset = offset
    var done = found
    done.consumed = 0
    done.lines += 1
    advance(done)
    mark.endsOpen = true
    mark.isWhole = stopAt == nil
    return FileCut(bytes: SharedBytes(copying: []), records: [], rejected: done.rejected)
  }
}

extension FileCut {
  static let empty = FileCut(bytes: SharedBytes(copying: []), records: [], rejected: [])
}

extension FileCursor {
  /// Looks at the header and goes to the mark; false while there is no whole header.
  private func start() throws(NebulaError) -> Bool {
    guard !hasStarted else { return true }
    let probe = try DecodedFile(path, options.compression.codec(of: mark.path), limit: bytes.limit)
    let begin: FileStart?
    do { begin = try FileStart.read(probe, format, options, isFinal: takesOpenEnd) } catch {
      guard error.code == .truncatedCompression, options.follow, !takesOpenEnd else { throw error }
      return false
    }
    guard let begin else {
      mark.isWhole = bytes.limit == 0 || takesOpenEnd
      return false
    }
    schema = begin.schema
    let target = max(mark.offset, begin.offset)
    let isFresh = mark.offset == 0
    try advance(to: target)
    if isFresh { mark.lines = begin.lines } else { try verify() }
    mark.offset = target
    mark.head = Fingerprint.of(ends.head)
    mark.tail = Fingerprint.of(ends.tail)
    try skipLateLineEnd()
    hasStarted = true
    return true
  }

  /// Brings the file to `target`, with the ends of what lies before it.
  private func advance(to target: UInt64) throws(NebulaError) {
    if !bytes.isCompressed, target > 8 * UInt64(FileMark.window) {
      guard try bytes.file.status().size >= target else { throw bytes.changed("is shorter than what was read of it") }
      try feed(bytes.file.read(FileMark.window, at: 0))
      try feed(bytes.file.read(FileMark.window, at: Int(target) - FileMark.window))
      return try bytes.seek(to: target)
    }
    var left = Int(target)
    var scratch = [UInt8](repeating: 0, count: min(65_536, max(1, left)))
    while left > 0 {
      let wanted = min(left, scratch.count)
      let count = try scratch.withMutableRaw { (room) throws(NebulaError) in
        try bytes.read(into: UnsafeMutableRawBufferPointer(rebasing: room[0..<wanted]))
      }
      guard count > 0 else { throw bytes.changed("is shorter than what was read of it") }
      scratch.withUnsafeBytes { ends.append(UnsafeRawBufferPointer(rebasing: $0[0..<count])) }
      left -= count
    }
  }

  private func feed(_ piece: [UInt8]) { piece.withUnsafeBytes { ends.append($0) } }

  private func verify() throws(NebulaError) {
    guard Fingerprint.of(ends.head) == mark.head, Fingerprint.of(ends.tail) == mark.tail else {
      throw bytes.changed("has other content than what was read of it")
    }
  }

  /// The last line had no end when it was read: if the file has grown, its end must come first.
  private func skipLateLineEnd() throws(NebulaError) {
    guard mark.endsOpen else { return }
    var next: [UInt8] = []
    while next.count < 2, next.last != 0x0A {
      var byte: [UInt8] = [0]
      if try byte.withMutableRaw({ (room) throws(NebulaError) in try bytes.read(into: room) }) == 0 { break }
      next += byte
    }
    if next.isEmpty { return }
    guard next == [0x0A] || next == [0x0D, 0x0A] else {
      throw bytes.changed("goes on in a line that had been read as its last one")
    }
    feed(next)
    mark.offset += UInt64(next.count)
    mark.endsOpen = false
    mark.head = Fingerprint.of(ends.head)
    mark.tail = Fingerprint.of(ends.tail)
  }
}

extension FileCursor {
  /// True when what the mark says was read is still there.
  var isWhatWasRead: Bool {
    do {
      _ = try start()
      return true
    } catch { return false }
  }
}
