internal import NebulaCore

/// A temporary table like the one that is loaded: the same files are loaded there once more, with the number of each row,
/// so that the rows which are missing afterwards are known exactly, whatever the layout and its transformation are.
///
/// VALIDATE would say it for loads without a transformation only. All texts, no effects; the table ends with its session.
struct RejectScratch: Sendable, Hashable {
  let table: TableName
  private let like: TableName
  /// Takes each row's number in its file.
  static let number = Identifier(exactly: "NEBULA_FILE_ROW")

  init(like: TableName, epoch: EpochID) {
    self.like = like
    table = TableName(
      database: like.database, schema: like.schema,
      name: Identifier(exactly: "NEBULA_REJECTS_\(epoch.generation)_\(epoch.sequence)"))
  }

  var create: String { "CREATE TEMPORARY TABLE \(table.sql) LIKE \(like.sql)" }
  var number: String { "ALTER TABLE \(table.sql) ADD COLUMN \(Self.number.quoted) NUMBER(38,0)" }
  var drop: String { "DROP TABLE \(table.sql)" }
  var empty: String { "DELETE FROM \(table.sql)" }

  /// Loads files of the staged table with their rows' numbers.
  func load(_ staged: StagedTable, _ files: [StagedFile], stage: TableName, options: CopyOptions) -> CopyStatement {
    var staged = staged
    staged.table = table
    staged.merge = nil
    return CopyStatement(staged, files: files, stage: stage, options: options, number: Self.number)
  }

  /// Where numbers are missing from 1 to `rows`: each line tells the numbers around a gap.
  func gaps(rows: UInt64) -> String {
    "SELECT \"BEFORE\", \"BEHIND\" FROM (SELECT COALESCE(LAG(\"N\") OVER (ORDER BY \"N\"), 0) AS \"BEFORE\", \"N\" AS \"BEHIND\" "
      + "FROM (SELECT \(Self.number.quoted) AS \"N\" FROM \(table.sql) UNION ALL SELECT \(rows + 1) AS \"N\")) "
      + "WHERE \"BEHIND\" - \"BEFORE\" > 1 ORDER BY \"BEFORE\""
  }

  /// The missing numbers; nil when they are not `count` numbers from 1 to `rows`.
  static func missing(_ result: QueryResult, rows: UInt64, count: UInt64) -> [UInt64]? {
    var numbers: [UInt64] = []
    for row in result.rows.indices {
      guard let before = result[row, "before"].flatMap({ UInt64($0) }),
        let behind = result[row, "behind"].flatMap({ UInt64($0) }), before < behind, behind <= rows + 1,
        UInt64(numbers.count) + (behind - before - 1) <= count
      else { return nil }
      numbers += (before + 1)..<behind
    }
    return UInt64(numbers.count) == count ? numbers : nil
  }
}
