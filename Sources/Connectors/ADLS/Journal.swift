internal import Glibc
internal import NebulaCore
internal import NebulaFormats
internal import NebulaHTTP

/// The growing files of this pipeline, in a small file beside the state: which are still to be closed, under which
/// lease, and the last epoch whose commit was begun. Lines are added and made durable together; the file is written
/// anew when most of its lines are old.
actor Journal {
  nonisolated let executor = ThreadExecutor()
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  /// A growing file.
  struct Entry: Sendable, Hashable {
    var key: String
    var base: String
    /// When its hour ends, in milliseconds since 1970.
    var until: Int64?
    /// The id of the lease that was taken last.
    var lease: String
    /// So many appends were made; more, up to `FileOpener.countedBy`, while the file is open.
    var appends = 0
    var isOpen = true
    /// Its ETag when its closing flush was sent.
    var closing: String?
  }
  private let path: String
  private(set) var entries: [String: Entry] = [:]
  private(set) var last: EpochID?
  private var file: Int32 = -1
  private var lines = 0
  private var isLoaded = false

  init(folder: String) { path = "\(folder)/adls-files.jsonl" }
  deinit { executor.stop() }

  // MARK: reading

  /// Reads what an earlier process left; the same again changes nothing.
  func load() throws(NebulaError) {
    guard !isLoaded else { return }
    let bytes = try contents()
    let lines = bytes.split(separator: UInt8(ascii: "\n"))
    for (index, line) in lines.enumerated() where !take(line) {
      // A last line that was cut short by a death was never acted upon.
      guard index == lines.count - 1 else { throw failure("holds a line that can't be read: line \(index + 1)") }
    }
    try rewrite()
    isLoaded = true
  }

  private func take(_ line: ArraySlice<UInt8>) -> Bool {
    guard let value = try? JSONValue(parsing: Array(line)) else { return false }
    if let text = value["last"]?.string {
      last = EpochID(text: text)
    } else if let key = value["closed"]?.string {
      entries[key] = nil
    } else if let key = value["file"]?.string, let base = value["base"]?.string, let lease = value["lease"]?.string {
      entries[key] = Entry(
        key: key, base: base, until: value["until"]?.integer, lease: lease,
        appends: Int(value["appends"]?.integer ?? 0),
        isOpen: value["open"]?.bool ?? true, closing: value["closing"]?.string)
    } else {
      return false
    }
    return true
  }

  private func contents() throws(NebulaError) -> [UInt8] {
    let file = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    if file < 0, errno == ENOENT { return [] }
    guard file >= 0 else { throw system("opened") }
    defer { Glibc.close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw system("read") }
      if count == 0 { return bytes }
      bytes += buffer[..<count]
    }
  }

  // MARK: writing

  /// Remembers files, durably.
  func note(_ files: [Entry]) throws(NebulaError) {
    guard !files.isEmpty else { return }
    for entry in files { entries[entry.key] = entry }
    try add(files.map(Self.line), durably: true)
  }
  /// Files that are closed, or never came to be.
  func forget(_ keys: [String]) throws(NebulaError) {
    let known = keys.filter { entries.removeValue(forKey: $0) != nil }
    guard !known.isEmpty else { return }
    try add(known.map { Self.line("closed", $0) }, durably: true)
    if lines > 1000, lines > 4 * entries.count { try rewrite() }
  }
  /// The commit of an epoch is about to begin.
  func begun(_ epoch: EpochID) throws(NebulaError) {
    if let last, last >= epoch { return }
    last = epoch
    try add([Self.line("last", epoch.description)], durably: true)
  }

  func stop() {
    if file >= 0 { Glibc.close(file) }
    file = -1
    isLoaded = false
  }

  private static func line(_ name: StaticString, _ text: String) -> [UInt8] {
    let output = OutputBuffer(capacity: 256)
    output.append("{\"")
    output.append(name)
    output.append("\":")
    JSONText.appendString(text, to: output)
    output.append("}\n")
    return output.array
  }
  private static func line(_ entry: Entry) -> [UInt8] {
    let output = OutputBuffer(capacity: 256)
    output.append("{\"file\":")
    JSONText.appendString(entry.key, to: output)
    output.append(",\"base\":")
    JSONText.appendString(entry.base, to: output)
    output.append(utf8: ",\"lease\":\"\(entry.lease)\",\"appends\":\(entry.appends)")
    if !entry.isOpen { output.append(",\"open\":false") }
    if let until = entry.until { output.append(utf8: ",\"until\":\(until)") }
    if let etag = entry.closing {
      output.append(",\"closing\":")
      JSONText.appendString(etag, to: output)
    }
    output.append("}\n")
    return output.array
  }

  private func add(_ new: [[UInt8]], durably: Bool) throws(NebulaError) {
    if file < 0 { try rewrite() }
    lines += new.count
    try write(new.flatMap(\.self), to: file)
    if durably, fdatasync(file) != 0 { throw system("made durable") }
  }

  private func write(_ bytes: [UInt8], to file: Int32) throws(NebulaError) {
    var done = 0
    while done < bytes.count {
      let count = bytes[done...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw system("written") }
      done += count
    }
  }

  /// Writes a new file with what still holds, and goes on with it.
  private func rewrite() throws(NebulaError) {
    let temporary = path + ".new"
    let new = Glibc.open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o600)
    guard new >= 0 else { throw system("made") }
    var all = entries.values.sorted { $0.key < $1.key }.map(Self.line)
    if let last { all.append(Self.line("last", last.description)) }
    do throws(NebulaError) {
      try write(all.flatMap(\.self), to: new)
      guard fdatasync(new) == 0, Glibc.rename(temporary, path) == 0 else { throw system("replaced") }
      try syncFolder()
    } catch {
      Glibc.close(new)
      throw error
    }
    if file >= 0 { Glibc.close(file) }
    file = new
    lines = all.count
  }

  private func syncFolder() throws(NebulaError) {
    let folder = Glibc.open(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]), O_RDONLY | O_CLOEXEC)
    guard folder >= 0 else { throw system("reached") }
    defer { Glibc.close(folder) }
    guard fsync(folder) == 0 else { throw system("made durable") }
  }

  private func system(_ what: String) -> NebulaError {
    let number = errno
    return NebulaError(
      .adlsJournal, "\(path) can't be \(what): \(String(cString: strerror(number))).",
      remedy: "Check the state folder, its rights and the room on its disk; nothing is lost.", at: .init(path: path),
      native: "errno \(number)", disposition: number == ENOSPC ? .retry(after: nil) : .stop, exit: .environment)
  }
  private func failure(_ problem: String) -> NebulaError {
    NebulaError(
      .adlsJournal, "\(path) \(problem).", remedy: "Bring the file back from the state folder's last good copy.",
      at: .init(path: path))
  }
}
