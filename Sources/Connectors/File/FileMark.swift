import NebulaCore

/// How far one file was read, and enough of its content to know it again.
struct FileMark: Equatable {
  /// As listed.
  var path: String
  var device: UInt64
  var inode: UInt64
  /// The file's own size and time when the mark was made.
  var size: UInt64
  var modified: Int64
  /// Decoded bytes that lie behind us.
  var offset: UInt64 = 0
  /// Records (rejected ones too) and lines that lie behind us.
  var records: UInt64 = 0
  var lines: UInt64 = 0
  /// Fingerprints of the first and the last bytes before `offset`, at most `window` each.
  var head = Fingerprint.empty
  var tail = Fingerprint.empty
  /// True when the last line had no line end: if the file grows, that line was not whole.
  var endsOpen = false
  /// True when the file was read to its end.
  var isWhole = false

  /// How many bytes a fingerprint covers.
  static let window = 1024

  init(_ file: ListedFile) {
    path = file.path
    device = file.status.device
    inode = file.status.inode
    size = file.status.size
    modified = file.status.modified
  }

  /// True when nothing was added or changed since the file was read to its end.
  func isDone(_ status: FileStatus) -> Bool { isWhole && size == status.size && modified == status.modified }
}

/// FNV-1a, 64 bits: tells contents apart by accident, not against an enemy.
enum Fingerprint {
  static let empty: UInt64 = 0xcbf2_9ce4_8422_2325
  static func of(_ bytes: some Sequence<UInt8>) -> UInt64 {
    var hash = empty
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    return hash
  }
}

/// The first and the last bytes of what was read of a file.
struct ReadEnds {
  private(set) var head: [UInt8] = []
  private(set) var tail: [UInt8] = []

  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    if head.count < FileMark.window { head += bytes.prefix(FileMark.window - head.count) }
    if bytes.count >= FileMark.window {
      tail = Array(bytes.suffix(FileMark.window))
    } else {
      tail += bytes
      tail.removeFirst(max(0, tail.count - FileMark.window))
    }
  }
}

extension FileMark {
  private init(_ reader: inout ByteReader) throws(NebulaError) {
    path = try reader.text()
    device = try reader.number()
    inode = try reader.number()
    size = try reader.number()
    modified = Int64(bitPattern: try reader.number())
    offset = try reader.number()
    records = try reader.number()
    lines = try reader.number()
    head = try reader.number()
    tail = try reader.number()
    let flags = try reader.number()
    endsOpen = flags & 1 != 0
    isWhole = flags & 2 != 0
  }

  /// A mark, or the path of one that holds no more.
  static func read(_ reader: inout ByteReader) throws(NebulaError) -> (path: String, mark: FileMark?) {
    switch try reader.number() {
    case 0: return (try reader.text(), nil)
    case 1:
      let mark = try FileMark(&reader)
      return (mark.path, mark)
    default: throw ByteReader.damaged
    }
  }

  static func write(_ path: String, _ mark: FileMark?, _ writer: inout ByteWriter) {
    writer.number(mark == nil ? 0 : 1)
    writer.text(path)
    guard let mark else { return }
    for number in [
      mark.device, mark.inode, mark.size, UInt64(bitPattern: mark.modified), mark.offset, mark.records, mark.lines,
      mark.head, mark.tail,
    ] {
      writer.number(number)
    }
    writer.number((mark.endsOpen ? 1 : 0) | (mark.isWhole ? 2 : 0))
  }
}

/// Appends numbers (LEB128) and texts to bytes.
struct ByteWriter {
  var bytes: [UInt8] = []
  mutating func number(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
  mutating func text(_ value: String) {
    number(UInt64(value.utf8.count))
    bytes += value.utf8
  }
}

/// Reads what `ByteWriter` wrote; throws on anything else.
struct ByteReader {
  private var rest: ArraySlice<UInt8>
  init(_ bytes: some Sequence<UInt8>) { rest = Array(bytes)[...] }
  var isAtEnd: Bool { rest.isEmpty }

  static let damaged = NebulaError(
    .fileBadPosition, "The stored position of the file source can't be read.",
    remedy: "Use the version that wrote it; `state reset` reads everything again.")

  mutating func number() throws(NebulaError) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: 0, to: 70, by: 7) {
      guard let byte = rest.popFirst(), shift < 63 || byte <= 1 else { throw Self.damaged }
      value |= UInt64(byte & 0x7f) << UInt64(shift)
      if byte & 0x80 == 0 { return value }
    }
    throw Self.damaged
  }
  mutating func text() throws(NebulaError) -> String {
    let count = try number()
    guard count <= UInt64(rest.count) else { throw Self.damaged }
    defer { rest = rest.dropFirst(Int(count)) }
    return String(decoding: rest.prefix(Int(count)), as: UTF8.self)
  }
}
