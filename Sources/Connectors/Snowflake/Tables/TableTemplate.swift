internal import NebulaCore

/// Says which table takes the records of a namespace: a plain name takes all, `{database}_{collection}` is filled in.
struct TableTemplate: Sendable, Hashable {
  private enum Part: Sendable, Hashable {
    case text(String)
    case database
    case collection
  }
  private let parts: [Part]
  private let isQuoted: Bool
  private let written: String

  init(_ written: String) throws(NebulaError) {
    self.written = written
    isQuoted = written.count >= 2 && written.hasPrefix("\"") && written.hasSuffix("\"")
    var parts: [Part] = []
    var rest = isQuoted ? written.dropFirst().dropLast() : Substring(written)
    while let open = rest.firstIndex(of: "{") {
      if open > rest.startIndex { parts.append(.text(String(rest[..<open]))) }
      guard let close = rest[open...].firstIndex(of: "}") else { throw Self.bad(written, "has a '{' without '}'") }
      switch rest[rest.index(after: open)..<close] {
      case "database": parts.append(.database)
      case "collection": parts.append(.collection)
      case let other: throw Self.bad(written, "names {\(other)}, which is not known")
      }
      rest = rest[rest.index(after: close)...]
    }
    if !rest.isEmpty { parts.append(.text(String(rest))) }
    self.parts = parts
    if !isTemplate { _ = try Identifier(written, property: "table") }
  }

  /// True when different namespaces may go to different tables.
  var isTemplate: Bool { parts.contains { $0 == .database || $0 == .collection } }

  /// True when the name is written in double quotes, so that case counts.
  var keepsCase: Bool { isQuoted }

  /// The table for a namespace.
  func table(for namespace: Namespace) throws(NebulaError) -> Identifier {
    guard isTemplate else { return try Identifier(written, property: "table") }
    var name = ""
    for part in parts {
      switch part {
      case .text(let text): name += text
      case .database: name += namespace.database ?? ""
      case .collection: name += namespace.collection
      }
    }
    if let problem = Identifier.problem(of: name) {
      throw Self.bad(written, "makes the name \(shortened(name)) of '\(namespace)', which \(problem)")
    }
    return isQuoted ? Identifier(exactly: name) : Identifier(folding: name)
  }

  private static func bad(_ written: String, _ problem: String) -> NebulaError {
    NebulaError(
      .badProperty, "table: \(shortened(written)) \(problem).", remedy: "Use {database} and {collection}.",
      at: .init(path: "table"), exit: .configuration)
  }
}

/// Remembers which namespace took which table, and refuses a second one that folds to the same table.
struct TableRoutes: Sendable {
  private let template: TableTemplate
  private var known: [Namespace: Identifier] = [:]
  private var owners: [String: Namespace] = [:]

  init(_ template: TableTemplate) { self.template = template }

  /// The table for a namespace.
  mutating func table(for namespace: Namespace) throws(NebulaError) -> Identifier {
    if let table = known[namespace] { return table }
    let table = try template.table(for: namespace)
    let fold = template.keepsCase ? table.name : table.fold
    if template.isTemplate, let owner = owners[fold], owner != namespace {
      throw TableOwner.collision(owner.description, namespace, table.quoted)
    }
    owners[fold] = namespace
    known[namespace] = table
    return table
  }

  /// The namespace whose rows alone may go to the table; nil where the template does not tell namespaces apart.
  func owner(of table: Identifier) -> Namespace? {
    template.isTemplate ? owners[template.keepsCase ? table.name : table.fold] : nil
  }
}
