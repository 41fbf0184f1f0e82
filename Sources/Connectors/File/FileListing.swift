import Glibc
import NebulaCore

/// One file that the source's path names.
struct ListedFile {
  let path: String
  let status: FileStatus
}

/// What a path names now: one file, the matches of a glob or a folder's content, sorted by the bytes of their names.
struct FileListing {
  /// A path as it stands in the options.
  let path: String
  /// True when a file with this name is meant though its extension tells no format.
  let isWanted: (String) -> Bool

  func files() throws(NebulaError) -> [ListedFile] {
    var found: [ListedFile] = []
    if let status = try FileStatus.of(path) {
      if status.isFolder {
        try walk(trimmed(path), &found)
      } else {
        found.append(ListedFile(path: path, status: status))
      }
    } else if isGlob {
      for match in try matches() {
        if let status = try FileStatus.of(match), !status.isFolder {
          found.append(ListedFile(path: match, status: status))
        }
      }
    }
    return found.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
  }

  var isGlob: Bool { path.contains { "*?[".contains($0) } }

  private func trimmed(_ path: String) -> String {
    path.count > 1 && path.hasSuffix("/") ? trimmed(String(path.dropLast())) : path
  }

  private func walk(_ folder: String, _ found: inout [ListedFile]) throws(NebulaError) {
    for name in try Folder.names(in: folder) where !name.hasPrefix(".") && !name.hasPrefix("_") {
      let path = folder == "/" ? "/\(name)" : "\(folder)/\(name)"
      guard let status = try FileStatus.of(path) else { continue }
      if status.isFolder {
        try walk(path, &found)
      } else if status.isRegular, isWanted(path) {
        found.append(ListedFile(path: path, status: status))
      }
    }
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
