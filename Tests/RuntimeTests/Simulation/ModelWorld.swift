import NebulaCore
import NebulaRuntime

/// The rules that a run leaves out; all true is the protocol as designed. Names follow the table in `Variants`.
struct Rules: Sendable {
  enum Naming: Sendable { case generationAndSequence, sequence, startPosition }
  /// State store writes are conditional on the generation and the predecessor.
  var storeIsConditional = true
  /// The state store keeps pins; else only the process that met the partial epoch knows of it.
  var pinsAreDurable = true
  /// What staged names and ledger rows are made from.
  var naming = Naming.generationAndSequence
  /// A PUT of an existing name is skipped, as Snowflake's clients do.
  var putSkipsExisting = true
  /// Commits lock the fence row, and check generation and order under the lock.
  var fence = true
  /// Opening raises the fence.
  var fenceAtOpen = true
  /// One transaction for all tables.
  var oneTransaction = true
  /// A partly visible epoch is reported as such; else as gone.
  var reportsPartial = true
  /// Recovery destroys what is staged before it looks at what is final.
  var destroysBeforeLooking = true
  /// When epoch n+1 is appended: only after epoch n's flush returned; or at once, at the visible length or behind what
  /// epoch n appended.
  enum Appending: Sendable { case afterFlush, atVisibleLength, behindAppended }
  var appending = Appending.afterFlush
  /// A flush keeps the ranges behind it; else it discards them, as ADLS does.
  var flushRetains = false
  /// The lease on a file gets another id at every opening and recovery, not only with the generation.
  var leaseChangesByAttempt = true
  /// A file whose load is skipped because the history knows its name is an error, not success.
  var skippedLoadIsError = true
  /// Rejected records become visible with their epoch's receipt; else as they are met.
  var deadLettersByEpoch = true
  /// Dead letters are published behind their epoch's receipt; else before it.
  var deadLettersFollowReceipt = true
  /// A token of an empty batch goes through the queue of epochs; else it is stored as soon as nothing is pending.
  var idleTokensQueue = true
  /// A gone intent takes the later ones with it; else each is recovered by itself, one a session.
  var goneDropsLater = true
  /// Epoch n+1 is committed only once receipt n is stored; else receipts follow in order, while commits go on.
  var commitsAfterReceipt = true
  /// How many tables or files records go to.
  var units = 2
  /// Staged files may disappear.
  var losesStagedFiles = false
  /// Many requests arrive only after their sender gave up.
  var manyArriveLate = false
  /// Processes may stall and wake later.
  var zombies = true
  static let designed = Rules()
  func with(_ change: (inout Rules) -> Void) -> Rules {
    var copy = self
    change(&copy)
    return copy
  }
}

/// Everything that outlives a process: the source's log, the state file, the dead letters and three destinations.
final class ModelWorld: @unchecked Sendable {  // touched on the simulator's one thread only
  /// `elsewhere`: something the source's position passes, and nobody's record.
  enum Entry: Sendable { case record, filtered, rejected, elsewhere }
  enum Kind: String, CaseIterable, Sendable { case snowflake, objects, append }

  let sim: Simulator
  let rules: Rules
  let kind: Kind
  let log: [Entry]

  // The state file.
  var generation: UInt64 = 0
  var last: Checkpoint?
  var intents: [Intent] = []
  var pin: Pin?
  /// Told upstream: nothing before it may be read again by the newest process.
  var acknowledged = 0
  /// Receipts of epochs that only moved the position.
  var idleReceipts = 0
  /// What should never happen, as it happened.
  var defects: [String] = []

  // Dead letters: hidden files by name, and the records of the visible ones.
  var hiddenDeadLetters: [String: [UInt8]] = [:]
  var visibleDeadLetters: [String: [UInt8]] = [:]
  var directDeadLetters: [UInt8] = []

  // Staged and final files, by name.
  var staged: [String: [UInt8]] = [:]
  var final: [String: [UInt8]] = [:]

  // Snowflake: rows, ledger, load history, the fence and its lock, open transactions.
  struct Copied { let name: String, rows: [UInt8] }
  var rows: [UInt8] = []
  var ledger: Set<String> = []
  var history: Set<String> = []
  var fence: (generation: UInt64, last: EpochID?) = (0, nil)
  var lock: Int?
  var transactions: [Int: [Copied]] = [:]
  /// What the first request to begin was answered, by session.
  var begun: [Int: Bool] = [:]
  var nextSession = 0

  // Append files.
  struct File { var committed: [UInt8] = [], pending: [Int: [UInt8]] = [:], lease: UInt64 = 0 }
  var files: [File]

  init(_ kind: Kind, _ rules: Rules, seed: UInt64, log: [Entry]? = nil) {
    sim = Simulator(seed: seed)
    self.kind = kind
    self.rules = rules
    files = Array(repeating: File(), count: rules.units)
    self.log = log ?? (0..<30).map { [sim] _ in Self.anyEntry(using: &sim.random) }
  }
  private static func anyEntry(using random: inout SeededRandom) -> Entry {
    switch Int.random(in: 0..<14, using: &random) {
    case 0..<8: .record
    case 8..<10: .filtered
    case 10..<11: .rejected
    default: .elsewhere
    }
  }

  func publishDeadLetters(_ name: String) {
    guard let letters = hiddenDeadLetters.removeValue(forKey: name) else { return }
    visibleDeadLetters[name] = letters
  }
  /// What a build without the queue of idle epochs does: "nothing is pending, so the token may be stored".
  func storeIdleToken(_ token: Position, generation: UInt64) {
    guard generation == self.generation, intents.isEmpty, let old = last else { return }
    let intent = Intent(
      id: old.intent.id, predecessor: old.intent.predecessor, from: old.intent.from, through: token,
      read: old.intent.read, counts: old.intent.counts, deadLetters: old.intent.deadLetters,
      prepared: old.intent.prepared, newestEventTime: nil)
    last = (try? intent.checkpoint(by: old.receipt)) ?? old
  }

  var visibleRows: [UInt8] {
    switch kind {
    case .snowflake: rows
    case .objects: final.values.flatMap(\.self)
    case .append: files.flatMap(\.committed)
    }
  }

  /// Nil when everything came once; else what is wrong.
  func verdict() -> String? {
    if let defect = defects.first { return defect }
    for (index, entry) in log.enumerated() {
      let record = UInt8(index)
      let rows = visibleRows.count { $0 == record }
      let letters = (visibleDeadLetters.values.flatMap(\.self) + directDeadLetters).count { $0 == record }
      let expected = (rows: entry == .record ? 1 : 0, letters: entry == .rejected ? 1 : 0)
      if rows != expected.rows { return "record \(index): \(rows) rows, not \(expected.rows)" }
      if letters != expected.letters { return "record \(index): \(letters) dead letters, not \(expected.letters)" }
    }
    guard last?.position.bytes.first == UInt8(log.count) else { return "position \(last?.position.bytes ?? [])" }
    return nil
  }
}
