internal import NebulaCore
internal import NebulaHTTP

/// What the server says of a statement that runs by itself.
enum QueryState: String, Sendable, Hashable, CaseIterable {
  case running = "RUNNING"
  case queued = "QUEUED"
  case resumingWarehouse = "RESUMING_WAREHOUSE"
  case repairingWarehouse = "QUEUED_REPAIRING_WAREHOUSE"
  /// Waits for a lock: it goes on when the lock is free, or fails by LOCK_TIMEOUT.
  case blocked = "BLOCKED"
  /// The server does not know the statement yet.
  case noData = "NO_DATA"
  case success = "SUCCESS"
  case aborting = "ABORTING"
  case aborted = "ABORTED"
  case failed = "FAILED_WITH_ERROR"
  case incident = "FAILED_WITH_INCIDENT"
  case disconnected = "DISCONNECTED"

  /// True while there is no result to be had.
  var isRunning: Bool {
    switch self {
    case .running, .queued, .resumingWarehouse, .repairingWarehouse, .blocked, .noData: true
    case .success, .aborting, .aborted, .failed, .incident, .disconnected: false
    }
  }
}

/// Decides when to ask again for a statement that was submitted with `asyncExec`; a value, so it is tested without clocks.
///
/// A state only says when the result is worth asking for. What became of the statement, its result alone says.
struct AsyncQuery: Sendable, Hashable {
  enum Step: Sendable, Hashable {
    /// Ask for the state again after a while.
    case wait(Duration)
    /// Ask for the result, which says what became of it (or that it still runs).
    case read
  }

  let id: String
  /// Where its result lies.
  let resultPath: String
  private var pauses = Polling()
  /// Answers in a row that said nothing.
  private var silent = 0
  private(set) var last: QueryState?

  /// So many answers without a state, then the result is asked for: its answer is one.
  static let patience = 24

  init(id: String, resultPath: String?) {
    self.id = id
    self.resultPath = resultPath ?? "/queries/\(percentEncoded(id))/result"
  }

  /// Where its state is asked for.
  var statePath: String { "/monitoring/queries/\(percentEncoded(id))" }
  /// Where it is aborted.
  var abortPath: String { "/queries/\(percentEncoded(id))/abort-request" }

  /// The state in an answer; nil when it has none that is known.
  static func state(in answer: Envelope) -> QueryState? {
    guard answer.isSuccess else { return nil }
    return answer.data["queries"]?[0]?["status"]?.string.flatMap { QueryState(rawValue: $0.uppercased()) }
  }

  /// What to do after an answer.
  mutating func step(after state: QueryState?) -> Step {
    last = state
    let saysNothing = state == nil || state == .noData
    silent = saysNothing ? silent + 1 : 0
    guard state?.isRunning ?? true, silent < Self.patience else { return .read }
    return .wait(pauses.nextPause())
  }

  /// A result that contradicts the state is none: a failed statement has not succeeded, whatever is answered.
  func check(_ result: Envelope) throws(NebulaError) {
    guard result.isSuccess, let last, !last.isRunning, last != .success else { return }
    throw NebulaError(
      .badAnswer, "The statement \(id) ended as \(last.rawValue), but its result says that it succeeded.",
      remedy: "What became of it is found out under the fence's lock.", native: "query \(id)",
      disposition: .reconnect)
  }
}
