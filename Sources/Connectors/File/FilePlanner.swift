import NebulaCore

/// One file to read, from its mark to a limit.
struct FileTask {
  /// Where the file lies now.
  let path: String
  var mark: FileMark
  let format: FileFormat
  /// Raw bytes that may be read.
  let limit: UInt64
  var stopAt: UInt64?
  var takesOpenEnd: Bool
  var origin = Origin.known
  /// What the limit was taken from; nil when the file is not read as far as it went then. Only what is listed is known
  /// to be read: the writer may have added more before the reader came to the limit.
  var listed: FileStatus?
  /// Set for a file that was renamed while it was followed: what to do with its mark once it is read to its end.
  var renamed: Renamed?

  enum Origin { case known, moved(from: String) }
  enum Renamed { case listed(String), unlisted }

  var remaining: UInt64 { limit - min(limit, mark.offset) }
}

/// Decides which files are read next, and in which order, from what is there and what was read.
struct FilePlanner {
  private let options: FileSourceOptions
  private let listing: FileListing
  /// Files that were read as far as they go: looked at again once they change.
  private var seen: [String: FileStatus] = [:]

  init(_ options: FileSourceOptions) {
    self.options = options
    listing = FileListing(path: options.path) { options.format(of: $0) != nil }
  }

  mutating func saw(_ path: String, _ status: FileStatus) { seen[path] = status }

  /// All files that the path names; an error when it names one that is not there.
  func list() throws(NebulaError) -> [ListedFile] {
    let files = try listing.files()
    if files.isEmpty, !listing.isGlob, !options.follow, try FileStatus.of(options.path) == nil {
      throw NebulaError(
        .fileNotFound, "There is nothing at \(options.path).", remedy: "Check source.path.",
        at: .init(path: options.path), exit: .environment)
    }
    return files
  }

  /// What is to be read now. With `final`, files end where they end now.
  mutating func plan(
    _ marks: [String: FileMark], parked: [String: FileCursor], final: Bool
  ) throws(NebulaError) -> [FileTask] {
    let files = try list()
    let byPath = Dictionary(files.map { ($0.path, $0.status) }, uniquingKeysWith: { a, _ in a })
    var byInode: [FileKey: FileMark]?
    var tasks: [FileTask] = []
    var claimed: Set<String> = []
    var renamed: Set<String> = []
    for file in files where seen[file.path] != file.status && !claimed.contains(file.path) {
      guard let format = options.format(of: file.path) else { throw unknownFormat(file.path) }
      if var mark = marks[file.path], !renamed.contains(file.path) {
        if mark.isDone(file.status), mark.inode == file.status.inode {
          seen[file.path] = file.status
          continue
        }
        if FileKey(mark) != FileKey(file.status) {
          if let old = try rotated(mark, format, byPath, marks, parked) {
            if case .listed(let path)? = old.renamed { claimed.insert(path) }
            tasks.append(old)
            tasks.append(task(file, FileMark(file), format, final))
            continue
          }
          mark.device = file.status.device  // content decides: the cursor compares it
          mark.inode = file.status.inode
        }
        mark.size = file.status.size
        mark.modified = file.status.modified
        tasks.append(task(file, mark, format, final))
      } else {
        if byInode == nil { byInode = Self.index(marks) }
        let found = try fresh(file, format, byInode?[FileKey(file.status)], byPath, final)
        if case .moved(let old) = found.origin { renamed.insert(old) }
        tasks.append(found)
      }
    }
    return tasks
  }

  private func task(_ file: ListedFile, _ mark: FileMark, _ format: FileFormat, _ final: Bool) -> FileTask {
    FileTask(
      path: file.path, mark: mark, format: format, limit: file.status.size, takesOpenEnd: final, listed: file.status)
  }

  /// A file without a mark: new, or one that was read under a name that it no longer has.
  private func fresh(
    _ file: ListedFile, _ format: FileFormat, _ old: FileMark?, _ byPath: [String: FileStatus], _ final: Bool
  ) throws(NebulaError) -> FileTask {
    var found = task(file, FileMark(file), format, final)
    guard let old, byPath[old.path].map(FileKey.init) != FileKey(old), matches(file, old, format) else { return found }
    found.mark = old
    found.mark.path = file.path
    found.mark.size = file.status.size
    found.mark.modified = file.status.modified
    found.origin = .moved(from: old.path)
    return found
  }

  /// The file that a mark speaks of, when another one has taken its name.
  private func rotated(
    _ mark: FileMark, _ format: FileFormat, _ byPath: [String: FileStatus], _ marks: [String: FileMark],
    _ parked: [String: FileCursor]
  ) throws(NebulaError) -> FileTask? {
    func drain(_ path: String, _ limit: UInt64, _ after: FileTask.Renamed) -> FileTask {
      FileTask(path: path, mark: mark, format: format, limit: limit, takesOpenEnd: true, renamed: after)
    }
    if let (path, status) = byPath.first(where: { FileKey($0.value) == FileKey(mark) && marks[$0.key] == nil }) {
      return drain(path, status.size, .listed(path))
    }
    if let open = parked[mark.path], open.mark.inode == mark.inode {
      return drain(open.path, try open.status().size, .unlisted)
    }
    let folder = Folder.parent(of: mark.path)
    for name in try Folder.names(in: folder) {
      let path = mark.path.contains("/") ? "\(folder)/\(name)" : name
      if let status = try FileStatus.of(path), FileKey(status) == FileKey(mark) {
        return drain(path, status.size, .unlisted)
      }
    }
    return nil
  }

  /// True when the file's content is what the mark says was read.
  private func matches(_ file: ListedFile, _ mark: FileMark, _ format: FileFormat) -> Bool {
    var moved = mark
    moved.path = file.path
    guard
      let cursor = try? FileCursor(file.path, moved, format, options, limit: file.status.size, takesOpenEnd: false)
    else { return false }
    return cursor.isWhatWasRead
  }

  private static func index(_ marks: [String: FileMark]) -> [FileKey: FileMark] {
    Dictionary(marks.values.map { (FileKey($0), $0) }, uniquingKeysWith: { a, b in a.offset > b.offset ? a : b })
  }

  private func unknownFormat(_ path: String) -> NebulaError {
    NebulaError(
      .fileUnknownFormat, "The name of \(path) does not tell whether it is JSON Lines or CSV.",
      remedy: "Set source.format to jsonl or csv.", at: .init(path: path), exit: .configuration)
  }

  /// What lies between two positions, file by file.
  func reread(from marks: [String: FileMark], to wanted: [String: FileMark]) throws(NebulaError) -> [FileTask] {
    var tasks: [FileTask] = []
    for (path, end) in wanted.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
      let start = marks[path]
      guard end.offset > start?.offset ?? 0 else { continue }
      guard let status = try FileStatus.of(path) else { throw fileChanged(path, "is no longer there") }
      guard let format = options.format(of: path) else { throw unknownFormat(path) }
      if let start, FileKey(start) != FileKey(end) {
        throw fileChanged(path, "was replaced within the records that must be read again")
      }
      let file = ListedFile(path: path, status: status)
      var task = task(file, start ?? FileMark(file), format, false)
      task.stopAt = end.offset
      task.listed = nil
      task.takesOpenEnd = end.endsOpen
      tasks.append(task)
    }
    return tasks
  }
}

/// What tells files apart on this machine.
struct FileKey: Hashable {
  let device: UInt64
  let inode: UInt64
  init(_ status: FileStatus) { (device, inode) = (status.device, status.inode) }
  init(_ mark: FileMark) { (device, inode) = (mark.device, mark.inode) }
}
