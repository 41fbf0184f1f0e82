public import NebulaCore

/// What may be written for the source `mongo`. Names follow MongoDB's own documents.
public struct MongoOptions: ConnectorOptions {
  /// How much of the deployment is read.
  public enum Scope: String, PropertyChoice { case collection, database, deployment }
  /// What an update event carries beside its description.
  public enum FullDocument: String, PropertyChoice { case `default`, updateLookup, whenAvailable, required }
  /// Whether events carry the document as it was.
  public enum FullDocumentBeforeChange: String, PropertyChoice { case off, whenAvailable, required }
  /// What to do when the server has forgotten the stored position (Invariant 5).
  public enum OnPositionLost: String, PropertyChoice { case fail, resnapshot, fromNow = "from_now" }
  /// Where a pipeline without a stored position begins.
  public enum Start: String, PropertyChoice { case snapshot, now, timestamp }

  /// The connection string.
  public var uri = ""
  /// The database; empty for the whole deployment.
  public var database = ""
  /// The collection; empty for all of the database.
  public var collection = ""
  /// Said explicitly, else derived from database and collection.
  public var scope: Scope?
  /// Only these collections of a database or deployment.
  public var collections: [String] = []
  /// Aggregation stages for the change stream, as a structure or as JSON text.
  public var pipeline: PropertyValue?
  /// What an update event carries beside its description.
  public var fullDocument = FullDocument.updateLookup
  /// Whether events carry the document as it was.
  public var fullDocumentBeforeChange = FullDocumentBeforeChange.off
  /// Whether the server also reports index builds, sharding and the like.
  public var showExpandedEvents = false
  /// Where a pipeline without a stored position begins.
  public var start = Start.snapshot
  /// For `start: timestamp`.
  public var startTimestamp = ""
  /// What to do when the server has forgotten the stored position.
  public var onPositionLost = OnPositionLost.fail
  /// At most so many events or documents in one answer.
  public var batchSize = 2000
  /// How long the server may wait for events before it answers empty.
  public var maxAwaitTimeMS = 500
  /// Into how many ranges a collection is cut for the copy.
  public var snapshotRanges = 4
  /// How many ranges are copied at the same time.
  public var snapshotReaders = 2

  /// The defaults.
  public init() {}

  /// Every property, in the order of the docs.
  public static let fields: [Field<MongoOptions>] = [
    Field(
      "uri", \.uri, required: true, environment: ["MONGO_URI"], secret: true,
      example: "mongodb://reader:secret@db1.example.com:27017/?replicaSet=rs0&tls=true",
      "The connection string (mongodb:// or mongodb+srv://); TLS and authentication are set in it."),
    Field(
      "database", \.database, environment: ["MONGO_DB"], identity: true, example: "shop",
      "The database. Without it the whole deployment is read."),
    Field(
      "collection", \.collection, environment: ["MONGO_COLL"], identity: true, example: "orders",
      "The collection. Without it all collections of the database are read."),
    Field(
      "scope", \.scope, example: "database",
      "What is read; derived from database and collection unless it is written, and then it must agree with them."),
    Field(
      "collections", \.collections, identity: true, example: "orders,customers",
      "Only these: names for a database, database.collection for a deployment."),
    Field(
      "pipeline", \.pipeline, identity: true, example: #"[{"$match": {"operationType": {"$ne": "delete"}}}]"#,
      "Aggregation stages for the change stream: a list, or JSON text (Extended JSON is understood). In a list, what "
        + "looks like a number is one; write JSON text where that is wrong. The first copy is not filtered."),
    Field(
      "fullDocument", \.fullDocument, environment: ["MONGO_FULL_DOC"],
      "What an update event carries: nothing more, the current document, or the document right after the change."),
    Field(
      "fullDocumentBeforeChange", \.fullDocumentBeforeChange,
      "Whether events carry the document before the change (the collection must keep pre-images)."),
    Field(
      "showExpandedEvents", \.showExpandedEvents,
      "Whether index builds, sharding and the like are reported too (MongoDB 6.0 and later)."),
    Field(
      "start", \.start, "Where to begin: copy everything first, only what happens from now on, or from a time on."),
    Field(
      "start_timestamp", \.startTimestamp, example: "2026-01-31T08:00:00Z",
      "For `start: timestamp`: a time in UTC, seconds since 1970, or seconds:increment."),
    Field(
      "on_position_lost", \.onPositionLost,
      "When the oplog no longer reaches back to the stored position: stop, copy everything again, or go on from now "
        + "(what happened in between is lost)."),
    Field("batch_size", \.batchSize, range: 1...100_000, "At most so many events or documents in one answer."),
    Field(
      "max_await_time_ms", \.maxAwaitTimeMS, range: 10...1000,
      "How long the server may wait for events before it answers with none."),
    Field("snapshot_ranges", \.snapshotRanges, range: 1...256, "Into how many ranges of _id a collection is cut."),
    Field("snapshot_readers", \.snapshotReaders, range: 1...32, "How many ranges are copied at the same time."),
  ]

  /// Checks what no single property shows: scope, start, filter, connection string.
  public func validate() throws(NebulaError) {
    try validateScope()
    if (start == .timestamp) != !startTimestamp.isEmpty {
      throw bad("start_timestamp", "start_timestamp belongs to 'start: timestamp', and is needed there.")
    }
    if !startTimestamp.isEmpty, clusterTime(startTimestamp) == nil {
      throw bad("start_timestamp", "'\(startTimestamp)' is not a time such as 2026-01-31T08:00:00Z or 1769846400.")
    }
    _ = try stages()
    _ = try ConnectionString(uri)
  }

  private func validateScope() throws(NebulaError) {
    if database.isEmpty, !collection.isEmpty {
      throw bad("database", "The collection '\(collection)' is given without its database.")
    }
    if ["admin", "local", "config"].contains(database) {
      throw bad("database", "MongoDB has no change streams on '\(database)'.")
    }
    if let scope, scope != derivedScope {
      throw bad("scope", "The scope '\(scope.rawValue)' contradicts database and collection: \(derivedScope.rawValue).")
    }
    if !collections.isEmpty, derivedScope == .collection {
      throw bad("collections", "A list of collections is given beside a single collection.")
    }
    if derivedScope == .deployment, let name = collections.first(where: { !$0.contains(".") }) {
      throw bad("collections", "'\(name)' has no database; write database.collection.")
    }
  }

  var derivedScope: Scope { database.isEmpty ? .deployment : collection.isEmpty ? .database : .collection }

  func bad(_ name: String, _ message: String) -> NebulaError {
    let help = Self.fields.first { $0.specification.name == name }?.specification.help ?? ""
    return NebulaError(.badProperty, message, remedy: help, at: .init(path: name), exit: .configuration)
  }
}

/// A cluster time from text: an ISO 8601 time in UTC, seconds, or seconds:increment; nil for anything else.
func clusterTime(_ text: String) -> UInt64? {
  let parts = text.split(separator: ":", omittingEmptySubsequences: false)
  if parts.count <= 2, let seconds = UInt32(parts[0]), let increment = UInt32(parts.count == 2 ? parts[1] : "0") {
    return UInt64(seconds) << 32 | UInt64(increment)
  }
  let bytes = Array(text.utf8)
  func number(_ range: Range<Int>) -> Int? {
    let digits = bytes[range]
    guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
  }
  let shape = Array("0000-00-00T00:00:00Z".utf8)
  guard bytes.count == shape.count, zip(bytes, shape).allSatisfy({ $1 == 0x30 || $0 == $1 }),
    let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
    let minute = number(14..<16), let second = number(17..<19),
    (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 60
  else { return nil }
  // Days since 1970 in the Gregorian calendar, with the year starting in March.
  let shifted = month <= 2 ? year - 1 : year
  let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
  let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
  return UInt32(exactly: ((days * 24 + hour) * 60 + minute) * 60 + second).map { UInt64($0) << 32 }
}
