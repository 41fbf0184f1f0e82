internal import NebulaCore

/// What brings the rows of a landing table to those of the same keys in its table, and what clears rows that are gone.
///
/// The sequence guard makes each statement safe against what is older than the row that is there: whatever order epochs,
/// copied rows and changes come in, the newest state of a key stays. All texts, no effects.
struct MergeStatement: Sendable, Hashable {
  private let table: TableName
  private let rule: MergeRule
  private let merge: StagedMerge
  /// The columns of the widest of the epoch's layouts.
  private let columns: [LoadColumn]
  private let bounds: KeyBounds?
  private let boundKind: KeyedRows.BoundKind

  /// `staged` are the entries of one table, in the order of the manifest; nil when nothing is to be merged.
  init?(_ staged: [StagedTable]) {
    guard let widest = staged.max(by: { $0.layout.columns.count < $1.layout.columns.count }),
      let rule = widest.layout.merge, var merge = widest.merge
    else { return nil }
    merge.sweeps = staged.flatMap { $0.merge?.sweeps ?? [] }
    merge.keepsTombstones = staged.contains { $0.merge?.keepsTombstones ?? false }
    merge.purges = staged.contains { $0.merge?.purges ?? false }
    table = widest.table
    columns = widest.layout.columns
    self.rule = rule
    self.merge = merge
    boundKind = widest.layout.boundKind
    bounds = Self.bounds(of: staged.filter { !$0.files.isEmpty }, boundKind)
  }

  private static func bounds(of staged: [StagedTable], _ kind: KeyedRows.BoundKind) -> KeyBounds? {
    var all: KeyBounds?
    for table in staged {
      guard let bounds = table.merge?.bounds else { return nil }
      all?.widen(by: bounds, kind)
      all = all ?? bounds
    }
    return all
  }

  // MARK: rows

  /// The MERGE itself.
  var text: String {
    let on = rule.keys.map { "t.\($0.quoted) = s.\($0.quoted)" } + [within].compactMap(\.self)
    let all = columns.map(\.name.quoted)
    return "MERGE INTO \(table.sql) AS t USING (\(source)) AS s ON \(on.joined(separator: " AND ")) "
      + (matched + notMatched(all)).joined(separator: " ")
  }

  /// The last row of each key: an epoch's files may hold several.
  private var source: String {
    let keys = rule.keys.map(\.quoted).joined(separator: ", ")
    return "SELECT \(columns.map(\.name.quoted).joined(separator: ", ")) FROM \(rule.landing.sql) "
      + "QUALIFY ROW_NUMBER() OVER (PARTITION BY \(keys) ORDER BY \"_SEQ\" DESC) = 1"
  }

  /// Literal bounds let Snowflake leave out what can't hold the keys.
  private var within: String? {
    guard let bounds, let key = rule.keys.first else { return nil }
    func written(_ bound: String) -> String { boundKind == .integer ? bound : literal(bound) }
    return "t.\(key.quoted) BETWEEN \(written(bounds.least)) AND \(written(bounds.greatest))"
  }

  private static let isNewer = "(t.\"_SEQ\" IS NULL OR s.\"_SEQ\" > t.\"_SEQ\")"
  /// Plain records have no order of their own beyond this pipeline's epochs, which commit in order: what is loaded later
  /// counts, also after another pipeline, or this one after `state reset`, has loaded the key.
  private var update: String { rule.deletes == nil ? "WHEN MATCHED" : "WHEN MATCHED AND \(Self.isNewer)" }
  private var keepsDeleted: Bool { rule.deletes == .soft || merge.keepsTombstones }

  private var matched: [String] {
    var clauses: [String] = []
    if rule.deletes != nil, keepsDeleted {
      // The last state stays readable; only what the deletion says is taken over.
      let marks = columns.filter { [.operation, .sequence, .eventTime, .isDeleted].contains($0.origin) }
      clauses.append("WHEN MATCHED AND \(Self.isNewer) AND s.\"_DELETED\" THEN UPDATE SET \(set(marks))")
    } else if rule.deletes != nil {
      clauses.append("WHEN MATCHED AND \(Self.isNewer) AND s.\"_DELETED\" THEN DELETE")
    }
    return clauses + [
      "\(update) THEN UPDATE SET \(set(columns.filter { !rule.keys.contains($0.name) }))"
    ]
  }

  /// A key that was made and deleted within the epoch is there as deleted, so that nothing older brings it back.
  private func notMatched(_ all: [String]) -> [String] {
    let condition = rule.deletes == nil || keepsDeleted ? "" : " AND NOT s.\"_DELETED\""
    return [
      "WHEN NOT MATCHED\(condition) THEN INSERT (\(all.joined(separator: ", "))) VALUES "
        + "(\(all.map { "s.\($0)" }.joined(separator: ", ")))"
    ]
  }

  private func set(_ columns: [LoadColumn]) -> String {
    columns.map { "\($0.name.quoted) = s.\($0.name.quoted)" }.joined(separator: ", ")
  }

  /// Empties the landing table; as many rows must go as came.
  var clear: String { "DELETE FROM \(rule.landing.sql)" }

  // MARK: what is gone

  /// After the MERGE: rows of dropped collections, rows that a new copy did not find, tombstones that are not needed.
  var sweeps: [String] {
    merge.sweeps.map(sweep) + (merge.purges ? ["DELETE FROM \(table.sql) WHERE \"_DELETED\""] : [])
  }

  private func sweep(_ sweep: Sweep) -> String {
    var condition = "\"_SEQ\" < \(literal(sweep.before))"
    if let namespace = sweep.namespace { condition += " AND \"_NAMESPACE\" = \(literal(namespace))" }
    guard keepsDeleted else { return "DELETE FROM \(table.sql) WHERE \(condition)" }
    return "UPDATE \(table.sql) SET \"_DELETED\" = TRUE, \"_OP\" = \(literal(sweep.operation)), \"_SEQ\" = "
      + "\(literal(sweep.before)) WHERE \(condition) AND NOT COALESCE(\"_DELETED\", FALSE)"
  }
}
