import Glibc
import NebulaCore

/// One file that the source's path names.
struct ListedFile {
  let path: String
  let status: FileStatus
}

/// What a path names now: one file, the matches of a glob or a folder's content, sorted by the bytes of their names.
///
/// Only regular files have an end and can be read again from a position: what else is named is an error. In a folder
/// such things are passed over, as files with other extensions are.
struct FileListing {
  /// A path as it stands in the options.
  let path: String
  /// True when a file with this name is meant though its extension tells no format.
  let isWanted: (String) -> Bool

  func files() throws(NebulaError) -> [ListedFile] {
    var found: [ListedFile] = []
    if let status = try FileStatus.of(path) {
      if status.isFolder {
        var walk = FolderWalk(isWanted: isWanted)
        try walk.enter(trimmed(path), FileKey(status))
        found = walk.found
      } else {
        found.append(try regular(path, status))
      }
    } else if isGlob {
      for match in try matches() {
        if let status = try FileStatus.of(match), !status.isFolder {
          found.append(try regular(match, status))
        }
      }
    }
    return found.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
  }

  var isGlob: Bool { path.contains { "*?[".contains($0) } }

  private func trimmed(_ path: String) -> String {
    path.count > 1 && path.hasSuffix("/") ? trimmed(String(path.dropLast())) : path
  }

  private func regular(_ path: String, _ status: FileStatus) throws(NebulaError) -> ListedFile {
    guard status.isRegular else {
      throw NebulaError(
        .fileNotRegular, "\(path) is a pipe, a device or a socket, not a file: it can't be read twice from a position.",
        remedy: "Write its content into a file and name that, with follow: true while it grows.",
        at: .init(path: path), exit: .configuration)
    }
    return ListedFile(path: path, status: status)
  }

  private func matches() throws(NebulaError) -> [String] {
    var list = glob_t()
    defer { globfree(&list) }
    switch glob(path, GLOB_NOSORT, nil, &list) {
    case 0: break
    case GLOB_NOMATCH: return []
    default: throw systemError(errno == 0 ? EIO : errno, "Matching", path)
    }
    return (0..<Int(list.gl_pathc)).compactMap { list.gl_pathv[$0].map { String(cString: $0) } }
  }
}

/// Collects the files of a folder and of those in it, links to folders too, but none of them twice.
private struct FolderWalk {
  let isWanted: (String) -> Bool
  private(set) var found: [ListedFile] = []
  /// Under which path each folder was met.
  private var entered: [FileKey: String] = [:]

  init(isWanted: @escaping (String) -> Bool) { self.isWanted = isWanted }

  mutating func enter(_ folder: String, _ key: FileKey) throws(NebulaError) {
    if let other = entered.updateValue(folder, forKey: key) { throw Self.metTwice(folder, other) }
    for name in try Folder.names(in: folder) where !name.hasPrefix(".") && !name.hasPrefix("_") {
      let path = folder == "/" ? "/\(name)" : "\(folder)/\(name)"
      guard let status = try FileStatus.of(path) else { continue }
      if status.isFolder {
        try enter(path, FileKey(status))
      } else if status.isRegular, isWanted(path) {
        found.append(ListedFile(path: path, status: status))
      }
    }
  }

  /// A link that leads back, or beside: following it would read files again, without end or twice.
  private static func metTwice(_ one: String, _ other: String) -> NebulaError {
    let (first, second) = one < other ? (one, other) : (other, one)
    return NebulaError(
      .fileFolderTwice, "\(first) and \(second) are the same folder: its files would be read twice.",
      remedy: "Remove the link, give it a name that starts with . or _, or name the files by a glob.",
      at: .init(path: second), exit: .configuration)
  }
}
