internal import NebulaCore
internal import NebulaFormats

/// What is found out before the readers start.
struct Opening: Sendable {
  var position: MongoPosition
  /// Whether a copy is being made from here on, if only of nothing.
  var isCopying: Bool
  /// The cluster that the URI leads to.
  var cluster: ClusterIdentity
  /// The server's newest operation when the stream was opened.
  var operationTime: UInt64?

  /// Connects; without a position fixes T0 and the plan of the copy.
  static func run(
    _ settings: MongoSettings, from stored: MongoPosition?, start: MongoOptions.Start, log: Logger
  ) throws(NebulaError) -> Opening {
    var opening: Opening
    do throws(MongoFailure) {
      opening = try connect(settings, from: stored, start, log)
    } catch {
      throw error.error("open the change stream", settings.connection)
    }
    guard opening.position.cluster.isSame(as: opening.cluster) else {
      throw .mongo(
        .mongoOtherCluster,
        "The stored position belongs to \(opening.position.cluster), but the URI leads to \(opening.cluster).",
        exit: .configuration)
    }
    // Members may be exchanged one by one.
    opening.position.cluster = opening.cluster
    return opening
  }

  private static func connect(
    _ settings: MongoSettings, from stored: MongoPosition?, _ start: MongoOptions.Start, _ log: Logger
  ) throws(MongoFailure) -> Opening {
    let client = try MongoClient(settings.connection)
    try client.connect()
    let ping = try client.run("admin") { $0.append("ping", Int32(1)) }
    let capabilities = try client.capabilities()
    if let refusal = client.refusal { throw refusal }
    guard capabilities.startsAfter else { throw MongoFailure.tooOld }
    let cluster = ClusterIdentity(
      setName: client.facts.setName, hosts: (settings.connection.seeds + client.facts.hosts).uniqued)
    if let stored {
      return Opening(
        position: stored, isCopying: !stored.isCopied, cluster: cluster, operationTime: ping.operationTime)
    }
    let (position, time) = try fresh(settings, client, capabilities, cluster, start, log)
    return Opening(position: position, isCopying: start == .snapshot, cluster: cluster, operationTime: time)
  }

  private static func fresh(
    _ settings: MongoSettings, _ client: MongoClient, _ capabilities: Capabilities, _ cluster: ClusterIdentity,
    _ start: MongoOptions.Start, _ log: Logger
  ) throws(MongoFailure) -> (MongoPosition, UInt64?) {
    let asked = start == .timestamp ? clusterTime(settings.options.startTimestamp).map(StreamStart.time) : nil
    let reply = try client.run(settings.commandDatabase) {
      settings.open(asked ?? .now, capabilities, skim: false, into: &$0)
    }
    client.kill(reply.cursorID, settings.commandDatabase, reply.cursorCollection ?? settings.options.collection)
    guard let t0 = asked ?? reply.place else {
      throw MongoFailure(origin: .reply, message: "the server gives neither a resume token nor its operation time")
    }
    // Never later than the first event: what has the sequence of T0 is older than every event.
    let time = min(t0.timeHint ?? .max, reply.operationTime ?? .max)
    let sequence = ChangeSequence(clusterTime: time == .max ? 0 : time, index: 0)
    var position = MongoPosition(
      cluster: cluster, t0: t0, snapshot: sequence, copyStart: sequence, stream: t0, sequence: .after(sequence))
    if start == .snapshot {
      position.ranges = try SnapshotPlanner(settings: settings, client: client, log: log).ranges()
    }
    return (position, reply.operationTime)
  }
}

extension MongoClient {
  /// Why this server has no change streams; nil when it has.
  var refusal: MongoFailure? {
    guard facts.setName.isEmpty, !facts.isRouter else { return nil }
    return MongoFailure(
      origin: .server, code: 40573, name: "Location40573",
      message: "the $changeStream stage is only supported on replica sets, and this server is in none")
  }
}

extension MongoFailure {
  static let tooOld = MongoFailure(
    origin: .server, name: "TooOld",
    message: "change streams that can be resumed in every case need MongoDB 4.2 or later")
}

extension Array where Element: Hashable {
  /// Each element once, in the order of the first ones.
  var uniqued: [Element] {
    var seen: Set<Element> = []
    return filter { seen.insert($0).inserted }
  }
}
