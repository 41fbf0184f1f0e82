import NebulaCore
import NebulaRuntime

/// A process that runs the real pipeline against the world.
final class Runner: @unchecked Sendable {  // on the simulator's one thread only
  let process: SimulatedProcess
  private(set) var outcome: Result<Void, any Error>?
  init(_ world: ModelWorld, _ number: Int) {
    process = SimulatedProcess(number)
    let store = ModelStore(world, process)
    let destination: any Destination =
      switch world.kind {
      case .snowflake: SnowflakeModel(world, process)
      case .objects: ObjectModel(world, process)
      case .append: AppendModel(world, process)
      }
    var settings = PipelineSettings()
    settings.epoch = EpochLimits(
      records: UInt64.random(in: 1...4, using: &world.sim.random),
      idle: world.sim.random.chance(0.5) ? .milliseconds(4) : nil)
    settings.idleCheckpointInterval = .milliseconds(Int.random(in: 0...6, using: &world.sim.random))
    let pipeline = Pipeline(
      Pipeline.Parts(
        name: "simulated",
        identity: PipelineIdentity(
          source: "model", sourceIdentity: [:], destination: "model", destinationIdentity: [:]),
        source: ModelSource(world: world, process: process, generation: { store.generation }),
        destination: destination, store: store, deadLetters: ModelDeadLetters(world, process), settings: settings,
        clock: world.sim.clock(process),
        random: { UInt64.random(in: $0, using: &world.sim.random) },
        executor: world.sim.executor))
    Task(executorPreference: world.sim.executor) { [self] in
      do {
        try await pipeline.run()
        try await process.receipts.drain()
        outcome = .success(())
      } catch {
        outcome = .failure(error)
      }
    }
    world.sim.executor.drain()
  }
}

/// A run with everything that goes wrong by chance: after `epochs.py`, whose rates it takes over.
struct ChaosRun {
  let world: ModelWorld
  private var current: Runner
  private var zombies: [(runner: Runner, wakesAt: Int)] = []
  private var processes = 1

  init(_ kind: ModelWorld.Kind, _ rules: Rules, seed: UInt64) {
    world = ModelWorld(kind, rules, seed: seed)
    world.sim.faults = rules.manyArriveLate ? .late : .some
    current = Runner(world, 0)
  }

  /// Nil when the end state equals the source.
  mutating func verdict() -> String? {
    for _ in 0..<Int.random(in: 60...500, using: &world.sim.random) { event() }
    settle()
    for _ in 0..<4 {
      restart()
      if let verdict = runToEnd() { return verdict }
      if case .success? = current.outcome { return world.verdict() }
    }
    return "stuck: \(current.outcome.map { "\($0)" } ?? "no end")"
  }

  private mutating func restart() {
    processes += 1
    current = Runner(world, processes)
  }

  private mutating func event() {
    let sim = world.sim
    if world.rules.manyArriveLate, sim.random.chance(0.15) { sim.deliverLate() }
    switch Double(sim.random.next() >> 11) / Double(UInt64(1) << 53) {
    case ..<0.012:
      sim.kill(current.process)
      restart()
    case ..<0.022 where world.rules.zombies:
      stall()
      restart()
    case ..<0.03: sim.deliverLate()
    case ..<0.05 where !world.transactions.isEmpty: endAbandonedTransaction()
    case ..<0.053 where world.rules.losesStagedFiles: loseStagedFile()
    case ..<0.25: step(awake.randomElement(using: &sim.random) ?? current)
    default: step(current)
    }
    if current.outcome != nil { restart() }
  }
  private func step(_ runner: Runner) { _ = world.sim.step(runner.process) }

  /// The process stands still, and goes on at once or when others have done a good deal.
  private mutating func stall() {
    zombies.append((current, world.sim.applied + Int.random(in: 0...120, using: &world.sim.random)))
  }
  private var awake: [Runner] { zombies.filter { $0.wakesAt <= world.sim.applied }.map(\.runner) }

  /// The server ends a transaction whose client was not heard of.
  private func endAbandonedTransaction() {
    let sessions = world.transactions.keys.sorted()
    guard let session = sessions.randomElement(using: &world.sim.random) else { return }
    world.transactions[session] = nil
    if world.lock == session { world.lock = nil }
  }
  private func loseStagedFile() {
    guard let name = world.staged.keys.sorted().randomElement(using: &world.sim.random) else { return }
    world.staged[name] = nil
  }

  /// Faults end; late requests arrive or are lost; zombies wake once more; abandoned transactions end.
  private mutating func settle() {
    let sim = world.sim
    sim.faults = .none
    for _ in 0..<3 { sim.deliverLate() }
    for (zombie, _) in zombies where sim.random.chance(0.7) {
      for _ in 0..<300 where !sim.step(zombie.process) { break }
    }
    sim.kill(current.process, losing: 0)
    sim.dropLate()
    world.transactions = [:]
    world.lock = nil
  }

  private func runToEnd() -> String? {
    for _ in 0..<6000 where current.outcome == nil {
      if !world.sim.step(current.process), current.outcome == nil { return "stuck: waits for nothing" }
    }
    return current.outcome == nil ? "stuck: no end" : nil
  }
}
