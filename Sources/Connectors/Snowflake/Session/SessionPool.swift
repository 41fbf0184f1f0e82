internal import NebulaCore

/// Lends sessions, one user each at a time; logs in no more than are needed at once.
actor SessionPool {
  private let limit: Int
  private let make: @Sendable () -> Session
  private let clock: Timekeeper
  private let log: Logger
  private let meter: Meter?
  private var idle: [Session] = []
  private var lent = 0 { didSet { meter?.sessions(inUse: lent) } }
  private var waiters: [CheckedContinuation<Void, Never>] = []
  /// How many wait for a session.
  var waiting: Int { waiters.count }
  private var isClosed = false
  private var heart: Task<Void, Never>?

  init(limit: Int, clock: Timekeeper, log: Logger, meter: Meter? = nil, make: @escaping @Sendable () -> Session) {
    self.limit = limit
    self.clock = clock
    self.log = log
    self.meter = meter
    self.make = make
  }

  /// Lends a session for `body`. One that is lost, still in a transaction, or waits for a statement's answer that never
  /// came, does not come back.
  nonisolated func with<R: Sendable>(_ body: @Sendable (Session) async throws -> R) async throws -> R {
    let session = try await take()
    do {
      let result = try await body(session)
      await giveBack(session)
      return result
    } catch {
      await giveBack(session)
      throw error
    }
  }

  private func take() async throws -> Session {
    while true {
      guard !isClosed else {
        throw NebulaError(.sessionLost, "The connection pool is closed.", remedy: "Nothing: the program is ending.")
      }
      if Task.isCancelled {
        // The session that woke us is another's now: nobody else would be told of it.
        wakeNext()
        throw CancellationError()
      }
      if let session = idle.popLast() {
        lent += 1
        return session
      }
      if lent < limit {
        lent += 1
        startHeart()
        return make()
      }
      await withCheckedContinuation { waiters.append($0) }
    }
  }

  private func giveBack(_ session: Session) async {
    if await session.mayNotBeUsedAgain { await session.close() }
    let isLost = await session.isLost
    lent -= 1
    if !isLost, !isClosed { idle.append(session) } else if !isLost { await session.close() }
    wakeNext()
  }

  private func wakeNext() {
    guard !waiters.isEmpty, !idle.isEmpty || lent < limit else { return }
    waiters.removeFirst().resume()
  }

  /// Ends all sessions; those that are lent end when they come back.
  func close() async {
    isClosed = true
    heart?.cancel()
    let sessions = idle
    idle = []
    for waiter in waiters { waiter.resume() }
    waiters = []
    await withTaskGroup(of: Void.self) { group in
      for session in sessions { group.addTask { await session.close() } }
    }
  }

  /// Idle sessions are kept alive well within the master token's life.
  private func startHeart() {
    guard heart == nil else { return }
    heart = Task { [weak self, clock] in
      while !Task.isCancelled {
        let validity = await self?.shortestValidity() ?? 14_400
        do { try await clock.sleep(.seconds(max(60, min(3600, validity / 4)))) } catch { return }
        await self?.beat()
      }
    }
  }

  private func shortestValidity() async -> Int64 {
    var shortest: Int64 = 14_400
    for session in idle { shortest = min(shortest, await session.masterValidity ?? shortest) }
    return shortest
  }

  private func beat() async {
    for session in idle {
      do { try await session.beat() } catch { log.debug("A heartbeat failed: \(error)") }
    }
  }
}
