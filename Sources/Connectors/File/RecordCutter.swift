import Glibc
import NebulaCore
import NebulaFormats

/// Finds the records in a buffer that grows at its end, and rejects those that are none. Offsets are the buffer's.
protocol RecordCutter {
  var found: CutRecords { get set }
  /// Looks at the bytes that are new since the last call. With `ended`, a last line without line end is a record.
  mutating func scan(_ bytes: UnsafeRawBufferPointer, ended: Bool)
  /// Rejects the first physical line that is not consumed; false when the buffer does not hold its end.
  mutating func rejectLine(_ bytes: UnsafeRawBufferPointer, because error: NebulaError, ended: Bool) -> Bool
}

/// What was cut from a buffer so far.
struct CutRecords {
  /// For places: the file, and the number of lines before the buffer.
  let path: String
  var lines: UInt64
  var records: [ByteRange] = []
  var rejected: [RejectedRecord] = []
  /// Bytes that belong to whole lines.
  var consumed = 0
  /// True when the last record had no line end.
  var endsOpen = false

  /// More records or rejects in one batch would take more memory than its bytes.
  var isFull: Bool { records.count >= 65_536 || rejected.count >= 1000 }
  var place: NebulaError.Place { .init(path: path, line: Int(lines) + 1) }

  /// The dead letters keep this much of a record.
  static let keptBytes = 64 << 10

  mutating func reject(_ bytes: UnsafeRawBufferPointer, _ format: PayloadFormat, _ error: NebulaError) {
    var error = error
    if error.place == nil { error.place = place }
    if bytes.count > Self.keptBytes {
      error = NebulaError(
        error.code, error.message + " Only its first \(Self.keptBytes) bytes are kept.", remedy: error.remedy,
        at: error.place, native: error.native, disposition: .reject)
    }
    rejected.append(RejectedRecord(error, payload: Array(bytes.prefix(Self.keptBytes)), format: format))
  }

  func tooLong(_ limit: Int) -> NebulaError {
    NebulaError(
      .fileLineTooLong, "The line is longer than max_line_bytes (\(limit)).", remedy: "Raise max_line_bytes.",
      at: place, disposition: .reject)
  }
}

/// JSON Lines: one value a line; blank lines are no records.
struct LineCutter: RecordCutter {
  var found: CutRecords
  let limit: Int
  private var splitter = LineSplitter()
  /// Where the splitter's offset 0 lies in the buffer.
  private var base = 0

  init(_ found: CutRecords, limit: Int) {
    self.found = found
    self.limit = limit
  }

  mutating func scan(_ bytes: UnsafeRawBufferPointer, ended: Bool) {
    let rest = UnsafeRawBufferPointer(rebasing: bytes[base...])
    while !found.isFull, let line = splitter.next(in: rest) {
      take(rest, line)
      found.consumed = base + splitter.consumed
      found.lines += 1
    }
    guard ended, !found.isFull, let line = splitter.finish(in: rest) else { return }
    take(rest, line)
    found.consumed = bytes.count
    found.endsOpen = true
  }

  private mutating func take(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
    let line = UnsafeRawBufferPointer(rebasing: bytes[range])
    if line.count > limit { return found.reject(line, .json, found.tooLong(limit)) }
    guard let problem = JSONText.validate(line) else {
      return found.records.append(ByteRange(UInt32(base + range.lowerBound), UInt32(base + range.upperBound)))
    }
    if line.allSatisfy(isBlank) { return }
    let error = NebulaError(
      .fileBadLine, "The line is not JSON: \(problem.reason), at byte \(problem.offset).",
      remedy: "Mend the line; its text is in the dead letters.", disposition: .reject)
    found.reject(line, .json, error)
  }

  mutating func rejectLine(_ bytes: UnsafeRawBufferPointer, because error: NebulaError, ended: Bool) -> Bool {
    guard let end = lineEnd(bytes, from: found.consumed, ended: ended) else { return false }
    found.reject(UnsafeRawBufferPointer(rebasing: bytes[found.consumed..<end]), .json, error)
    found.consumed = min(end + 1, bytes.count)
    found.lines += 1
    base = found.consumed
    splitter = LineSplitter()
    return true
  }
}

private func isBlank(_ byte: UInt8) -> Bool {
  byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
}

/// The offset of the first newline, or the end when there is none and no more will come.
func lineEnd(_ bytes: UnsafeRawBufferPointer, from start: Int, ended: Bool) -> Int? {
  guard start < bytes.count, let base = bytes.baseAddress else { return nil }
  if let newline = memchr(base + start, 0x0A, bytes.count - start) { return UnsafeRawPointer(newline) - base }
  return ended ? bytes.count : nil
}
