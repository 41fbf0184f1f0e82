internal import NebulaCore
internal import NebulaHTTP

/// The one-row table that lets one writer of a pipeline commit at a time, and none of an older generation.
///
/// One table a pipeline, since Snowflake may lock more than the row. All texts, no effects.
struct Fence: Sendable, Hashable {
  let table: TableName
  let pipeline: String
  /// Whose a transaction is: of this pipeline with this fence. A pipeline of the same name in another database or schema
  /// has transactions that the same user sees, and that are none of ours.
  private let owner: String
  /// This process: two of one generation (a restored state file) are told apart by it.
  let writer: String

  init(pipeline: String, writer: String, database: Identifier, schema: Identifier) {
    self.pipeline = pipeline
    self.writer = writer
    table = TableName(
      database: database, schema: schema, name: Identifier(exactly: "NEBULA_FENCE_\(Self.hash(pipeline))"))
    owner = Self.hash("\(table.sql) \(pipeline)")
  }

  /// 16 hex digits of the SHA-256 of a text.
  private static func hash(_ text: String) -> String { Crypto.hex(Crypto.sha256(text)).prefix(16).uppercased() }

  var create: String {
    "CREATE TABLE IF NOT EXISTS \(table.sql) (\"PIPELINE\" VARCHAR, \"GENERATION\" NUMBER(20,0), "
      + "\"LAST_EPOCH\" VARCHAR, \"WRITER\" VARCHAR)"
  }

  /// Adds the row if it is missing; MERGE takes the lock, so two processes can't both add it.
  var seed: String {
    "MERGE INTO \(table.sql) AS f USING (SELECT \(literal(pipeline)) AS \"PIPELINE\") AS p "
      + "ON f.\"PIPELINE\" = p.\"PIPELINE\" WHEN NOT MATCHED THEN INSERT "
      + "(\"PIPELINE\", \"GENERATION\", \"LAST_EPOCH\", \"WRITER\") VALUES (p.\"PIPELINE\", 0, '', '')"
  }

  var read: String { "SELECT \"GENERATION\", \"LAST_EPOCH\", \"WRITER\" FROM \(table.sql) WHERE \(mine)" }

  /// Looks whether the table is there and may be read, without reading it.
  var probe: String { "SELECT \"GENERATION\" FROM \(table.sql) LIMIT 0" }

  private var mine: String { "\"PIPELINE\" = \(literal(pipeline))" }

  private func held(_ generation: UInt64) -> String {
    "\(mine) AND \"GENERATION\" = \(generation) AND \"WRITER\" = \(literal(writer))"
  }

  /// Takes the fence over for a lease; changes one row, or none when a later or another writer holds it, or an epoch was
  /// committed that the state of this one does not know: generations alone don't tell, since every start is a new one.
  func raise(to generation: UInt64, known: EpochID?) -> String {
    let isKnown = known.map { " AND \"LAST_EPOCH\" <= \(literal($0.description))" } ?? ""
    return "UPDATE \(table.sql) SET \"GENERATION\" = \(generation), \"WRITER\" = \(literal(writer)) WHERE \(mine) AND "
      + "((\"GENERATION\" < \(generation)\(isKnown)) OR (\"GENERATION\" = \(generation) AND "
      + "\"WRITER\" = \(literal(writer))))"
  }

  /// Takes the row's lock and changes nothing; changes no row when the fence is no longer ours.
  func lock(_ generation: UInt64) -> String {
    "UPDATE \(table.sql) SET \"GENERATION\" = \"GENERATION\" WHERE \(held(generation))"
  }

  /// Takes the row's lock for a commit.
  func advance(to epoch: EpochID, _ generation: UInt64) -> String {
    "UPDATE \(table.sql) SET \"LAST_EPOCH\" = \(literal(epoch.description)) WHERE \(held(generation))"
  }

  // MARK: transactions

  /// The name of a transaction: whose it is, under which lease, for what.
  func transaction(_ generation: UInt64, _ purpose: String) -> String {
    "NEBULA_\(owner)_\(generation)_\(purpose)"
  }
  func transaction(_ generation: UInt64, _ epoch: EpochID) -> String {
    transaction(generation, "\(epoch.generation)_\(epoch.sequence)")
  }
  /// True when a transaction belongs to this pipeline, and to a lease that `generation` supersedes or is.
  func mayEnd(transaction name: String, as generation: UInt64) -> Bool {
    let parts = name.uppercased().split(separator: "_")
    guard parts.count >= 3, parts[0] == "NEBULA", parts[1] == owner, let other = UInt64(parts[2]) else {
      return false
    }
    return other <= generation
  }

  // MARK: errors

  /// Somebody else holds the fence: what `open` says.
  func behind(generation: UInt64, known: EpochID?, found: QueryResult) -> NebulaError {
    let other = found[0, "GENERATION"] ?? "unknown"
    return NebulaError(
      .behindDestination,
      "The destination has seen writer generation \(other) of the pipeline '\(pipeline)' (last epoch "
        + "'\(found[0, "LAST_EPOCH"] ?? "")'); this state is at generation \(generation)"
        + "\(known.map { " and knows of no epoch after '\($0)'" } ?? ""). The state is older than the data, or another "
        + "process uses a copy of it.",
      remedy: "Stop the other process, or bring the newest state back. If it is lost: nebula-swift state reset.",
      at: .init(path: table.sql))
  }

  /// An UPDATE of the fence must have changed its one row.
  func checkOneRow(_ changed: UInt64?) throws(NebulaError) {
    guard changed != 1 else { return }
    throw NebulaError(
      .badAnswer,
      "The fence \(table.sql) has \(changed.map(String.init) ?? "an unknown number of") rows instead of one.",
      remedy: "Remove the rows that do not belong there.", at: .init(path: table.sql))
  }

  /// A newer writer has taken over while we ran.
  func fenced(generation: UInt64) -> NebulaError {
    NebulaError(
      .fenced, "Another writer has taken the pipeline '\(pipeline)' over from generation \(generation).",
      remedy: "Nothing: the other process goes on where this one stood.", at: .init(path: table.sql))
  }
}
