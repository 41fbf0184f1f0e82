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
  /// Epoch n+1 is appended only after epoch n's flush returned.
  var appendsAfterFlush = true
  /// The lease on a file gets another id at every opening and recovery, not only with the generation.
  var leaseChangesByAttempt = true
  /// A file whose load is skipped because the history knows its name is an error, not success.
  var skippedLoadIsError = true
  /// Rejected records become visible with their epoch's receipt; else as they are met.
  var deadLettersByEpoch = true
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
  enum Entry: Sendable { case record, filtered, rejected }
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
  var nextSession = 0

  // Append files.
  struct File { var committed: [UInt8] = [], pending: [Int: [UInt8]] = [:], lease: UInt64 = 0 }
  var files: [File]

  init(_ kind: Kind, _ rules: Rules, seed: UInt64, entries: Int = 26) {
    sim = Simulator(seed: seed)
    self.kind = kind
    self.rules = rules
    files = Array(repeating: File(), count: rules.units)
    log = (0..<entries).map { [sim] _ in
      switch Int.random(in: 0..<11, using: &sim.random) {
      case 0..<8: .record
      case 8..<10: .filtered
      default: .rejected
      }
    }
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
