import NebulaCore
import NebulaHTTP
import NebulaObjectStores
import Synchronization
import Testing

@testable import ADLSConnector

@Suite struct RollingTests {
  private let hour: Int64 = 1_694_500_000_000

  /// A destination that has been opened under a lease, and its process.
  private func opened(
    _ world: World, generation: UInt64 = 1, wall: Int64 = 1_694_500_000_000, crash: CrashPoints = .none
  ) async throws -> ADLSDestination {
    let destination = try world.destination(ProcessLake(world.lake), wall: wall, crash: crash)
    try await destination.open(Lease(pipeline: "p", generation: generation))
    return destination
  }
  private func epoch(_ generation: UInt64, _ sequence: UInt64) -> EpochID {
    EpochID(generation: generation, sequence: sequence)
  }
  private func prepared(_ destination: ADLSDestination, _ id: EpochID, _ batch: Int) async throws -> PreparedEpoch {
    try await destination.begin(id, pin: nil)
    try await destination.write(EventSource.batch(batch, position: nil), to: id)
    return try await destination.prepare(id)
  }

  @Test func nothingIsVisibleBeforeTheCommit() async throws {
    let world = try World(batches: 1)
    let destination = try await opened(world)
    let prepared = try await prepared(destination, epoch(1, 1), 0)
    #expect(world.lake.lines.values.allSatisfy { $0.isEmpty })
    guard case .committed(let receipt) = try await destination.commit(prepared) else { return }
    #expect(receipt.rows == 6)
    #expect(world.verdict() == nil)
    // Again changes nothing (Invariant 3).
    _ = try await destination.commit(prepared)
    #expect(world.verdict() == nil)
    await destination.close()
    #expect(world.lake.files.values.allSatisfy { $0.lease == nil })
  }

  /// A flush throws away what was appended behind it: the next epoch waits for the commit before it appends.
  @Test func appendsWaitForTheCommitBefore() async throws {
    let world = try World(batches: 2)
    let destination = try await opened(world)
    let first = try await prepared(destination, epoch(1, 1), 0)
    let second = Task { try await prepared(destination, epoch(1, 2), 1) }
    for _ in 0..<200 { await Task.yield() }
    let pending = world.lake.files.values.flatMap(\.pending).count
    #expect(pending == world.lake.files.count, "one append a file, of the first epoch")
    _ = try await destination.commit(first)
    _ = try await destination.commit(try await second.value)
    #expect(world.verdict() == nil)
    await destination.close()
  }

  /// The old process stalls between intent and commit; the new one carries the epoch forward; the old one is told.
  @Test func aZombieCommitsNothingAndIsTold() async throws {
    let world = try World(batches: 1)
    let old = try await opened(world, generation: 1)
    let prepared = try await prepared(old, epoch(1, 1), 0)
    let new = try await opened(world, generation: 2)
    guard case .committed = try await new.recover(prepared) else {
      Issue.record("what was appended is there")
      return
    }
    await #expect { _ = try await old.commit(prepared) } throws: { ($0 as? NebulaError)?.code == "state.fenced" }
    #expect(world.verdict() == nil)
    #expect(world.lake.files.values.allSatisfy { $0.flushes <= 2 })
  }

  /// It wakes when it has passed the fence already: the lease refuses its flush.
  @Test func aZombieBehindTheFenceIsStoppedByTheLease() async throws {
    let world = try World(batches: 1)
    let taken = Mutex<ADLSDestination?>(nil)
    let old = try await opened(world, generation: 1)
    let prepared = try await prepared(old, epoch(1, 1), 0)
    let new = try world.destination(ProcessLake(world.lake), wall: hour)
    taken.withLock { $0 = new }
    try await new.open(Lease(pipeline: "p", generation: 2))
    world.lake.forgetPending { _ in true }
    #expect(try await new.recover(prepared) == .gone)
    // Straight to the files, as if the fence had been passed before.
    let file = try #require(world.lake.files.keys.sorted().first)
    let lease = LeaseName(pipeline: "p", generation: 1, session: 0).id
    let store = ProcessLake(world.lake)
    await #expect { try await store.append(FileAppend(.bytes([1]), to: file, at: 0, leaseID: lease)) } throws: {
      ($0 as? NebulaError)?.code == "objects.lease_lost"
    }
    #expect(world.lake.lines.values.allSatisfy { $0.isEmpty })
  }

  @Test func anOlderGenerationNeverTakesALease() async throws {
    let world = try World(batches: 1)
    let new = try await opened(world, generation: 2)
    _ = try await prepared(new, epoch(2, 1), 0)
    let leases = world.lake.files.mapValues(\.lease)
    await #expect { _ = try await opened(world, generation: 1) } throws: {
      ($0 as? NebulaError)?.code == "state.behind_destination"
    }
    #expect(world.lake.files.mapValues(\.lease) == leases)
  }

  @Test func aStateFolderThatIsOlderThanTheLakeIsRefused() async throws {
    let world = try World(batches: 1)
    try await world.run().result.get()
    let copy = try World(batches: 1)
    // Another state folder, and a generation that was never seen: only the last epoch tells.
    let stranger = try ADLSDestination(
      ADLSOptions(), copy.context(ProcessLake(world.lake), wall: hour, mode: .continuous),
      store: ProcessLake(world.lake))
    await #expect { try await stranger.open(Lease(pipeline: "p", generation: 90)) } throws: {
      ($0 as? NebulaError)?.code == "state.behind_destination"
    }
  }

  @Test func aForeignLengthStopsRatherThanGuess() async throws {
    let world = try World(batches: 1)
    let old = try await opened(world, generation: 1)
    let prepared = try await prepared(old, epoch(1, 1), 0)
    let file = try #require(world.lake.files.keys.sorted().first)
    world.lake.state.withLock { $0.files[file]?.committed = [1, 2, 3] }
    let new = try await opened(world, generation: 2)
    guard case .unknown(let seen) = try await new.recover(prepared) else {
      Issue.record("neither old nor new is unknown")
      return
    }
    #expect(seen.contains(file))
  }

  /// The right length, but not our bytes: the second witness sees it.
  @Test func aForeignTailStopsRatherThanGuess() async throws {
    let world = try World(batches: 1)
    let old = try await opened(world, generation: 1)
    let prepared = try await prepared(old, epoch(1, 1), 0)
    let file = try #require(try Manifest(prepared).files.first)
    world.lake.state.withLock { $0.files[file.key]?.committed = Array(repeating: 10, count: file.to) }
    let new = try await opened(world, generation: 2)
    guard case .unknown = try await new.recover(prepared) else {
      Issue.record("other bytes of the same length are not ours")
      return
    }
  }

  /// What can't be appended gives its memory back, and the error comes out where the writer waits for room.
  @Test(.timeLimit(.minutes(3))) func aFailedAppendEndsAWriterThatWaitsForRoom() async throws {
    let world = try World(batches: 1)
    let process = ProcessLake(world.lake)
    let destination = try world.destination(process)
    try await destination.open(Lease(pipeline: "p", generation: 1))
    let id = epoch(1, 1)
    try await destination.begin(id, pin: nil)
    process.kill()
    let large = EventSource.batch(0, position: nil, padding: 1 << 16)
    await #expect(throws: Killed.self) {
      for _ in 0..<20_000 { try await destination.write(large, to: id) }
    }
    try? await destination.abort(id, nil)
    await destination.close()
  }

  // MARK: closing

  @Test func aFileIsClosedOnceWhenItsHourHasPassed() async throws {
    let world = try World(batches: 1)
    try await world.run(wall: hour, mode: .untilCaughtUp).result.get()
    // 06:26: no hour has passed.
    #expect(world.lake.files.values.allSatisfy { $0.closes == 0 && $0.lease == nil })
    try await world.run(wall: hour + 2_000_000, mode: .untilCaughtUp).result.get()
    for (key, file) in world.lake.files { #expect(file.closes == (key.contains("hour=06") ? 1 : 0), "\(key)") }
    try await world.run(wall: hour + 90_000_000, mode: .untilCaughtUp).result.get()
    #expect(world.lake.files.values.allSatisfy { $0.closes == 1 })
    try await world.run(wall: hour + 180_000_000, mode: .untilCaughtUp).result.get()
    #expect(world.lake.files.values.allSatisfy { $0.closes == 1 })
    #expect(world.verdict() == nil)
  }

  @Test func aClosedHoursNextEventsGoToItsNextPart() async throws {
    let world = try World(batches: 2)
    let late = hour + 90_000_000
    let first = try await opened(world, generation: 1, wall: late)
    _ = try await first.commit(try await prepared(first, epoch(1, 1), 0))
    await first.close()
    let closer = try world.destination(ProcessLake(world.lake), wall: late, mode: .untilCaughtUp)
    try await closer.open(Lease(pipeline: "p", generation: 2))
    await closer.close()
    #expect(world.lake.files.values.allSatisfy { $0.closes == 1 })
    let next = try await opened(world, generation: 3, wall: late)
    _ = try await next.commit(try await prepared(next, epoch(3, 1), 1))
    let parts = world.lake.files.keys.filter { $0.contains("-part-2.") }
    #expect(parts.count == 4, "\(world.lake.files.keys.sorted())")
    #expect(world.verdict() == nil)
    await next.close()
  }

  /// The closing process dies before or after each of its effects; then an event comes for the hour that it closed.
  @Test func aDeathWhileClosingLeavesNoFileClosedTwice() async throws {
    let late = hour + 90_000_000
    for number in 1... {
      var happened = false
      for death in [ProcessLake.Death.before(number), .after(number)] {
        let world = try World(batches: 2)
        let first = try await opened(world, generation: 1, wall: late)
        _ = try await first.commit(try await prepared(first, epoch(1, 1), 0))
        await first.close()
        let dying = ProcessLake(world.lake, death: death)
        let closer = try world.destination(dying, wall: late, mode: .untilCaughtUp)
        try? await closer.open(Lease(pipeline: "p", generation: 2))
        await closer.close()
        happened = dying.isDead || happened
        let next = try world.destination(ProcessLake(world.lake), wall: late, mode: .untilCaughtUp)
        try await next.open(Lease(pipeline: "p", generation: 3))
        _ = try await next.commit(try await prepared(next, epoch(3, 1), 1))
        await next.close()
        #expect(world.verdict() == nil, "\(death)")
        #expect(
          world.lake.files.values.allSatisfy { $0.closes == 1 }, "\(death): \(world.lake.files.mapValues(\.closes))")
      }
      if !happened { break }
    }
  }

  /// The highest part is read from the store: a reader's or another pipeline's files are never appended to.
  @Test func foreignPartsAreNeverAppendedTo() async throws {
    let world = try World(batches: 1)
    let base = try #require(EventSource.owed(1).keys.sorted().first)
    let store = ProcessLake(world.lake)
    _ = try await store.createFile(NewFile(key: "\(base)-part-4.jsonl"))
    let destination = try await opened(world)
    _ = try await destination.commit(try await prepared(destination, epoch(1, 1), 0))
    #expect(world.lake.files["\(base)-part-4.jsonl"]?.committed.isEmpty == true)
    #expect(world.lake.files["\(base)-part-5.jsonl"]?.committed.isEmpty == false)
    await destination.close()
  }

  @Test func moreFilesThanMayBeOpenAreLetGoAndTakenAgain() async throws {
    let world = try World(batches: 6) { $0.maxOpenFiles = 1 }
    try await world.run().result.get()
    #expect(world.verdict() == nil)
    #expect(world.lake.files.count == 4, "the same files, opened again and again")
  }
}
