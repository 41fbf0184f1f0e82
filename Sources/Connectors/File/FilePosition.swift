import Glibc
import NebulaCore

/// The source's place: a mark for every file it has touched. A position holds the newest marks itself; older ones lie
/// in a journal beside the state, of which the position names the length and the digest, so that a folder of 100,000
/// files makes no large position.
struct FilePosition: Equatable {
  static let version: UInt64 = 1
  /// Marks made since the journal was last written; nil for a path whose mark holds no more.
  var recent: [String: FileMark?] = [:]
  /// The journal behind them.
  var journal: JournalMark?

  struct JournalMark: Equatable {
    var name: String
    var length: UInt64
    var digest: String
  }

  init() {}

  init(_ position: Position) throws(NebulaError) {
    var reader = ByteReader(position.bytes)
    guard try reader.number() == Self.version else { throw ByteReader.damaged }
    if try reader.number() == 1 {
      journal = JournalMark(name: try reader.text(), length: try reader.number(), digest: try reader.text())
    }
    while !reader.isAtEnd {
      let (path, mark) = try FileMark.read(&reader)
      recent[path] = .some(mark)
    }
  }

  /// The same place gives the same bytes.
  var encoded: Position {
    var writer = ByteWriter()
    writer.number(Self.version)
    writer.number(journal == nil ? 0 : 1)
    if let journal {
      writer.text(journal.name)
      writer.number(journal.length)
      writer.text(journal.digest)
    }
    for (path, mark) in recent.sorted(by: { $0.key < $1.key }) { FileMark.write(path, mark, &writer) }
    return Position(writer.bytes)
  }
}

/// The journal of marks: appended and flushed before a position names what was appended. A new process copies the part
/// that its position names into a journal of its own name, so that an older process can never write into it.
struct MarkJournal {
  let folder: String
  private(set) var mark: FilePosition.JournalMark?
  private var file: FileDescriptor?
  private var hash = SHA256()
  private let newName: String
  private static let prefix = "file_source-"

  init(folder: String, mark: FilePosition.JournalMark?, random: UInt64) {
    self.folder = folder
    self.mark = mark
    newName = "\(Self.prefix)\(String(random, radix: 16)).marks"
  }

  /// The marks that the position's journal holds, the newest for each path.
  func load() throws(NebulaError) -> [String: FileMark] {
    guard let mark else { return [:] }
    var marks: [String: FileMark] = [:]
    var reader = ByteReader(try bytes(of: mark))
    while !reader.isAtEnd {
      let (path, mark) = try FileMark.read(&reader)
      marks[path] = mark
    }
    return marks
  }

  private func bytes(of mark: FilePosition.JournalMark?) throws(NebulaError) -> [UInt8] {
    guard let mark else { return [] }
    let path = "\(folder)/\(mark.name)"
    let whole = mark.name.contains("/") ? nil : try Folder.contents(of: path)
    guard let whole, whole.count >= Int(clamping: mark.length) else { throw missing(path) }
    let bytes = Array(whole.prefix(Int(mark.length)))
    guard SHA256.hex(SHA256.digest(of: bytes)) == mark.digest else { throw missing(path) }
    return bytes
  }

  private func missing(_ path: String) -> NebulaError {
    NebulaError(
      .fileBadPosition, "The list of files that were read is missing or is another one.",
      remedy: "Bring back the whole state folder; `state reset` reads everything again.", at: .init(path: path))
  }

  /// Appends marks; they are durable when it returns.
  mutating func append(_ marks: [String: FileMark?]) throws(NebulaError) {
    if file == nil { try start() }
    var writer = ByteWriter()
    for (path, mark) in marks.sorted(by: { $0.key < $1.key }) { FileMark.write(path, mark, &writer) }
    try write(writer.bytes)
    try file?.sync()
  }

  private mutating func start() throws(NebulaError) {
    let old = mark == nil ? [] : try bytes(of: mark)
    file = try FileDescriptor(opening: "\(folder)/\(newName)", O_WRONLY | O_CREAT | O_TRUNC)
    try Folder.sync(folder)
    mark = FilePosition.JournalMark(name: newName, length: 0, digest: "")
    try write(old)
  }

  private mutating func write(_ bytes: [UInt8]) throws(NebulaError) {
    try bytes.withRaw { (raw) throws(NebulaError) in try file?.writeAll(raw) }
    hash.update(bytes)
    var copy = hash
    mark?.length += UInt64(bytes.count)
    mark?.digest = SHA256.hex(copy.finish())
  }

  /// Removes the journals that no stored position can name any more: `durable` names ours.
  func sweep(durable: FilePosition.JournalMark?) throws(NebulaError) {
    guard let durable, durable.name == newName else { return }
    for name in try Folder.names(in: folder) where name.hasPrefix(Self.prefix) && name != newName {
      try Folder.remove("\(folder)/\(name)")
    }
  }
}
