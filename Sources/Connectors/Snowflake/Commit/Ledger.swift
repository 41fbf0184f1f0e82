internal import NebulaCore

/// The insert-only table of committed epochs, shared by all pipelines of a control schema. All texts, no effects.
struct Ledger: Sendable, Hashable {
  let table: TableName

  init(database: Identifier, schema: Identifier) {
    table = TableName(database: database, schema: schema, name: Identifier(exactly: "NEBULA_LEDGER"))
  }

  var create: String {
    "CREATE TABLE IF NOT EXISTS \(table.sql) (\"PIPELINE\" VARCHAR, \"EPOCH\" VARCHAR, "
      + "\"EPOCH_GENERATION\" NUMBER(20,0), \"EPOCH_SEQUENCE\" NUMBER(20,0), \"ROWS_LOADED\" NUMBER(20,0), "
      + "\"FILES\" NUMBER(20,0), \"BYTES\" NUMBER(20,0), \"RECEIPT\" VARCHAR, \"COMMITTED_AT\" TIMESTAMP_NTZ)"
  }

  /// Looks whether the table is there and may be read.
  var probe: String { "SELECT \"EPOCH\" FROM \(table.sql) LIMIT 0" }

  /// This epoch's row, or the first of a later one: epochs are committed in order.
  func read(_ epoch: EpochID, of pipeline: String) -> String {
    "SELECT \"EPOCH\", \"RECEIPT\" FROM \(table.sql) WHERE \"PIPELINE\" = \(literal(pipeline)) AND "
      + "(\"EPOCH_GENERATION\" > \(epoch.generation) OR (\"EPOCH_GENERATION\" = \(epoch.generation) AND "
      + "\"EPOCH_SEQUENCE\" >= \(epoch.sequence))) ORDER BY \"EPOCH_GENERATION\", \"EPOCH_SEQUENCE\" LIMIT 1"
  }

  /// Adds the epoch's row, but only while the fence still says what this same transaction wrote there: had the server
  /// ended the transaction behind our back, no row is added, and the COPY statements are undone with it.
  func insert(_ receipt: CommitReceipt, text: String, fence: Fence, generation: UInt64) -> String {
    let epoch = receipt.id
    let values = [
      literal(fence.pipeline), literal(epoch.description), "\(epoch.generation)", "\(epoch.sequence)",
      "\(receipt.rows)", "\(receipt.files)", "\(receipt.bytes)", literal(text), "CURRENT_TIMESTAMP()",
    ]
    return "INSERT INTO \(table.sql) (\"PIPELINE\", \"EPOCH\", \"EPOCH_GENERATION\", \"EPOCH_SEQUENCE\", "
      + "\"ROWS_LOADED\", \"FILES\", \"BYTES\", \"RECEIPT\", \"COMMITTED_AT\") SELECT \(values.joined(separator: ", ")) "
      + "FROM \(fence.table.sql) WHERE \"PIPELINE\" = \(literal(fence.pipeline)) AND \"GENERATION\" = \(generation) "
      + "AND \"WRITER\" = \(literal(fence.writer)) AND \"LAST_EPOCH\" = \(literal(epoch.description))"
  }

  /// What the row that `read` found says of the epoch.
  func answer(_ result: QueryResult, about epoch: EpochID) throws(NebulaError) -> String? {
    guard let found = result[0, "EPOCH"] else { return nil }
    guard found == epoch.description else {
      throw NebulaError(
        .chainBroken,
        "The ledger \(table.sql) has epoch \(found), but not the earlier epoch \(epoch), which has an intent.",
        remedy: "Rows of the ledger must not be deleted or copied between pipelines. Nothing was changed; report it "
          + "with both ids.", at: .init(path: table.sql))
    }
    return result[0, "RECEIPT"] ?? ""
  }
}
