internal import NebulaCore
internal import NebulaFormats

/// The change stream's thread: does what `StreamMachine` says, and hands over what comes.
struct ChangeStreamReader {
  private let settings: MongoSettings
  private let context: ConnectorContext
  private let handoff: Handoff
  private var machine: StreamMachine
  private var events: EventReader
  private var client: MongoClient?
  private var capabilities: Capabilities?
  private var cursor: Int64 = 0
  private var collection = ""
  /// The server's newest operation as of the answer before.
  private var newest: UInt64 = 0
  /// All events up to this cluster time have been read.
  private var settled: UInt64?
  private var room: AnswerRoom

  init(
    _ settings: MongoSettings, _ context: ConnectorContext, _ handoff: Handoff, from start: StreamStart,
    _ sequence: SequenceState
  ) {
    self.settings = settings
    self.context = context
    self.handoff = handoff
    room = AnswerRoom(context.budget, handoff)
    machine = StreamMachine(from: start, batchSize: settings.options.batchSize)
    events = EventReader(scope: settings.namespace, from: start, sequence: sequence)
  }

  /// Reads until it is told to stop or nothing can be done any more.
  mutating func run() {
    while !handoff.isStopped {
      do throws(MongoFailure) {
        switch machine.step {
        case .open(let start, let skim, let after):
          handoff.nap(after)
          try open(start, skim: skim)
        case .more(let batchSize):
          if machine.mode == .skim { try skim() } else { try read(batchSize) }
        }
      } catch {
        if let reason = survive(error) { return handoff.end(reason, ofStream: true) }
      }
    }
    closeCursor()
  }

  private mutating func survive(_ failure: MongoFailure) -> ReaderEnd? {
    guard !handoff.isStopped else { return nil }
    room.letGo()
    if failure.origin != .server { client?.forget() }
    cursor = 0
    let verdict = machine.failed(failure, random: context.random)
    let error = failure.error("read the change stream", settings.connection)
    switch verdict {
    case .again:
      context.log.warning("mongo: \(error.message) Trying again.")
      context.metrics.add("mongo.stream_retries", 1)
      return nil
    case .lost: return .lost(error)
    case .stop: return .failed(error)
    }
  }

  private mutating func open(_ start: StreamStart, skim: Bool) throws(MongoFailure) {
    closeCursor()
    let client = try connected()
    let capabilities = try known(client)
    let settings = settings
    let reply = try client.run(settings.commandDatabase) {
      settings.open(start, capabilities, skim: skim, into: &$0)
    }
    cursor = reply.cursorID
    collection = reply.cursorCollection ?? settings.options.collection
    newest = reply.operationTime ?? newest
    let place = start.isToken ? nil : start == .now ? reply.place : reply.postBatchResumeToken.map(StreamStart.token)
    machine.opened(at: place)
    events.reopened(at: machine.start)
    if cursor == 0 { machine.received(events: 0, through: nil, isClosed: true) }
    if place != nil { deliver(nil) }
  }

  private mutating func connected() throws(MongoFailure) -> MongoClient {
    if client == nil { client = try MongoClient(settings.connection) }
    guard let client else { throw MongoFailure(origin: .network, message: "no connection") }
    if !client.isConnected { try client.connect() }
    return client
  }

  private mutating func known(_ client: MongoClient) throws(MongoFailure) -> Capabilities {
    if let capabilities { return capabilities }
    let found = try client.capabilities()
    capabilities = found
    return found
  }

  private func more(_ client: MongoClient, _ batchSize: Int) throws(MongoFailure) -> Reply {
    try client.run(settings.commandDatabase) {
      $0.append("getMore", cursor)
      $0.append("collection", collection)
      $0.append("batchSize", Int32(batchSize))
      $0.append("maxTimeMS", Int64(settings.options.maxAwaitTimeMS))
    }
  }

  private mutating func read(_ batchSize: Int) throws(MongoFailure) {
    guard room.wait() else { return }
    let reply = try more(connected(), batchSize)
    let before = newest
    newest = reply.operationTime ?? newest
    let end = reply.postBatchResumeToken.map(StreamStart.token)
    let isClosed = reply.cursorID == 0
    if isClosed { cursor = 0 }
    guard let list = reply.batch else {
      throw MongoFailure(origin: .reply, message: "the answer to getMore has no batch")
    }
    guard list.count > 5 else {
      room.keepNothing()
      if let end { events.settled(at: end) }
      let moved = events.last != machine.start
      machine.received(events: 0, through: events.last, isClosed: isClosed)
      let known = settled
      settle(isEmpty: true, before: before)
      if moved || settled != known { deliver(nil, settled) }
      return
    }
    guard let reservation = room.keep(reply.count + events.pendingBytes) else { return }
    let (runs, count) = try events.read(reply.share(reservation), list, end: end, reservation)
    machine.received(events: count, through: events.last, isClosed: isClosed)
    settle(isEmpty: false, before: before)
    // Of several runs only the last one has all of the answer before it.
    for (index, run) in runs.enumerated() { deliver(run, index == runs.count - 1 ? settled : nil) }
  }

  /// Notes how far everything has been read. After an event nothing of an earlier time comes. Only an empty answer to
  /// a question that was asked when the server already knew of a time says that nothing up to it is still to come; of
  /// several shards only the token does.
  private mutating func settle(isEmpty: Bool, before: UInt64) {
    var time = events.newestTime > 0 ? events.newestTime - 1 : nil
    if isEmpty {
      let isRouter = capabilities?.isRouter ?? false
      time = isRouter ? machine.start.timeHint ?? newest : before
    }
    if let time { settled = max(settled ?? 0, time) }
  }

  private func deliver(_ run: EventReader.Run?, _ settled: UInt64? = nil) {
    _ = handoff.push(
      .stream(
        StreamDelivery(
          draft: run?.draft, through: run?.through ?? machine.start, sequence: run?.sequence ?? events.sequence,
          newest: newest == 0 ? nil : newest, settled: settled)))
  }

  /// Finds the event that is too large, rejects it and goes on after it.
  private mutating func skim() throws(MongoFailure) {
    let reply = try more(connected(), 1)
    guard let list = reply.batch, list.count > 5 else { return machine.skimmedNothing() }
    // The server's own place: the event's may be what can't be read.
    let end = reply.postBatchResumeToken.map(StreamStart.token)
    let (runs, _) = try events.read(reply.share(nil), list, end: end, nil)
    machine.skimmed(through: events.last)
    for run in runs {
      var rejecting = run
      rejecting.draft = run.draft.rejectedWhole("the event is larger than the 16 MB that MongoDB can send")
      context.log.warning("mongo: \(rejecting.draft.rejected.first?.error.description ?? "an event was too large")")
      deliver(rejecting)
    }
  }

  private mutating func closeCursor() {
    if let client, client.isConnected { client.kill(cursor, settings.commandDatabase, collection) }
    cursor = 0
  }
}

extension Draft {
  /// The same records, all of them rejected: they stand for ones that could not be had.
  fileprivate func rejectedWhole(_ reason: String) -> Draft {
    var all = Draft(bytes)
    all.rejected = rejected
    for (index, record) in records.enumerated() {
      let key = String(decoding: bytes.base.slice(changes.tokens[index]), as: UTF8.self)
      let place = NebulaError.Place(path: namespaces.all[Int(changes.namespaces[index])].description, key: key)
      all.reject(
        record,
        .mongo(.mongoTooLarge, "Not delivered: \(reason). The payload has its key.", at: place, disposition: .reject))
    }
    return all
  }
}

extension Reply {
  /// Where an opened stream stands.
  var place: StreamStart? { postBatchResumeToken.map(StreamStart.token) ?? operationTime.map(StreamStart.time) }
}
