internal import Synchronization

/// How a run is doing, and why.
public struct Health: Sendable, Hashable, Codable {
  /// In one word.
  public enum State: String, Sendable, Hashable, Codable, Comparable {
    /// Nothing is wrong.
    case healthy
    /// Something is, and is being tried again or waited for.
    case degraded
    /// It has been so for long: somebody should look.
    case unhealthy
    /// By gravity.
    public static func < (a: Self, b: Self) -> Bool { a.rank < b.rank }
    private var rank: Int {
      switch self {
      case .healthy: 0
      case .degraded: 1
      case .unhealthy: 2
      }
    }
  }
  /// The gravest of all.
  public var state: State
  /// What is wrong, the gravest first; empty when nothing is.
  public var reasons: [String]
  /// Makes a health.
  public init(_ state: State = .healthy, reasons: [String] = []) {
    self.state = state
    self.reasons = reasons
  }
}

extension Health: CustomStringConvertible {
  /// `healthy`, or `degraded: reason; reason`.
  public var description: String { reasons.isEmpty ? state.rawValue : "\(state): \(reasons.joined(separator: "; "))" }
}

/// One thing that may be in trouble.
public struct HealthTopic: Sendable, Hashable {
  /// What it is called; two topics of one name are one.
  public let name: String
  /// So long it is nobody's business: a wait that is usual.
  public let degradedAfter: Duration
  /// So long it may last before somebody should look; nil: for ever.
  public let unhealthyAfter: Duration?
  /// Without another report it is forgotten after so long; nil: only relief ends it. For what is told at moments, and
  /// whose end nobody tells.
  public let fadesAfter: Duration?
  /// Makes a topic.
  public init(
    _ name: String, degradedAfter: Duration = .zero, unhealthyAfter: Duration? = .seconds(60),
    fadesAfter: Duration? = nil
  ) {
    self.name = name
    self.degradedAfter = degradedAfter
    self.unhealthyAfter = unhealthyAfter
    self.fadesAfter = fadesAfter
  }
}

/// Judges by events how a run is doing: a pure value, the time is handed in.
///
/// A trouble lasts from its first report to its relief, however often it is reported; what is so for long weighs more.
public struct HealthJudge: Sendable {
  private struct Trouble {
    let topic: HealthTopic
    var reason: String
    let since: Duration
    var last: Duration
    var times = 1
  }
  private var troubles: [String: Trouble] = [:]

  /// Nothing is wrong.
  public init() {}

  /// Something is wrong, or still is.
  public mutating func trouble(_ topic: HealthTopic, _ reason: String, at now: Duration) {
    guard var known = troubles[topic.name], !isOver(known, now) else {
      troubles[topic.name] = Trouble(topic: topic, reason: reason, since: now, last: now)
      return
    }
    known.reason = reason
    known.last = now
    known.times += 1
    troubles[topic.name] = known
  }

  /// It works again.
  public mutating func relief(_ topic: HealthTopic) { troubles[topic.name] = nil }

  /// How it is going.
  public func verdict(at now: Duration) -> Health {
    var found: [(state: Health.State, since: Duration, text: String)] = []
    for trouble in troubles.values where !isOver(trouble, now) {
      let lasting = now - trouble.since
      guard lasting >= trouble.topic.degradedAfter else { continue }
      let isLong = trouble.topic.unhealthyAfter.map { lasting >= $0 } ?? false
      let times = trouble.times > 1 ? "\(trouble.times) times in" : "for"
      found.append(
        (isLong ? .unhealthy : .degraded, trouble.since, "\(trouble.reason) (\(times) \(lasting.components.seconds) s)")
      )
    }
    found.sort { $0.state == $1.state ? ($0.since, $0.text) < ($1.since, $1.text) : $0.state > $1.state }
    return Health(found.first?.state ?? .healthy, reasons: found.map(\.text))
  }

  private func isOver(_ trouble: Trouble, _ now: Duration) -> Bool {
    trouble.topic.fadesAfter.map { now - trouble.last >= $0 } ?? false
  }
}

/// Where all parts of a run report how it is doing.
public final class HealthBoard: Sendable {
  private let judge = Mutex(HealthJudge())
  /// Nothing is wrong.
  public init() {}
  /// Something is wrong, or still is.
  public func trouble(_ topic: HealthTopic, _ reason: String, at now: Duration) {
    judge.withLock { $0.trouble(topic, reason, at: now) }
  }
  /// It works again.
  public func relief(_ topic: HealthTopic) { judge.withLock { $0.relief(topic) } }
  /// How it is going.
  public func verdict(at now: Duration) -> Health { judge.withLock { $0.verdict(at: now) } }
}
