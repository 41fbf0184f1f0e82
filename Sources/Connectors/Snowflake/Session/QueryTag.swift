internal import NebulaCore

/// The tag of a commit's statements: whose they are, for people, and for finding what a dead writer left running.
/// Nothing is ever concluded from it: what is committed, the ledger says.
struct QueryTag: Sendable, Hashable {
  let text: String

  init(pipeline: String, epoch: EpochID, transaction: String) {
    text = "nebula-swift:\(pipeline.prefix(200)):\(epoch) \(transaction)"
  }

  /// The transaction that a statement with this tag belongs to.
  static func transaction(in tag: String) -> String? {
    guard tag.hasPrefix("nebula-swift:"), let blank = tag.lastIndex(of: " ") else { return nil }
    return String(tag[tag.index(after: blank)...])
  }

  /// Statements of this user that run with such a tag.
  static func running(in database: Identifier) -> String {
    let states = QueryState.allCases.filter(\.isRunning).map { literal($0.rawValue) }.joined(separator: ", ")
    return "SELECT \"QUERY_ID\", \"QUERY_TAG\" FROM TABLE(\(database.quoted).INFORMATION_SCHEMA.QUERY_HISTORY_BY_USER("
      + "RESULT_LIMIT => 1000)) WHERE \"QUERY_TAG\" LIKE 'nebula-swift:%' AND \"EXECUTION_STATUS\" IN (\(states))"
  }
}
