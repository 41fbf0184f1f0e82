internal import NebulaCore

extension NebulaError.Code {
  static let adlsBadManifest: Self = "adls.bad_manifest"
  static let adlsBadFence: Self = "adls.bad_fence"
  static let adlsFlushRefused: Self = "adls.flush_refused"
  static let adlsLeaseHeld: Self = "adls.lease_held"
  static let adlsLeaseLost: Self = "adls.lease_lost"
  static let adlsNameTaken: Self = "adls.name_taken"
  static let adlsStagedMissing: Self = "adls.staged_missing"
  static let adlsLayoutChanged: Self = "adls.layout_changed"
  static let adlsJournal: Self = "adls.journal"
  static let adlsNoHierarchy: Self = "adls.no_hierarchy"
  static let adlsNoChanges: Self = "adls.no_changes"
  static let fenced: Self = "state.fenced"
  static let behindDestination: Self = "state.behind_destination"
}

let adlsErrors: [ErrorSpecification] = [
  .init(.adlsBadManifest, "A prepared epoch can't be read.", remedy: "Use the version that wrote it."),
  .init(
    .adlsBadFence, "The pipeline's fence in the lake can't be read.",
    remedy: "Look at `_nebula/<pipeline>/fence`; find out who changed it."),
  .init(
    .adlsFlushRefused, "A file refused to be flushed to its new length.",
    remedy: "Nothing: the run looks at what became of the epoch."),
  .init(
    .adlsLeaseHeld, "Somebody else holds the lease of a file that this pipeline writes.",
    remedy: "Find out who; break the lease if it is left over."),
  .init(
    .adlsLeaseLost, "The lease of a file was broken by somebody else while it was written.",
    remedy: "Nothing: the run takes it again; find out who breaks leases if it stays."),
  .init(.adlsNameTaken, "A file of that name is there and is not ours.", remedy: "Find out who else writes there."),
  .init(
    .adlsStagedMissing, "A staged file is neither staged nor published.",
    remedy: "Someone removed it; the run says what to do after it has looked."),
  .init(
    .adlsLayoutChanged, "The layout was changed while a part of an epoch was written in the old one.",
    remedy: "Run once with the old layout, then change it."),
  .init(
    .adlsJournal, "The list of growing files beside the state can't be read or written.", remedy: "See the message."),
  .init(
    .adlsNoHierarchy, "The storage account is a flat one: it has no hierarchical namespace.",
    remedy: "Choose an account that has one."),
  .init(.adlsNoChanges, "Layout per_event needs events that have a name.", remedy: "Use layout rolling or files."),
]

/// An error that a defect of this program would have to explain.
func adlsDefect(_ message: String) -> NebulaError {
  NebulaError(.unexpectedAnswer, message, remedy: "Report this defect. Nothing is lost.")
}

extension NebulaError.Code {
  static let unexpectedAnswer: Self = "adls.defect"
}

extension NebulaError {
  /// True when another writer may have taken over: the fence is looked at before anything else.
  var isLeaseLoss: Bool { code == "objects.lease_lost" }
}
