public import NebulaCore

extension NebulaError.Code {
  /// The state file can't be written now.
  public static let stateDisk: Self = "state.disk"
  /// Another process is writing the state file.
  public static let stateBusy: Self = "state.busy"
  /// The state file is damaged.
  public static let stateCorrupt: Self = "state.corrupt"
  /// The state file can't be opened.
  public static let stateUnwritable: Self = "state.unwritable"
  /// The state file was written by a newer version.
  public static let stateNewer: Self = "state.newer_version"
  /// The file is a database, but not one of ours.
  public static let stateForeign: Self = "state.not_a_state_file"
  /// The state file belongs to another pipeline.
  public static let stateOccupied: Self = "state.other_pipeline"
  /// There is no state.
  public static let stateMissing: Self = "state.missing"
}

/// The errors of the state store, for the docs.
public let stateErrors: [ErrorSpecification] = [
  .init(.fenced, "The state belongs to a newer writer.", remedy: "Nothing: the newer writer goes on."),
  .init(
    .locked, "Another process holds the pipeline.",
    remedy: "Stop it, or wait until its lease ends (30 s after it last renewed it)."),
  .init(
    .identityChanged, "The stored position belongs to another source or destination.",
    remedy: "Use another `name`, or run `nebula-swift state reset`."),
  .init(
    .behindDestination, "The destination has seen a later writer than the state knows of.",
    remedy: "Use the newest state, or run `nebula-swift state reset`."),
  .init(
    .gap, "A committed epoch lies behind one that is gone.",
    remedy: "Compare the destination with the source, then run `nebula-swift state reset`."),
  .init(
    .stateDisk, "The state file can't be written now.", remedy: "Free space on its disk; the write is tried again."),
  .init(.stateBusy, "Another process is writing the state file.", remedy: "Look who has the file open."),
  .init(.stateCorrupt, "The state file is damaged.", remedy: "Restore it from a backup, or move it away."),
  .init(.stateUnwritable, "The state file can't be opened for writing.", remedy: "Mend its rights, or use --state."),
  .init(.stateNewer, "The state file was written by a newer nebula-swift.", remedy: "Use that version or a newer one."),
  .init(
    .stateForeign, "The file is an SQLite database of something else.", remedy: "Choose another place with --state."),
  .init(
    .stateOccupied, "The state file belongs to another pipeline.",
    remedy: "Give every pipeline a folder of its own with --state."),
  .init(.stateMissing, "There is no state for that pipeline.", remedy: "Check the name and --state."),
]
