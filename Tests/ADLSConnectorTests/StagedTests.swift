import NebulaCore
import NebulaHTTP
import NebulaObjectStores
import Synchronization
import Testing

@testable import ADLSConnector

/// Layouts `files` and `per_event`, whose epochs are staged first.
@Suite struct StagedTests {
  private func opened(_ world: World, generation: UInt64) async throws -> ADLSDestination {
    let destination = try world.destination(ProcessLake(world.lake))
    try await destination.open(Lease(pipeline: "p", generation: generation))
    return destination
  }
  private func prepared(_ destination: ADLSDestination) async throws -> PreparedEpoch {
    let id = EpochID(generation: 1, sequence: 1)
    try await destination.begin(id, pin: nil)
    try await destination.write(EventSource.batch(0, position: nil), to: id)
    return try await destination.prepare(id)
  }
  private func world(_ layout: Layout) throws -> World { try World(batches: 1) { $0.layout = layout } }

  /// Its intent may be stored all the same: the answer was lost. Whoever finds it must see that it was destroyed here.
  @Test(arguments: [Layout.files, .perEvent]) func anEpochThatWasGivenUpIsGone(_ layout: Layout) async throws {
    let world = try world(layout)
    let first = try await opened(world, generation: 1)
    let prepared = try await prepared(first)
    try await first.abort(prepared.id, prepared)
    await first.close()
    let next = try await opened(world, generation: 2)
    #expect(try await next.recover(prepared) == .gone)
    #expect(world.lake.files.isEmpty)
    await next.close()
  }

  /// A reader moves published files away before the receipt is stored.
  @Test func whatAReaderMovedAwayWasPublished() async throws {
    let world = try world(.files)
    let first = try await opened(world, generation: 1)
    let prepared = try await prepared(first)
    _ = try await first.commit(prepared)
    let published = world.lake.files.keys
    #expect(published.count == 4)
    world.lake.state.withLock { state in for key in published { state.files[key] = nil } }
    let next = try await opened(world, generation: 2)
    guard case .committed(let receipt) = try await next.recover(prepared) else {
      Issue.record("it was published whole")
      return
    }
    #expect(receipt.rows == 6 && world.lake.files.isEmpty)
    await next.close()
  }

  /// Somebody removed a staged file: it can't be told from one that was published and moved away.
  @Test func aStagedFileThatIsMissingStopsRatherThanGuess() async throws {
    let world = try world(.files)
    let first = try await opened(world, generation: 1)
    let prepared = try await prepared(first)
    let staged = try #require(try Manifest(prepared).files.first?.staged)
    world.lake.state.withLock { $0.files[staged] = nil }
    let next = try await opened(world, generation: 2)
    guard case .unknown = try await next.recover(prepared) else {
      Issue.record("nobody can know")
      return
    }
    await next.close()
  }

  @Test func anEventsNameThatAnotherHasTakenIsNotReplaced() async throws {
    let other = try world(.perEvent)
    let there = try await opened(other, generation: 1)
    _ = try await there.commit(try await prepared(there))
    let key = try #require(other.lake.files.keys.sorted().first)
    let world = try world(.perEvent)
    let stranger = ObjectUpload(
      key: key, body: .bytes([1]),
      metadata: [LakeParts.pipelineProperty: "p", LakeParts.eventProperty: "another event"])
    _ = try await ProcessLake(world.lake).put(stranger)
    let destination = try await opened(world, generation: 1)
    let prepared = try await prepared(destination)
    await #expect { _ = try await destination.commit(prepared) } throws: {
      ($0 as? NebulaError)?.code == "adls.name_taken"
    }
    #expect(world.lake.files[key]?.committed == [1])
    // The same event, though with other bytes: a document that was looked up again.
    world.lake.state.withLock { $0.files[key]?.properties = other.lake.files[key]?.properties ?? [:] }
    _ = try await destination.commit(prepared)
    #expect(world.lake.files[key]?.committed == [1] && world.lake.files.count == 6)
    await destination.close()
  }
}
