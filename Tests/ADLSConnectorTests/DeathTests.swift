import NebulaCore
import NebulaObjectStores
import NebulaRuntime
import Synchronization
import Testing

@testable import ADLSConnector

/// The real pipeline and the real destination against a lake in memory: a death before and after every effect, and with
/// the effect arriving late; a second death while the first is repaired.
@Suite(.serialized) struct DeathTests {
  static let layouts: [Layout] = [.rolling, .files, .perEvent]

  @Test(arguments: layouts) func withoutDeathsEveryEventIsThereOnce(_ layout: Layout) async throws {
    let world = try Self.world(layout)
    try await world.run().result.get()
    #expect(Self.verdict(world, layout) == nil)
  }

  @Test(arguments: layouts) func aDeathAtEveryEffectEndsExactlyOnce(_ layout: Layout) async throws {
    var deaths = 0
    for number in 1... {
      var happened = false
      for death in [ProcessLake.Death.before(number), .after(number), .late(number)] {
        let world = try Self.world(layout)
        let first = try await world.run(death)
        happened = first.process.isDead
        // What was on its way arrives while the heir is at work.
        let heir = try await world.run(.before(1 + number % 17))
        first.process.late.withLock { $0 }?()
        try await world.run().result.get()
        #expect(Self.verdict(world, layout) == nil, "\(layout), \(death); heir died: \(heir.process.isDead)")
        deaths += happened ? 1 : 0
      }
      if !happened { break }
    }
    #expect(deaths > 60)
    print("\(layout): \(deaths) deaths")
  }

  /// Small files: an epoch fills several parts of one partition.
  @Test func aDeathAtEveryEffectWithManyPartsEndsExactlyOnce() async throws {
    for number in 1... {
      var happened = false
      for death in [ProcessLake.Death.before(number), .after(number), .late(number)] {
        let world = try World(batches: 4) { $0.maxFileBytes = 700 }
        let first = try await world.run(death)
        happened = first.process.isDead
        first.process.late.withLock { $0 }?()
        try await world.run().result.get()
        #expect(world.verdict() == nil, "\(death)")
        for (key, file) in world.lake.files { #expect(file.closes <= 1, "\(death): \(key) was closed twice") }
      }
      if !happened { break }
    }
  }

  /// What was appended is gone when the next process looks: files that were flushed stay, the others are written again.
  @Test func lostAppendsLeaveAPinAndAreWrittenAgain() async throws {
    var pins = 0
    for number in 1... {
      let world = try World(batches: 4)
      let first = try await world.run(.after(number))
      world.lake.forgetPending { _ in true }
      var seenPin = false
      // The heir dies right after it stored the pin, if it stores one.
      for death in 1...40 {
        let heir = try await world.run(.after(death))
        if world.state.value.withLock({ $0.state.pin != nil }) { seenPin = true }
        world.lake.forgetPending { $0.contains("/b/") }
        if case .success = heir.result { break }
      }
      try await world.run().result.get()
      #expect(world.verdict() == nil, "after effect \(number)")
      pins += seenPin ? 1 : 0
      if !first.process.isDead { break }
    }
    #expect(pins > 0)
  }

  static func world(_ layout: Layout) throws -> World {
    try World {
      $0.layout = layout
      // One file a partition, so that the names can be compared.
      if layout == .files { $0.maxFileBytes = .mebibytes(1) }
    }
  }

  /// Complete files and single events have other names: there the lines of a partition are compared whole.
  static func verdict(_ world: World, _ layout: Layout) -> String? {
    if layout == .rolling { return world.verdict() }
    var found: [Int] = []
    for file in world.lake.files.values {
      for line in String(decoding: file.committed, as: UTF8.self).split(separator: "\n") {
        guard let range = line.firstRange(of: "\"resumeToken\":\"token") else { return "a line without a token" }
        found.append(Int(line[range.upperBound...].prefix { $0 != "\"" }) ?? -1)
      }
    }
    let owed = Array(0..<world.batches * EventSource.perBatch)
    return found.sorted() == owed ? nil : "\(found.sorted())"
  }
}
