internal import NebulaCore

extension NebulaError.Code {
  static let mongoUnreachable: Self = "mongo.unreachable"
  static let mongoCertificate: Self = "mongo.certificate_refused"
  static let mongoAuthentication: Self = "mongo.authentication_failed"
  static let mongoPermission: Self = "mongo.not_permitted"
  static let mongoNotReplicaSet: Self = "mongo.not_a_replica_set"
  static let mongoTooOld: Self = "mongo.server_too_old"
  static let mongoPositionLost: Self = "mongo.position_lost"
  static let mongoPositionUnreadable: Self = "mongo.position_unreadable"
  static let mongoRenamed: Self = "mongo.renamed_while_copied"
  static let mongoOtherCluster: Self = "mongo.other_cluster"
  static let mongoInterrupted: Self = "mongo.interrupted"
  static let mongoCommand: Self = "mongo.command_failed"
  static let mongoNotReadable: Self = "mongo.not_readable"
  static let mongoTooLarge: Self = "mongo.event_too_large"
  static let mongoUnknownEvent: Self = "mongo.unknown_event"
}

/// The errors of this room, for the docs.
let mongoErrors: [ErrorSpecification] = [
  .init(
    .mongoUnreachable, "No server of the cluster can be reached.",
    remedy: "Check host names, ports, replicaSet and firewalls."),
  .init(
    .mongoCertificate, "The server's certificate does not verify.",
    remedy: "Set tlsCAFile in the URI, or correct the host name."),
  .init(
    .mongoAuthentication, "User or password were refused.",
    remedy: "Check user, password, authSource and authMechanism in the URI."),
  .init(
    .mongoPermission, "The user may not read what is configured.",
    remedy: "Grant find and changeStream (the role read, or readAnyDatabase for a deployment)."),
  .init(
    .mongoNotReplicaSet, "The server is neither in a replica set nor a mongos.",
    remedy: "Start it with --replSet and run rs.initiate(); change streams need an oplog."),
  .init(.mongoTooOld, "The server is older than this needs.", remedy: "Use MongoDB 4.2 or later."),
  .init(
    .mongoPositionLost, "The oplog no longer reaches back to the stored position.",
    remedy: "Set on_position_lost to resnapshot or from_now, or run `nebula-swift state reset`; make the oplog "
      + "larger."),
  .init(
    .mongoPositionUnreadable, "The stored position was not written by a version that this one knows.",
    remedy: "Use the newer version, or run `nebula-swift state reset`."),
  .init(
    .mongoOtherCluster, "The stored position belongs to another cluster.",
    remedy: "Point uri to the cluster of before, or run `nebula-swift state reset`."),
  .init(
    .mongoRenamed, "A collection was renamed before it was copied whole.",
    remedy: "Run `nebula-swift state reset` to copy everything again, and rename collections before or after that."),
  .init(
    .mongoInterrupted, "The connection broke, and trying again a few times did not help.",
    remedy: "It is tried again from the stored position; see whether the cluster has a primary."),
  .init(.mongoCommand, "The server refused a command.", remedy: "See the server's message."),
  .init(.mongoNotReadable, "A view or a time series has no change stream.", remedy: "Name the collection behind it."),
  .init(
    .mongoTooLarge, "An event is larger than MongoDB can send.",
    remedy: "Read the document itself by the key in the dead letter; MongoDB 6.0.9 and later split such events."),
  .init(
    .mongoUnknownEvent, "An event has no token or no operation.",
    remedy: "Keep _id and operationType in the pipeline's $project."),
]

extension MongoFailure {
  /// The error for the user; `doing` says what was tried ("open the change stream").
  func error(_ doing: String, _ connection: ConnectionString) -> NebulaError {
    switch origin {
    case .authentication:
      return make(.mongoAuthentication, "The login at \(connection.shown) failed: \(message)", exit: .environment)
    case .relogin:
      return make(
        .mongoAuthentication, "The login at \(connection.shown) failed, though it has succeeded before: \(message)",
        .reconnect, exit: .environment)
    case _ where isCertificate:
      return make(
        .mongoCertificate, "The certificate of \(connection.shown) is refused: \(message)", exit: .environment)
    case .selection:
      return make(
        .mongoUnreachable, "No server of \(connection.shown) can be used: \(message)", .reconnect, exit: .environment)
    case .network, .reply:
      return make(
        .mongoInterrupted, "Could not \(doing) at \(connection.shown): \(message)", .reconnect, exit: .environment)
    case .server: return serverError(doing)
    }
  }

  private func serverError(_ doing: String) -> NebulaError {
    let said = "Could not \(doing): \(message)"
    switch code {
    case 0 where self == .tooOld: return make(.mongoTooOld, said, exit: .environment)
    case 13: return make(.mongoPermission, said, exit: .environment)
    case 40573: return make(.mongoNotReplicaSet, said, exit: .environment)
    case _ where isPositionLost: return make(.mongoPositionLost, said)
    case Self.tooLarge: return make(.mongoTooLarge, said)
    case _ where isResumable: return make(.mongoInterrupted, said, .reconnect, exit: .environment)
    default: return make(.mongoCommand, said)
    }
  }

  private func make(
    _ code: NebulaError.Code, _ message: String, _ disposition: NebulaError.Disposition = .stop,
    exit: NebulaError.Exit = .runtime
  ) -> NebulaError {
    let remedy = mongoErrors.first { $0.code == code }?.remedy ?? ""
    let native = self.code == 0 ? nil : "MongoDB \(self.code)\(name.isEmpty ? "" : " \(name)")"
    let sentence = message.hasSuffix(".") ? message : message + "."
    return NebulaError(code, sentence, remedy: remedy, native: native, disposition: disposition, exit: exit)
  }
}

extension NebulaError {
  /// An error of this room with the remedy of its list.
  static func mongo(
    _ code: Code, _ message: String, at place: Place? = nil, disposition: Disposition = .stop, exit: Exit = .runtime
  ) -> NebulaError {
    NebulaError(
      code, message, remedy: mongoErrors.first { $0.code == code }?.remedy ?? "", at: place, disposition: disposition,
      exit: exit)
  }
}
