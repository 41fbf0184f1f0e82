internal import NebulaCore

/// What COPY does with a row that it can't load.
enum OnError: String, Sendable, Hashable, CaseIterable {
  /// Nothing is loaded.
  case abort = "ABORT_STATEMENT"
  /// The row is left out.
  case skipRow = "CONTINUE"
  /// The row's whole file is left out.
  case skipFile = "SKIP_FILE"
}

/// The user's additions to COPY. What would break the count of rows, or load a file twice, is refused with its reason.
struct CopyOptions: Sendable, Hashable {
  /// As they stand in the statement, in a fixed order.
  let clauses: [String]
  let onError: OnError

  init(_ given: [String: String]) throws(NebulaError) {
    var clauses: [String] = []
    var onError = OnError.abort
    for (name, value) in given.sorted(by: { $0.key < $1.key }) {
      let option = name.uppercased()
      let value = value.uppercased()
      switch option {
      case "ON_ERROR":
        guard let known = OnError(rawValue: value) else {
          throw Self.refusal(
            value.hasPrefix("SKIP_FILE") ? .notSupported : .badProperty, "\(option)=\(value)",
            "which rows it leaves out depends on how many are bad",
            "Write \(OnError.allCases.map(\.rawValue).joined(separator: ", or ")).")
        }
        onError = known
      case "ENFORCE_LENGTH", "TRUNCATECOLUMNS":
        guard value == "TRUE" || value == "FALSE" else {
          throw Self.refusal(
            .badProperty, "\(option)=\(value)", "it is TRUE or FALSE", "Write \(option): TRUE or FALSE.")
        }
        clauses.append("\(option)=\(value)")
      default:
        throw Self.refusal(
          Self.reasons[option] == nil ? .badProperty : .notSupported, option,
          Self.reasons[option] ?? "it is not an option of COPY that is known here", "Leave it out.")
      }
    }
    self.clauses = clauses
    self.onError = onError
  }

  /// Texts that are longer than their column are to be cut.
  var cutsTexts: Bool { clauses.contains("TRUNCATECOLUMNS=TRUE") || clauses.contains("ENFORCE_LENGTH=FALSE") }

  /// For a table of which rows are known to be bad, they are left out, whatever the configuration says by now.
  func fitting(_ table: StagedTable) -> CopyOptions {
    let isKnown = table.loadedFiles.contains { $0.rejected > 0 }
    return isKnown ? CopyOptions(clauses: clauses, onError: .skipRow) : self
  }

  private init(clauses: [String], onError: OnError) {
    self.clauses = clauses
    self.onError = onError
  }

  private static let reasons = [
    "FORCE": "it would load files again that are already in the table",
    "PURGE": "it would delete files that a recovery may still need; they are removed after the receipt",
    "SIZE_LIMIT": "it would leave files out",
    "PATTERN": "files are named one by one",
    "FILES": "files are named by the epoch",
    "VALIDATION_MODE": "it would load nothing",
    "RETURN_FAILED_ONLY": "the result must name every file",
    "MATCH_BY_COLUMN_NAME": "columns are named in the statement",
    "LOAD_UNCERTAIN_FILES": "it would load files again that are already in the table",
    "FILE_FORMAT": "it follows from file_format and compression_type",
    "INCLUDE_METADATA": "FILE and FILE_ROW are filled already",
    "LOAD_MODE": "it is not supported with the format that is used",
  ]

  private static func refusal(
    _ code: NebulaError.Code, _ option: String, _ reason: String, _ remedy: String
  ) -> NebulaError {
    NebulaError(
      code, "copy_options: \(option) is refused: \(reason).", remedy: remedy, at: .init(path: "copy_options"),
      exit: .configuration)
  }
}
