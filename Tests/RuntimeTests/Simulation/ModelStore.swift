import NebulaCore
import NebulaRuntime

/// The state store's rules over the world's state, as `SQLiteStateStore` has them over a file.
final class ModelStore: StateStore, @unchecked Sendable {  // on the simulator's one thread only
  let world: ModelWorld
  let process: SimulatedProcess
  private(set) var generation: UInt64 = 0
  private var ownPin: Pin?
  /// True while intents are stored that `load` did not show (`goneDropsLater`).
  private var hasHidden = false
  init(_ world: ModelWorld, _ process: SimulatedProcess) {
    self.world = world
    self.process = process
  }

  private func write(_ body: @escaping () throws -> Void) async throws {
    try await world.sim.idempotent(process) { () throws -> Outcome<Void> in
      try body()
      return .value(())
    }
  }
  private func check(_ lease: Lease) throws {
    if world.rules.storeIsConditional, lease.generation != world.generation { throw fenced }
  }
  private var fenced: NebulaError { NebulaError(.fenced, "A newer writer holds the pipeline.", remedy: "") }

  func acquire(_ pipeline: String, identity: PipelineIdentity) async throws -> Lease {
    generation = try await world.sim.effect(process, remote: false) { [world] in
      world.generation += 1
      return .value(world.generation)
    }
    return Lease(pipeline: pipeline, generation: generation)
  }
  func load(_ lease: Lease) async throws -> PipelineState {
    try await process.receipts.drain()
    return try await world.sim.idempotent(process) { [self] in
      try check(lease)
      let pin = world.rules.pinsAreDurable ? world.pin : ownPin
      let shown = world.rules.goneDropsLater ? world.intents : Array(world.intents.prefix(1))
      hasHidden = shown.count < world.intents.count
      return .value(PipelineState(last: world.last, intents: shown, pin: pin))
    }
  }
  func store(_ intent: Intent, under lease: Lease) async throws {
    try await write { [self] in
      try check(lease)
      if world.intents.contains(intent) { return }
      let tail = world.intents.last?.id ?? world.last?.receipt.id
      if world.rules.storeIsConditional, tail != intent.predecessor {
        if world.last?.receipt.id == intent.id { return }
        throw hasHidden ? world.sim.unreachable : fenced
      }
      world.intents.removeAll { $0.id == intent.id }
      world.intents.append(intent)
      (world.pin, ownPin) = (nil, nil)
    }
  }
  func store(_ checkpoint: Checkpoint, under lease: Lease) async throws -> DurablePosition {
    try await process.receipts.follow(world) { [self] in try await settle(checkpoint, lease) }
    return DurablePosition(storing: checkpoint)
  }
  private func settle(_ checkpoint: Checkpoint, _ lease: Lease) async throws {
    if !world.rules.deadLettersFollowReceipt, let file = checkpoint.intent.deadLetters {
      try await write { [world] in world.publishDeadLetters(file.name) }
    }
    try await write { [self] in
      try check(lease)
      if world.last?.receipt.id == checkpoint.receipt.id { return }
      if world.rules.storeIsConditional, world.last?.receipt.id != checkpoint.intent.predecessor { throw fenced }
      if let last = world.last, checkpoint.position.bytes[0] < last.position.bytes[0] {
        world.defects.append("the position went back from \(last.position.bytes) to \(checkpoint.position.bytes)")
      }
      world.last = checkpoint
      world.intents.removeAll { $0.id == checkpoint.receipt.id }
      if checkpoint.intent.read == 0 { world.idleReceipts += 1 }
    }
  }
  func replace(_ intent: Intent, under lease: Lease) async throws {
    try await write { [self] in
      try check(lease)
      guard let index = world.intents.firstIndex(where: { $0.id == intent.id }) else { throw fenced }
      world.intents[index] = intent
    }
  }
  func drop(from id: EpochID, pin: Pin?, under lease: Lease) async throws {
    try await write { [self] in
      try check(lease)
      guard let index = world.intents.firstIndex(where: { $0.id == id }) else { return }
      world.intents.removeSubrange(index...(world.rules.goneDropsLater ? world.intents.count - 1 : index))
      if let pin { (world.pin, ownPin) = (pin, pin) }
    }
  }
  func renew(_ lease: Lease) async throws {}
  func release(_ lease: Lease) async throws {}
}

/// Dead letters as `FileDeadLetterStore` keeps them, in the world's two folders.
final class ModelDeadLetters: DeadLetterStore, @unchecked Sendable {  // on the simulator's one thread only
  let world: ModelWorld
  let process: SimulatedProcess
  private var open: [EpochID: [UInt8]] = [:]
  init(_ world: ModelWorld, _ process: SimulatedProcess) {
    self.world = world
    self.process = process
  }
  private func write(_ body: @escaping () -> Void) async throws {
    try await world.sim.effect(process, remote: false) { () throws -> Outcome<Void> in
      body()
      return .value(())
    }
  }
  func append(_ records: [RejectedRecord], to epoch: EpochID) async throws {
    let letters = records.map { $0.payload[0] }
    open[epoch, default: []] += letters
    guard !world.rules.deadLettersByEpoch else { return }
    try await write { [world] in world.directDeadLetters += letters }
  }
  func seal(_ epoch: EpochID) async throws -> DeadLetterFile? {
    guard let letters = open[epoch] else { return nil }
    if world.rules.deadLettersByEpoch { try await write { [world] in world.hiddenDeadLetters["\(epoch)"] = letters } }
    return DeadLetterFile(name: "\(epoch)", records: UInt64(letters.count), bytes: 0, sha256: "")
  }
  func publish(_ file: DeadLetterFile) async throws {
    guard world.rules.deadLettersFollowReceipt else { return }
    try await process.receipts.follow(world) { [self] in
      try await write { [world] in world.publishDeadLetters(file.name) }
    }
  }
  func publishAgain(_ file: DeadLetterFile) async throws { try await publish(file) }
  func discard(_ epoch: EpochID) async throws {
    open[epoch] = nil
    try await write { [world] in world.hiddenDeadLetters["\(epoch)"] = nil }
  }
  func sweep(keeping files: [DeadLetterFile], through generation: UInt64) async throws {
    try await write { [world] in
      // Those of intents that `load` did not show are somebody's too.
      let unseen = world.rules.goneDropsLater ? [] : world.intents.compactMap(\.deadLetters)
      let names = Set((files + unseen).map(\.name))
      // Names sort as epochs do, so every name of a newer generation is behind this one.
      let end = "\(EpochID(generation: generation, sequence: .max))"
      world.hiddenDeadLetters = world.hiddenDeadLetters.filter { names.contains($0.key) || $0.key > end }
    }
  }
}
