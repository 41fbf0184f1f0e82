internal import NebulaCore

/// The options, checked and put into the form in which readers use them.
struct MongoSettings: Sendable {
  var options: MongoOptions
  var connection: ConnectionString
  var stages: [[UInt8]]
  /// False to do without `$changeStreamSplitLargeEvent` where the server has it.
  var splitsLargeEvents = true

  init(_ options: MongoOptions) throws(NebulaError) {
    self.options = options
    connection = try ConnectionString(options.uri)
    stages = try options.stages()
  }

  var scope: MongoOptions.Scope { options.derivedScope }
  /// The database to which the change stream's command goes.
  var commandDatabase: String { scope == .deployment ? "admin" : options.database }
  /// For events that name no namespace.
  var namespace: Namespace {
    Namespace(database: options.database.isEmpty ? nil : options.database, collection: options.collection)
  }

  /// The command that opens a change stream.
  func open(_ start: StreamStart, _ capabilities: Capabilities, skim: Bool, into command: inout BSONBuilder) {
    switch scope {
    case .collection: command.append("aggregate", options.collection)
    case .database, .deployment: command.append("aggregate", Int32(1))
    }
    command.append("pipeline", array: pipeline(start, capabilities, skim: skim))
    command.append("cursor") { $0.append("batchSize", Int32(0)) }
  }

  private func pipeline(_ start: StreamStart, _ capabilities: Capabilities, skim: Bool) -> [[UInt8]] {
    var pipeline = [BSONBuilder { $0.append("$changeStream") { changeStream(start, &$0) } }.document]
    pipeline += stages
    if skim { return pipeline + [Self.skim] }
    if capabilities.splits, splitsLargeEvents {
      pipeline.append(BSONBuilder { $0.append("$changeStreamSplitLargeEvent") { _ in } }.document)
    }
    return pipeline
  }

  private func changeStream(_ start: StreamStart, _ stage: inout BSONBuilder) {
    if options.fullDocument != .default { stage.append("fullDocument", options.fullDocument.rawValue) }
    if options.fullDocumentBeforeChange != .off {
      stage.append("fullDocumentBeforeChange", options.fullDocumentBeforeChange.rawValue)
    }
    if scope == .deployment { stage.append("allChangesForCluster", true) }
    if options.showExpandedEvents { stage.append("showExpandedEvents", true) }
    switch start {
    // A stored token may be that of an invalidate event, which only startAfter takes.
    case .token(let token): stage.append("startAfter", document: token)
    case .time(let time): stage.append("startAtOperationTime", timestamp: time)
    case .now: break
    }
  }

  /// What names an event that is too large, without what makes it large.
  private static let skim = BSONBuilder {
    $0.append("$project") {
      for name in ["_id", "operationType", "clusterTime", "wallTime", "ns", "documentKey"] { $0.append(name, Int32(1)) }
    }
  }.document
}

/// What the server can do.
struct Capabilities: Sendable, Hashable {
  /// `$changeStreamSplitLargeEvent`: 6.0.9, 7.0 and later.
  var splits = false
  /// `startAfter`: 4.2 and later.
  var startsAfter = true
  /// A mongos: its empty answers say less.
  var isRouter = false

  init(version: [Int], _ facts: ServerFacts) {
    let major = version.first ?? 0
    let (minor, patch) = (version.dropFirst().first ?? 0, version.dropFirst(2).first ?? 0)
    // The rapid releases 6.1 to 6.3 came before it.
    splits = major >= 7 || (major == 6 && minor == 0 && patch >= 9)
    startsAfter = facts.wireVersion >= 8
    isRouter = facts.isRouter
  }
}
