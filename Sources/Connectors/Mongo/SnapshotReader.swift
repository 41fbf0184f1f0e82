internal import NebulaCore
internal import NebulaFormats
internal import Synchronization

/// The ranges that wait for a reader.
final class RangeQueue: Sendable {
  private let ranges: Mutex<[(Int32, SnapshotRange)]>
  init(_ ranges: [Int32: SnapshotRange]) {
    let open = ranges.filter { $0.value.end == nil }
    self.ranges = Mutex(open.sorted { $0.key > $1.key }.map { ($0.key, $0.value) })
  }
  var count: Int { ranges.withLock { $0.count } }
  func next() -> (Int32, SnapshotRange)? { ranges.withLock { $0.popLast() } }
}

/// One thread of the copy: takes a range after the other and reads it in `_id` order.
///
/// Pages are bounded by `min` and `max` on the index: comparison operators see only keys of one BSON type, index
/// bounds see all of them, so a collection of mixed `_id`s is copied whole.
struct SnapshotReader {
  private let settings: MongoSettings
  private let context: ConnectorContext
  private let handoff: Handoff
  private let queue: RangeQueue
  private let stamp: SnapshotStamp
  private var client: MongoClient?
  private var patience = Patience()
  private var cursor: Int64 = 0
  private var room: AnswerRoom

  init(
    _ settings: MongoSettings, _ context: ConnectorContext, _ handoff: Handoff, _ queue: RangeQueue,
    _ stamp: SnapshotStamp
  ) {
    self.settings = settings
    self.context = context
    self.handoff = handoff
    self.queue = queue
    self.stamp = stamp
    room = AnswerRoom(context.budget, handoff)
  }

  /// Copies until no range is left.
  mutating func run() {
    while !handoff.isStopped, let (number, range) = queue.next() {
      var range = range
      var isDone = false
      while !isDone, !handoff.isStopped {
        do throws(MongoFailure) {
          isDone = try copy(number, &range)
        } catch {
          if let reason = survive(error, range) { return handoff.end(reason, ofStream: false) }
        }
      }
    }
  }

  private mutating func survive(_ failure: MongoFailure, _ range: SnapshotRange) -> ReaderEnd? {
    guard !handoff.isStopped else { return nil }
    room.letGo()
    if failure.origin != .server { client?.forget() }
    let error = failure.error("copy \(range.namespace)", settings.connection)
    // Cursors die with their server's memory of them, with a dropped or rebuilt index, and with the collection (whether
    // that was a drop or a rename is found out at the merge point).
    let isCursorLost = failure.origin == .server && [43, 175, 237].contains(failure.code)
    guard failure.isResumable || isCursorLost, let wait = patience.failed(random: context.random) else {
      return .failed(error)
    }
    context.log.warning("mongo: \(error.message) Going on after the last key.")
    context.metrics.add("mongo.copy_retries", 1)
    handoff.nap(wait)
    return nil
  }

  /// Reads the range from its cursor to its end; true when that is reached.
  private mutating func copy(_ number: Int32, _ range: inout SnapshotRange) throws(MongoFailure) -> Bool {
    let client = try connected()
    let namespace = range.namespace
    let database = namespace.database ?? ""
    let start = range
    guard room.wait() else { return false }
    var reply = try client.run(database) { find(start, &$0) }
    while !handoff.isStopped {
      patience.succeeded()
      cursor = reply.cursorID
      guard try deliver(reply, number, &range, isDone: cursor == 0) else { break }
      if cursor == 0 { return true }
      guard room.wait() else { break }
      reply = try client.run(database) {
        $0.append("getMore", cursor)
        $0.append("collection", namespace.collection)
        $0.append("batchSize", Int32(settings.options.batchSize))
      }
    }
    client.kill(cursor, database, namespace.collection)
    return false
  }

  private mutating func connected() throws(MongoFailure) -> MongoClient {
    if client == nil { client = try MongoClient(settings.connection) }
    guard let client else { throw MongoFailure(origin: .network, message: "no connection") }
    if !client.isConnected { try client.connect() }
    return client
  }

  private func find(_ range: SnapshotRange, _ command: inout BSONBuilder) {
    command.append("find", range.namespace.collection)
    command.append("filter") { _ in }
    command.append("sort") { $0.append("_id", Int32(1)) }
    command.append("hint") { $0.append("_id", Int32(1)) }
    if let lower = range.cursor ?? range.lower { command.append("min", document: lower) }
    if let upper = range.upper { command.append("max", document: upper) }
    command.append("batchSize", Int32(settings.options.batchSize))
    // Not older than T0, whichever member answers: what changed later comes by the stream.
    command.append("readConcern") {
      $0.append("level", "majority")
      if stamp.readAfter > 0 { $0.append("afterClusterTime", timestamp: stamp.readAfter) }
    }
  }

  private mutating func deliver(
    _ reply: Reply, _ number: Int32, _ range: inout SnapshotRange, isDone: Bool
  ) throws(MongoFailure) -> Bool {
    guard let list = reply.batch else { throw MongoFailure(origin: .reply, message: "the answer has no batch") }
    let newest = reply.operationTime
    guard list.count > 5 else {
      room.keepNothing()
      return !isDone || handoff.push(.rows(RowsDelivery(range: number, isDone: true, newest: newest)))
    }
    guard let reservation = room.keep(reply.count + reply.count / 8) else { return false }
    let rows = try SnapshotRows(reply.bytes, list, known: range.cursor)
    let (draft, lastKey) = rows.draft(reply.take(), of: range.namespace, stamp, reservation)
    if let lastKey { range.cursor = lastKey }
    return handoff.push(
      .rows(
        RowsDelivery(
          range: number, draft: draft.isEmpty ? nil : draft, lastKey: lastKey, isDone: isDone, newest: newest)))
  }
}
