import Glibc
import NebulaCore

extension NebulaError.Code {
  static let fileNotFound: Self = "file.not_found"
  static let fileNotRegular: Self = "file.not_regular"
  static let fileFolderTwice: Self = "file.folder_twice"
  static let fileNotPermitted: Self = "file.not_permitted"
  static let fileDiskFull: Self = "file.disk_full"
  static let fileIO: Self = "file.io"
  static let fileChanged: Self = "file.changed"
  static let fileUnknownFormat: Self = "file.unknown_format"
  static let fileBadPosition: Self = "file.bad_position"
  static let fileBadLine: Self = "file.bad_line"
  static let fileLineTooLong: Self = "file.line_too_long"
  static let fileWrongWidth: Self = "file.wrong_width"
  static let fileBadHeader: Self = "file.bad_header"
  static let fileBadValue: Self = "file.bad_value"
  static let fileUnknownColumn: Self = "file.unknown_column"
  static let fileUnknownKey: Self = "file.unknown_key"
  static let fileNotAnObject: Self = "file.not_an_object"
  static let fileNameTaken: Self = "file.name_taken"
  static let fileStagedMissing: Self = "file.staged_missing"
  static let fileFenceBusy: Self = "file.fence_busy"
  static let fileBadManifest: Self = "file.bad_manifest"
}

let sourceErrors: [ErrorSpecification] = [
  .init(.fileNotFound, "A file or folder does not exist.", remedy: "Check the path."),
  .init(.fileNotRegular, "A path names a pipe, a device or a socket.", remedy: "Write its content into a file."),
  .init(.fileFolderTwice, "A link leads to a folder that is read anyway.", remedy: "Remove the link."),
  .init(.fileNotPermitted, "A file or folder may not be read or written.", remedy: "Change its owner or mode."),
  .init(.fileIO, "The system could not read or write.", remedy: "Look at the disk; then start again: nothing is lost."),
  .init(
    .fileChanged, "A file that was read in part is now another one, or shorter.",
    remedy: "Put the old content back, or give the new file a new name; `state reset` reads everything again."),
  .init(.fileUnknownFormat, "A file's name does not tell its format.", remedy: "Set `format`."),
  .init(
    .fileBadPosition, "The stored position can't be read, or its journal is missing.",
    remedy: "Use the version that wrote it, and keep the whole state folder together."),
  .init(.fileBadLine, "A line is no valid record.", remedy: "Mend the line; its text is in the dead letters."),
  .init(.fileLineTooLong, "A line is longer than `max_line_bytes`.", remedy: "Raise `max_line_bytes`."),
  .init(.fileWrongWidth, "A row has more or fewer fields than the header.", remedy: "Mend the row."),
  .init(.fileBadHeader, "A CSV header can't be used.", remedy: "Give every column a name of its own."),
  .init(.fileUnknownColumn, "A declared column is not in the file.", remedy: "Correct its name in `columns`."),
  .init(.fileBadValue, "A value does not fit its declared type.", remedy: "Mend the value, or declare text."),
]

let destinationErrors: [ErrorSpecification] = [
  .init(.fileDiskFull, "The disk or the quota is full.", remedy: "Make room, then start again: nothing is lost."),
  .init(.fileUnknownKey, "A record has a key that is no column.", remedy: "List all columns in `columns`."),
  .init(.fileNotAnObject, "A record is no JSON object, so it has no columns.", remedy: "Use format jsonl."),
  .init(
    .fileNameTaken, "A file of that name exists with other content.",
    remedy: "Write each pipeline into a folder of its own, or put {pipeline} into `partition`."),
  .init(
    .fileStagedMissing, "A staged file is neither staged nor published.",
    remedy: "Someone removed it; the run says what to do after it has looked."),
  .init(
    .fileFenceBusy, "Another process holds the folder's fence.", remedy: "End the other process, then start again."),
  .init(.fileBadManifest, "A prepared epoch or manifest can't be read.", remedy: "Use the version that wrote it."),
]

let permissionDenied = EACCES
let notAFolder = ENOTDIR

/// What a failed system call means. Disk full is retryable: room may be made while the pipeline waits.
func systemError(_ number: Int32, _ doing: String, _ path: String) -> NebulaError {
  let reason = String(cString: strerror(number))
  let message = "\(doing) \(path) failed: \(reason)."
  let place = NebulaError.Place(path: path)
  switch number {
  case ENOSPC, EDQUOT:
    return NebulaError(
      .fileDiskFull, message, remedy: "Make room there; nothing is lost, and the next start goes on.", at: place,
      native: "errno \(number)", disposition: .retry(after: nil), exit: .environment)
  case EFBIG:
    return NebulaError(
      .fileDiskFull, message, remedy: "Raise the file size limit (ulimit -f) or lower max_file_size.", at: place,
      native: "errno \(number)", exit: .environment)
  case ENOENT, ENOTDIR:
    return NebulaError(
      .fileNotFound, message, remedy: "Check the path.", at: place, native: "errno \(number)", exit: .environment)
  case EACCES, EPERM, EROFS:
    return NebulaError(
      .fileNotPermitted, message, remedy: "Change the owner or the mode, or use another folder.", at: place,
      native: "errno \(number)", exit: .environment)
  case EMFILE, ENFILE, ENOMEM, EAGAIN, EINTR:
    return NebulaError(
      .fileIO, message, remedy: "Raise the limit (ulimit -n), or let other programs end.", at: place,
      native: "errno \(number)", disposition: .retry(after: nil))
  default:
    return NebulaError(
      .fileIO, message, remedy: "Look at the disk and its log; then start again: nothing is lost.", at: place,
      native: "errno \(number)", exit: .environment)
  }
}
