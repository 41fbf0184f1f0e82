import Foundation
import NebulaCore
import NebulaRuntime
import Testing

/// How many seeds a chaos test runs: `make chaos` sets more.
let simulationSeeds = ProcessInfo.processInfo.environment["SIMULATION_SEEDS"].flatMap(Int.init) ?? 300

@Suite struct SimulationTests {
  /// Invariants 1 to 4 and 7: deaths, zombies, lost and late requests, lost answers, random epoch boundaries.
  @Test(arguments: ModelWorld.Kind.allCases) func chaosEndsExactlyOnce(_ kind: ModelWorld.Kind) async {
    await Self.everySeedEndsExactlyOnce(kind, .designed)
  }

  /// The same while somebody removes staged files: epochs are gone, those behind them too, and zombies know of both.
  @Test(arguments: [ModelWorld.Kind.snowflake, .objects]) func lostStagedFilesAreReadAgain(_ kind: ModelWorld.Kind)
    async
  {
    await Self.everySeedEndsExactlyOnce(kind, Rules.designed.with { $0.losesStagedFiles = true })
  }

  static func everySeedEndsExactlyOnce(_ kind: ModelWorld.Kind, _ rules: Rules) async {
    var idle = 0
    for seed in 0..<UInt64(simulationSeeds) {
      await Task.yield()  // other tests share the two threads
      var run = ChaosRun(kind, rules, seed: seed)
      let verdict = run.verdict()
      #expect(verdict == nil, "\(kind), seed \(seed)")
      if verdict != nil { return }
      idle += run.world.idleReceipts
    }
    #expect(idle > simulationSeeds, "the position has to move without records, or idleness is not simulated")
  }

  /// The second death may come while the first is being repaired: every pair, before and after every effect.
  @Test(arguments: ModelWorld.Kind.allCases) func everyPairOfDeathsEndsExactlyOnce(_ kind: ModelWorld.Kind) async {
    let pairs = PairsOfDeaths(kind)
    let result = await pairs.run()
    #expect(result.failure == nil)
    #expect(result.pairs > 1000)
    #expect(result.idle > 1000)
    print("\(kind): \(result.pairs) pairs of deaths")
  }
}

struct PairsOfDeaths {
  /// Something of everything, with an idle stretch in the middle and at the end.
  private static let log: [ModelWorld.Entry] = [
    .record, .record, .rejected, .elsewhere, .record, .filtered, .elsewhere,
  ]
  let kind: ModelWorld.Kind
  init(_ kind: ModelWorld.Kind) { self.kind = kind }

  func run() async -> (pairs: Int, idle: Int, failure: String?) {
    var pairs = 0
    var idle = 0
    for first in 0... {
      var firstHappened = false
      await Task.yield()
      for second in 0... {
        let world = ModelWorld(kind, .designed, seed: 7, log: Self.log)
        let deaths = [first, second].enumerated().map { number, point in die(world, at: point, number) }
        firstHappened = deaths[0]
        let last = Runner(world, 2)
        finish(last, world)
        pairs += 1
        idle += world.idleReceipts
        if case .success? = last.outcome, world.verdict() == nil {
        } else {
          return (pairs, idle, "deaths at \(first) and \(second): \(world.verdict() ?? "\(last.outcome as Any)")")
        }
        if !deaths[1] { break }
      }
      if !firstHappened { break }
    }
    return (pairs, idle, nil)
  }

  /// True when the process died there, false when it ended before.
  private func die(_ world: ModelWorld, at point: Int, _ number: Int) -> Bool {
    let runner = Runner(world, number)
    world.sim.deathAt = (runner.process, point)
    world.sim.restartCount()
    finish(runner, world)
    world.sim.deathAt = nil
    // The server ends what the dead process left open.
    world.transactions = [:]
    world.lock = nil
    return runner.process.isKilled
  }

  private func finish(_ runner: Runner, _ world: ModelWorld) {
    for _ in 0..<3000 where runner.outcome == nil { if !world.sim.step(runner.process) { break } }
  }
}
