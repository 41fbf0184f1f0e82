public import NebulaCore
internal import Synchronization

/// Copies collections and follows their change streams (docs/design.md).
public final class MongoSource: Source {
  /// What the source and its streams share.
  struct Core: Sendable {
    let settings: MongoSettings
    let context: ConnectorContext
    let state: State
  }
  /// What outlives one stream.
  final class State: Sendable {
    /// The end of a run that ends by itself: fixed once a process.
    let end = Mutex<UInt64?>(nil)
    let session = Mutex<Handoff?>(nil)
  }
  private let core: Core

  /// Makes a source; nothing is connected before `check` or `open`.
  public convenience init(_ options: MongoOptions, _ context: ConnectorContext) throws {
    self.init(try MongoSettings(options), context)
  }

  init(_ settings: MongoSettings, _ context: ConnectorContext) {
    core = Core(settings: settings, context: context, state: State())
    MongoLibrary.log(to: context.log)
  }

  /// Every event has its token: resuming is exact. Batches are the server's, so a re-read may cut them elsewhere.
  public var traits: SourceTraits {
    SourceTraits(
      resume: .exact, hasKeys: true, isOrdered: true, hasWholeDocuments: core.settings.hasWholeDocuments)
  }

  /// Starts right after `position`, else as `start` says.
  public func open(from position: Position?, through: Position?) async throws -> sending any RecordStream {
    await close()
    let stored = try position.map { position throws(NebulaError) in try MongoPosition(position) }
    let opening = try await core.open(from: stored, start: core.settings.options.start)
    return MongoRecordStream(core, opening)
  }

  func look() async throws -> [Finding] {
    let (settings, log) = (core.settings, core.context.log)
    return try await onThread { settings.findings(log) }
  }

  /// MongoDB's oplog forgets by itself.
  public func acknowledge(through position: DurablePosition) async throws {}

  /// Ends the readers. One that hangs in the driver is left behind after two seconds; it ends with its socket.
  public func close() async {
    guard let handoff = core.state.session.withLock({ $0 }) else { return }
    handoff.close()
    for _ in 0..<150 where handoff.readers > 0 {
      do { try await Task.sleep(for: .milliseconds(10)) } catch { break }
    }
    core.state.session.withLock { if $0 === handoff { $0 = nil } }
  }
}

extension MongoSource.Core {
  func open(from stored: MongoPosition?, start: MongoOptions.Start) async throws -> Opening {
    let (settings, log) = (settings, context.log)
    let opening = try await onThread { () throws(NebulaError) in
      try Opening.run(settings, from: stored, start: start, log: log)
    }
    state.end.withLock { end in
      if end == nil, context.mode == .untilCaughtUp { end = opening.operationTime ?? 0 }
    }
    return opening
  }

  /// True when a run that ends by itself has come to its end: the cluster time that was fixed at its start.
  func isCaughtUp(_ settled: UInt64?) -> Bool {
    guard let settled, let end = state.end.withLock({ $0 }) else { return false }
    return settled >= end
  }

  /// Starts a thread for the stream, and some for what is still to be copied.
  func start(_ position: MongoPosition) -> ReadingSession {
    let handoff = Handoff(depth: 4)
    let (settings, context) = (settings, context)
    run(handoff) {
      var reader = ChangeStreamReader(settings, context, handoff, from: position.stream, position.sequence)
      reader.run()
    }
    let queue = RangeQueue(position.ranges)
    let stamp = SnapshotStamp(
      token: position.t0.tokenText, sequence: position.snapshot, readAfter: position.readAfter)
    for _ in 0..<min(queue.count, settings.options.snapshotReaders) {
      run(handoff) {
        var reader = SnapshotReader(settings, context, handoff, queue, stamp)
        reader.run()
      }
    }
    state.session.withLock { $0 = handoff }
    return ReadingSession(handoff)
  }

  private func run(_ handoff: Handoff, _ body: @escaping @Sendable () -> Void) {
    handoff.started()
    startThread {
      body()
      handoff.ended()
    }
  }
}
