internal import NebulaCore

extension NebulaError.Code {
  static let loginFailed: Self = "snowflake.login_failed"
  static let badKey: Self = "snowflake.bad_key"
  static let passcodeSpent: Self = "snowflake.passcode_spent"
  static let noConnection: Self = "snowflake.no_connection"
  static let badConnectionsFile: Self = "snowflake.bad_connections_file"
  static let notPermitted: Self = "snowflake.not_permitted"
  static let objectMissing: Self = "snowflake.object_missing"
  static let noWarehouse: Self = "snowflake.no_warehouse"
  static let quotaExceeded: Self = "snowflake.quota_exceeded"
  static let statementTimeout: Self = "snowflake.statement_timeout"
  static let stageDenied: Self = "snowflake.stage_denied"
  static let stageFull: Self = "snowflake.stage_full"
  static let unavailable: Self = "snowflake.unavailable"
  static let sessionLost: Self = "snowflake.session_lost"
  static let statementFailed: Self = "snowflake.statement_failed"
  static let badAnswer: Self = "snowflake.bad_answer"
  static let arrowResult: Self = "snowflake.arrow_result"
  static let lockTimeout: Self = "snowflake.lock_timeout"
  static let copyRejected: Self = "snowflake.copy_rejected"
  static let rowLeftOut: Self = "snowflake.row_left_out"
  static let tooManyLeftOut: Self = "snowflake.too_many_left_out"
  static let copyIncomplete: Self = "snowflake.copy_incomplete"
  static let commitUnconfirmed: Self = "snowflake.commit_unconfirmed"
  static let chainBroken: Self = "snowflake.chain_broken"
  static let stageFailed: Self = "snowflake.stage_failed"
  static let stagedNameTaken: Self = "snowflake.staged_name_taken"
  static let tablesCollide: Self = "snowflake.tables_collide"
  static let columnsCollide: Self = "snowflake.columns_collide"
  static let unknownColumn: Self = "snowflake.unknown_column"
  static let tableMismatch: Self = "snowflake.table_mismatch"
  static let rowTooLarge: Self = "snowflake.row_too_large"
  static let unreadableRecord: Self = "snowflake.unreadable_record"
  static let spoolFailed: Self = "snowflake.spool_failed"
  static let renameNotMerged: Self = "snowflake.rename_not_merged"
  static let dropNotMerged: Self = "snowflake.drop_not_merged"
  static let badManifest: Self = "snowflake.bad_manifest"
  static let formatMismatch: Self = "snowflake.format_mismatch"
  /// The runtime's, raised here as well: the state belongs to a newer writer.
  static let fenced: Self = "state.fenced"
  /// The runtime's, raised here as well: the destination has seen a later writer than the state knows of.
  static let behindDestination: Self = "state.behind_destination"
}

/// The errors that only this connector gives, for the docs.
let snowflakeErrors: [ErrorSpecification] = [
  .init(.loginFailed, "Snowflake refused the login.", remedy: "Check account, user and the password, key or token."),
  .init(
    .badKey, "The private key can't be read.", remedy: "Write it as PKCS#8 PEM, with its passphrase if it is encrypted."
  ),
  .init(
    .passcodeSpent, "A passcode is good for one login, and another is needed.",
    remedy: "Allow MFA token caching, set connection_pool_size to 1, or log in with a key pair."),
  .init(
    .noConnection, "There is no connection of that name.", remedy: "See the message for those that there are."),
  .init(
    .badConnectionsFile, "The file of the connections can't be used.", remedy: "Mend what the message names."),
  .init(.notPermitted, "The role lacks a right.", remedy: "Run the GRANT in the message."),
  .init(
    .objectMissing, "An object does not exist, or the role may not see it.",
    remedy: "Create it, or grant the right in the message."),
  .init(
    .noWarehouse, "The session has no warehouse that runs.",
    remedy: "Set warehouse, grant USAGE on it, and let it resume by itself (AUTO_RESUME) or resume it."),
  .init(
    .quotaExceeded, "A resource monitor has suspended the warehouse.",
    remedy: "Raise the monitor's quota, wait for its next period, or set another warehouse; nothing is lost."),
  .init(
    .statementTimeout, "A statement took longer than the warehouse or the user allows.",
    remedy: "Raise STATEMENT_TIMEOUT_IN_SECONDS, take a larger warehouse, or lower files_per_copy."),
  .init(
    .stageDenied, "The store of the stage does not let a file in.",
    remedy: "Look at network policies, endpoints, and the rights of the stage's credentials."),
  .init(.stageFull, "There is no room left where the stage lies.", remedy: "Make room; nothing is lost."),
  .init(
    .unavailable, "Snowflake answers with errors of its own.",
    remedy: "It is tried again; look at status.snowflake.com if it stays."),
  .init(.sessionLost, "A session ended.", remedy: "A new one is made; what it had not committed is found out first."),
  .init(.statementFailed, "Snowflake refused a statement.", remedy: "See the message and the query's history."),
  .init(.badAnswer, "An answer is not what the protocol allows.", remedy: "Check host; else report the defect."),
  .init(
    .arrowResult, "A result came in Arrow format, which is not read here.",
    remedy: "Set the user's or account's *_QUERY_RESULT_FORMAT parameters to JSON."),
  .init(
    .lockTimeout, "Another transaction holds the lock of this pipeline's fence.",
    remedy: "End the transaction in the message, or wait."),
  .init(
    .copyRejected, "The load found a row that it can't take; nothing was loaded.",
    remedy: "Widen the column, or correct the row and remove its files, as the message says; then run again."),
  .init(
    .rowLeftOut, "The load left a row out, as copy_options.ON_ERROR says; it is in the dead letters.",
    remedy: "Correct the record at its origin, or widen the column; then load it again."),
  .init(
    .tooManyLeftOut, "The load would leave out more rows than can be kept; nothing was loaded.",
    remedy: "Correct the table or the source, then run again."),
  .init(
    .copyIncomplete, "The load did not take each file whole; nothing was loaded.",
    remedy: "See the message; the files are still in the stage."),
  .init(
    .commitUnconfirmed, "COMMIT was answered, but the ledger lacks the epoch.",
    remedy: "It is found out under the fence's lock."),
  .init(
    .chainBroken, "The ledger has a later epoch than one that is not committed.",
    remedy: "Do not delete from NEBULA_LEDGER; report the defect otherwise."),
  .init(.stageFailed, "A file could not be put into the stage.", remedy: "See the message; it is tried again."),
  .init(
    .stagedNameTaken, "A file of this name and other content lies in the stage.",
    remedy: "Find out who wrote it; use another stage_prefix."),
  .init(.tablesCollide, "Two namespaces become one table.", remedy: "Choose a template that keeps them apart."),
  .init(
    .columnsCollide, "Two columns become one name when folded to capitals.", remedy: "Rename one of them at the source."
  ),
  .init(
    .dropNotMerged, "A collection was dropped while everything is copied into merged tables.",
    remedy: "Copy everything again (`nebula-swift state reset`)."),
  .init(
    .renameNotMerged, "A collection was renamed, which a merged table can't follow.",
    remedy: "Copy everything again (`nebula-swift state reset`), or use write_mode append."),
  .init(
    .unknownColumn, "A record has a field for which the table has no column.",
    remedy: "Run the ALTER TABLE in the message, then run again."),
  .init(.tableMismatch, "The table lacks a column that is loaded.", remedy: "Add the column, or choose another table."),
  .init(
    .rowTooLarge, "A row is larger than max_row_bytes.",
    remedy: "Raise max_row_bytes if the account allows it; the record is in the dead letters."),
  .init(
    .unreadableRecord, "A record's bytes are not what they should be, or its column can't take a value.",
    remedy: "Correct it at its origin; it is in the dead letters."),
  .init(
    .spoolFailed, "A staged file can't be kept on disk before its upload.",
    remedy: "Make room in the spool folder, then run again."),
  .init(.badManifest, "A stored manifest can't be read.", remedy: "Use the version of the program that wrote it."),
  .init(.formatMismatch, "The records do not fit the file format.", remedy: "Leave file_format out."),
]

/// What Snowflake itself says about an error: its number, SQLSTATE, query and words.
struct ServerError: Sendable, Hashable {
  var number: String
  var sqlState: String?
  var queryID: String?
  var message: String

  /// For `NebulaError.native`.
  var native: String {
    [("code", number), ("SQLSTATE", sqlState ?? ""), ("query", queryID ?? "")]
      .filter { !$0.1.isEmpty }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
  }

  /// The error for the user; `statement` says in words what was tried, `grant` what would permit it.
  func error(trying statement: String, grant: String? = nil) -> NebulaError {
    let said = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    let permit = grant.map { " Run: \($0);" } ?? ""
    func make(
      _ code: NebulaError.Code, _ remedy: String, _ disposition: NebulaError.Disposition = .stop,
      _ exit: NebulaError.Exit = .runtime
    ) -> NebulaError {
      NebulaError(
        code, "\(statement) failed: \(said)", remedy: remedy, native: native, disposition: disposition, exit: exit)
    }
    switch number {
    case "003001":
      return make(.notPermitted, "The role lacks a right.\(permit)", .stop, .environment)
    case "002003", "002043", "001044":
      return make(.objectMissing, "Create it, or grant the role the right to see it.\(permit)", .stop, .environment)
    case "090073":
      return make(.quotaExceeded, Self.quotaRemedy, .stop, .environment)
    case "000606", "000607", "000608":
      if said.lowercased().contains("resource monitor") {
        return make(.quotaExceeded, Self.quotaRemedy, .stop, .environment)
      }
      return make(
        .noWarehouse,
        "Set warehouse to one that the role may use (GRANT USAGE, OPERATE ON WAREHOUSE <warehouse> TO ROLE <role>;) and "
          + "that resumes by itself: ALTER WAREHOUSE <warehouse> SET AUTO_RESUME = TRUE; or resume it now: ALTER WAREHOUSE "
          + "<warehouse> RESUME; Nothing is lost.", .stop, .environment)
    case "000625", "000621", "000637":
      return make(.lockTimeout, Self.lockRemedy, .retry(after: nil))
    case "000664", "000665":
      // Somebody ended our transaction: a newer writer at its start, or the server. The ledger tells the two apart.
      return make(.sessionLost, "What became of the epoch is found out first.", .reconnect)
    case "000630":
      return make(
        .statementTimeout,
        "It is tried again. If it stays so: raise STATEMENT_TIMEOUT_IN_SECONDS of the user or the warehouse, take a "
          + "larger warehouse, or lower files_per_copy.", .retry(after: nil))
    case "000604", "000605":
      return make(.statementFailed, "Somebody cancelled the statement; it is tried again.", .retry(after: nil))
    case "000709":
      // The server forgot a statement that it had taken.
      return make(.statementFailed, "What became of it is found out first.", .reconnect)
    default:
      // An error inside Snowflake, or a conflict that ended the transaction: the same may succeed later.
      if sqlState?.hasPrefix("XX") == true || sqlState?.hasPrefix("40") == true {
        return make(.statementFailed, "It is tried again; see the query's history.", .retry(after: nil))
      }
      if said.contains("lock") && (said.contains("timeout") || said.contains("waiting")) {
        return make(.lockTimeout, Self.lockRemedy, .retry(after: nil))
      }
      if number.hasPrefix("390") { return make(.sessionLost, "A new session is made.", .reconnect, .environment) }
      return make(.statementFailed, "Look the query up in Snowflake's history.")
    }
  }

  private static let lockRemedy =
    "SHOW LOCKS IN ACCOUNT names the transaction that holds the lock, SELECT SYSTEM$ABORT_TRANSACTION(id) ends it; a "
    + "higher lock_timeout waits longer."
  private static let quotaRemedy =
    "Raise the quota (ALTER RESOURCE MONITOR <monitor> SET CREDIT_QUOTA = …), wait for the monitor's next period, or set "
    + "another warehouse. Nothing is lost."
}
