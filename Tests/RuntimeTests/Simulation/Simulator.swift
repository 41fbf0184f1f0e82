import NebulaCore

/// Thrown by every effect of a process that was killed: nothing it does reaches the world any more.
struct Killed: Error {}
/// The answer, or the request, was lost on its way.
struct Lost: Error {}

/// What an effect did.
enum Outcome<Value> {
  case value(Value)
  /// It waits for a lock: the same effect is tried again later.
  case blocked
}

/// One process of the pipeline: killed, or stalled and woken later (a zombie).
final class SimulatedProcess: @unchecked Sendable {  // touched on the simulator's one thread only
  let number: Int
  var isKilled = false
  let receipts = Receipts()
  init(_ number: Int) { self.number = number }
}

/// Holds the effects that processes wait for, and applies them one at a time: in random order, with lost requests,
/// lost answers, requests that arrive late, and deaths.
final class Simulator: @unchecked Sendable {  // everything runs on the simulator's one thread
  struct Faults {
    var lateRequest = 0.0
    var lostRequest = 0.0
    var lostAnswer = 0.0
    /// A prepare that fails when its work is done.
    var failedPrepare = 0.0
    static let none = Faults()
    static let some = Faults(lateRequest: 0.03, lostRequest: 0.03, lostAnswer: 0.04, failedPrepare: 0.12)
    /// Much is tried again while requests of the try before are still on their way.
    static let late = Faults(lateRequest: 0.2, lostRequest: 0.03, lostAnswer: 0.04, failedPrepare: 0.4)
  }
  private struct Pending {
    let process: SimulatedProcess
    let isRemote: Bool
    /// Applies the effect and gives what resumes the process with the result; nil when it is blocked.
    let apply: () -> (() -> Void)?
    let fail: (any Error) -> Void
  }

  let executor = SimulationExecutor()
  var random: SeededRandom
  var faults = Faults.none
  private var pending: [Pending] = []
  private var late: [() -> Void] = []
  private(set) var now: Duration = .zero
  /// Effects applied so far.
  private(set) var applied = 0
  /// The process dies before (even) or after (odd) its effect number `n / 2`.
  var deathAt: (process: SimulatedProcess, point: Int)?
  private var effectsOfDoomed = 0

  init(seed: UInt64) { random = SeededRandom(seed: seed) }
  func restartCount() { effectsOfDoomed = 0 }

  /// An effect on the world. Remote ones may lose their request or their answer.
  func effect<Value: Sendable>(
    _ process: SimulatedProcess, remote: Bool = true, _ body: @escaping () throws -> Outcome<Value>
  ) async throws -> Value {
    if process.isKilled { throw Killed() }
    return try await withUnsafeThrowingContinuation { continuation in
      pending.append(
        Pending(
          process: process, isRemote: remote,
          apply: {
            switch Result(catching: body) {
            case .success(.value(let value)): { continuation.resume(returning: value) }
            case .success(.blocked): nil
            case .failure(let error): { continuation.resume(throwing: error) }
            }
          },
          fail: { continuation.resume(throwing: $0) }))
    }
  }

  /// An effect that may be sent again until its answer arrives.
  func idempotent<Value: Sendable>(
    _ process: SimulatedProcess, _ body: @escaping () throws -> Outcome<Value>
  ) async throws -> Value {
    while true {
      do { return try await effect(process, body) } catch is Lost {
        // Most clients try again by themselves; some give up and leave it to the pipeline.
        if random.chance(0.15) { throw unreachable }
      }
    }
  }

  var unreachable: NebulaError {
    NebulaError("model.unreachable", "No answer.", remedy: "", disposition: .retry(after: nil))
  }

  /// Lets others run.
  func yield(_ process: SimulatedProcess) async throws { try await effect(process, remote: false) { .value(()) } }

  func clock(_ process: SimulatedProcess) -> Timekeeper {
    Timekeeper(
      monotonic: { self.now }, wall: { self.now.wholeMilliseconds },
      sleep: { duration in
        try await self.effect(process, remote: false) { () throws -> Outcome<Void> in
          self.now += min(duration, .milliseconds(1))
          return .value(())
        }
        try Task.checkCancellation()
      })
  }

  /// Applies one effect of `process`; false when it waits for none.
  func step(_ process: SimulatedProcess) -> Bool {
    executor.drain()
    let candidates = pending.indices.filter { pending[$0].process === process }
    guard let index = candidates.randomElement(using: &random) else { return false }
    let effect = pending.remove(at: index)
    applied += 1
    now += .milliseconds(1)
    if let deathAt, deathAt.process === process {
      effectsOfDoomed += 1
      if effectsOfDoomed > deathAt.point / 2 {
        if deathAt.point % 2 == 1 { _ = effect.apply() }
        effect.fail(Killed())
        kill(process, losing: 0)
        return true
      }
    }
    apply(effect)
    executor.drain()
    return true
  }

  private func apply(_ effect: Pending) {
    let dice = effect.isRemote ? Double(random.next() >> 11) / Double(UInt64(1) << 53) : 1
    if dice < faults.lateRequest {
      late.append { _ = effect.apply() }
      return effect.fail(Lost())
    }
    if dice < faults.lateRequest + faults.lostRequest { return effect.fail(Lost()) }
    guard let resume = effect.apply() else { return pending.append(effect) }
    if dice < faults.lateRequest + faults.lostRequest + faults.lostAnswer { return effect.fail(Lost()) }
    resume()
  }

  /// A request that was on its way arrives, after whoever sent it gave up: one of the last few, more likely to matter.
  func deliverLate() {
    guard !late.isEmpty else { return }
    late.remove(at: Int.random(in: max(0, late.count - 3)..<late.count, using: &random))()
  }
  func dropLate() { late = [] }

  /// SIGKILL. Requests under way arrive all the same in `share` of the cases.
  func kill(_ process: SimulatedProcess, losing share: Double = 0.5) {
    process.isKilled = true
    let dying = pending.filter { $0.process === process }
    pending.removeAll { $0.process === process }
    for effect in dying {
      if effect.isRemote, random.chance(share) { late.append { _ = effect.apply() } }
      effect.fail(Killed())
    }
    executor.drain()
  }
}
