/// All connectors that can be named, one of a name and role.
public struct ConnectorRegistry: Sendable {
  private var connectors: [Connector] = []

  /// Registers `connectors` in order; throws on two of the same name and role.
  public init(_ connectors: [Connector]) throws(NebulaError) { for one in connectors { try add(one) } }

  /// Adds one connector.
  public mutating func add(_ connector: Connector) throws(NebulaError) {
    let specification = connector.specification
    guard find(specification.name, specification.role) == nil else {
      throw NebulaError(
        .duplicateConnector, "Two \(specification.role.rawValue)s are called '\(specification.name)'.",
        remedy: "Rename the plugin's.", exit: .configuration)
    }
    connectors.append(connector)
  }

  /// All of them, in the order of registration.
  public var all: [Connector] { connectors }

  /// The connector of that name and role, or nil.
  public func find(_ name: String, _ role: ConnectorSpecification.Role) -> Connector? {
    connectors.first { $0.specification.name == name && $0.specification.role == role }
  }

  /// The connector of that name and role; the error names the closest one.
  public func connector(
    _ name: String, _ role: ConnectorSpecification.Role, at place: NebulaError.Place? = nil
  ) throws(NebulaError) -> Connector {
    if let found = find(name, role) { return found }
    let known = connectors.filter { $0.specification.role == role }.map(\.specification.name)
    let hint = closest(to: name, among: known).map { "Did you mean '\($0)'? " } ?? ""
    throw NebulaError(
      .unknownConnector, "No \(role.rawValue) is called '\(name)'.",
      remedy: "\(hint)Known: \(known.joined(separator: ", ")).", at: place, exit: .configuration)
  }
}

/// The candidate within a third of its length in edits, or nil: what "did you mean" shows.
public func closest(to word: String, among candidates: [String]) -> String? {
  let scored = candidates.map { ($0, editDistance(Array(word.utf8), Array($0.utf8))) }
  guard let best = scored.min(by: { $0.1 < $1.1 }), best.1 <= max(1, best.0.utf8.count / 3) else { return nil }
  return best.0
}

/// Insertions, removals, replacements and swaps of neighbours that turn `a` into `b`.
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  var before: [Int] = []
  var previous = Array(0...b.count)
  for i in 0..<a.count {
    var current = [i + 1]
    for j in 0..<b.count {
      var best = min(previous[j + 1] + 1, current[j] + 1, previous[j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, before[j - 1] + 1) }
      current.append(best)
    }
    (before, previous) = (previous, current)
  }
  return previous[b.count]
}
