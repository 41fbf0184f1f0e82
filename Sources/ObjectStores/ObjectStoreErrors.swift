public import NebulaCore

extension NebulaError.Code {
  /// The credentials have expired, or are not accepted any more: whoever made them makes new ones.
  public static let credentialsExpired: Self = "credentials.expired"
  /// The store refuses these credentials, or they lack a right.
  public static let objectsDenied: Self = "objects.denied"
  /// An object of that name is there, and not proven to be ours.
  public static let objectsExists: Self = "objects.exists"
  /// The bucket, container or folder is not there.
  public static let objectsNoContainer: Self = "objects.no_container"
  /// A key or metadata that the store can't hold.
  public static let objectsBadName: Self = "objects.bad_name"
  /// The store answers that it is busy or broken.
  public static let objectsUnavailable: Self = "objects.unavailable"
  /// The store refused a request for another reason.
  public static let objectsRefused: Self = "objects.refused"
  /// What the store answered contradicts what was sent.
  public static let objectsCorrupt: Self = "objects.corrupt"
  /// This store, opened this way, can't do that.
  public static let objectsNotSupported: Self = "objects.not_supported"
  /// There is nothing under that name.
  public static let objectsNotFound: Self = "objects.not_found"
  /// What lies there is not what the writer saw: another ETag, another content.
  public static let objectsChanged: Self = "objects.changed"
  /// A file's length is not what an append or a flush needs.
  public static let objectsBadPosition: Self = "objects.bad_position"
  /// A lease is held by another writer, or not held any more.
  public static let objectsLeaseLost: Self = "objects.lease_lost"
  /// This clock and the store's differ too much for signatures.
  public static let credentialsClockSkew: Self = "credentials.clock_skew"
  /// A local file operation failed.
  public static let objectsFile: Self = "objects.file_failed"
}

/// The errors of this room, for the docs.
public let objectStoreErrors: [ErrorSpecification] = [
  .init(.credentialsExpired, "A store's credentials have expired.", remedy: "They are renewed; else give new ones."),
  .init(.objectsDenied, "A store refuses the credentials, or they lack a right.", remedy: "Grant the right."),
  .init(
    .objectsExists, "An object of that name is there and is not ours.",
    remedy: "Find out who else writes there; it is never replaced."),
  .init(
    .objectsNoContainer, "The bucket, container or folder is not there.", remedy: "Create it, or correct its name."),
  .init(.objectsBadName, "A key or metadata that the store can't hold.", remedy: "Change the name."),
  .init(
    .objectsUnavailable, "A store is busy or broken.", remedy: "It is tried again; look at its status if it stays."),
  .init(.objectsRefused, "A store refused a request.", remedy: "See the message."),
  .init(.objectsCorrupt, "A store's answer contradicts what was sent.", remedy: "Report it; nothing was published."),
  .init(.objectsNotSupported, "This store, opened this way, can't do that.", remedy: "See the message."),
  .init(.objectsNotFound, "There is nothing under that name.", remedy: "Find out who removed it."),
  .init(
    .objectsChanged, "What lies there is not what the writer saw.",
    remedy: "Find out who else writes there; it is never replaced."),
  .init(
    .objectsBadPosition, "A file's length is not what an append or a flush needs.",
    remedy: "Find out who else writes to the file; it is never repaired."),
  .init(
    .objectsLeaseLost, "A lease is held by another writer, or not held any more.",
    remedy: "Only one process may run this pipeline; stop the other."),
  .init(
    .credentialsClockSkew, "This clock and the store's differ too much for signatures.",
    remedy: "Set the clock (NTP)."),
  .init(.objectsFile, "A local file operation failed.", remedy: "Check the folder, its rights and its room."),
]

/// What a store said against a request, before it is an error.
struct Refusal {
  let store: String
  let operation: String
  let status: Int
  /// The store's own code: `NoSuchBucket` …
  let code: String
  /// The store's own words.
  let words: String

  private var what: String {
    let said = [code, words].filter { !$0.isEmpty }.joined(separator: ": ")
    return "\(operation) was answered by \(store) with \(status)\(said.isEmpty ? "" : " (\(said.prefix(300)))")"
  }

  func error(
    _ kind: NebulaError.Code, _ remedy: String, disposition: NebulaError.Disposition = .stop,
    exit: NebulaError.Exit = .environment
  ) -> NebulaError {
    NebulaError(
      kind, "\(what).", remedy: remedy, native: code.isEmpty ? "HTTP \(status)" : "HTTP \(status) \(code)",
      disposition: disposition, exit: exit)
  }

  var expired: NebulaError {
    error(
      .credentialsExpired, "Get new credentials; if new ones are refused too, check the clock.", disposition: .reconnect
    )
  }
  var denied: NebulaError { error(.objectsDenied, "Check the credentials and grant them the right to write there.") }
  var noContainer: NebulaError { error(.objectsNoContainer, "Create it, or correct its name and region.") }
  var unavailable: NebulaError {
    error(.objectsUnavailable, "Look at the store's status page if it stays.", disposition: .retry(after: nil))
  }
  var refused: NebulaError { error(.objectsRefused, "See what the store says.") }

  static func exists(_ key: String) -> NebulaError {
    NebulaError(
      .objectsExists, "An object named \(key) is there already, and is not proven to be the same.",
      remedy: "Find out who else writes there; it is never replaced.", at: .init(path: key))
  }
  static func notFound(_ key: String) -> NebulaError {
    NebulaError(
      .objectsNotFound, "There is nothing named \(key).", remedy: "Find out who removed or renamed it.",
      at: .init(path: key))
  }
  static func changed(_ key: String) -> NebulaError {
    NebulaError(
      .objectsChanged, "\(key) is not what it was when it was last looked at.",
      remedy: "Find out who else writes there; it is never replaced.", at: .init(path: key))
  }
  static func badPosition(_ key: String, wanted: Int, found: Int?) -> NebulaError {
    NebulaError(
      .objectsBadPosition,
      "\(key) should have \(wanted) bytes and has \(found.map { String($0) } ?? "gone").",
      remedy: "Find out who else writes to the file; it is never repaired.", at: .init(path: key))
  }
  static func vanished(_ key: String) -> NebulaError {
    corrupt(key, "the store said that the name or the upload was settled, and then that nothing is there")
  }
  static func corrupt(_ key: String, _ what: String) -> NebulaError {
    NebulaError(
      .objectsCorrupt, "After writing \(key), \(what).", remedy: "It is tried again; report it if it stays.",
      at: .init(path: key), disposition: .retry(after: nil))
  }
}
