internal import CSQLite
internal import NebulaCore

/// One connection to an SQLite file; used by one thread at a time.
final class SQLite {
  private let handle: OpaquePointer
  let path: String

  /// Opens `path`. The file must exist already (its mode is its creator's business).
  init(_ path: String, readOnly: Bool = false) throws(NebulaError) {
    self.path = path
    var opened: OpaquePointer?
    let flags = (readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_FULLMUTEX
    let code = sqlite3_open_v2(path, &opened, flags, nil)
    guard code == SQLITE_OK, let opened else {
      let error = SQLite.error(code, opened.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory", path)
      sqlite3_close_v2(opened)
      throw error
    }
    handle = opened
    sqlite3_extended_result_codes(handle, 1)
    sqlite3_busy_timeout(handle, 5000)
  }
  deinit { sqlite3_close_v2(handle) }

  /// Runs `sql`, one or more statements without parameters.
  func run(_ sql: String) throws(NebulaError) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw failure(code) }
  }

  /// Runs one statement and hands each row to `row`. Returns how many rows it changed.
  @discardableResult
  func run(
    _ sql: String, _ values: [Value], row: (Row) throws(NebulaError) -> Void = { _ in }
  ) throws(NebulaError) -> Int {
    var prepared: OpaquePointer?
    let code = sqlite3_prepare_v2(handle, sql, -1, &prepared, nil)
    guard code == SQLITE_OK, let statement = prepared else { throw failure(code) }
    defer { sqlite3_finalize(statement) }
    for (index, value) in values.enumerated() {
      let code = value.bind(to: statement, Int32(index + 1))
      guard code == SQLITE_OK else { throw failure(code) }
    }
    while true {
      switch sqlite3_step(statement) {
      case SQLITE_ROW: try row(Row(statement: statement))
      case SQLITE_DONE: return Int(sqlite3_changes(handle))
      case let code: throw failure(code)
      }
    }
  }

  /// The first column of the first row.
  func number(_ sql: String) throws(NebulaError) -> Int64? {
    var found: Int64?
    try run(sql, []) { row throws(NebulaError) in found = found ?? row.number(0) }
    return found
  }

  /// Runs `body` in one transaction that holds the write lock from its start; all of it happens, or nothing.
  func transaction<R>(_ body: () throws(NebulaError) -> R) throws(NebulaError) -> R {
    try run("BEGIN IMMEDIATE")
    do throws(NebulaError) {
      let result = try body()
      try run("COMMIT")
      return result
    } catch {
      // SQLite has already rolled back by itself after some errors (a full disk, for one).
      if sqlite3_get_autocommit(handle) == 0 { sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }
      throw error
    }
  }

  private func failure(_ code: Int32) -> NebulaError {
    SQLite.error(code, String(cString: sqlite3_errmsg(handle)), path)
  }
}

extension SQLite {
  /// A value to bind.
  enum Value {
    case text(String)
    case number(Int64)
    case null

    static func text(_ text: String?) -> Value { text.map { .text($0) } ?? .null }

    fileprivate func bind(to statement: OpaquePointer, _ index: Int32) -> Int32 {
      switch self {
      case .text(let text):
        // SQLITE_TRANSIENT: SQLite copies the text, which lives only as long as this call.
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        var copy = text
        return copy.withUTF8 { utf8 in
          utf8.withMemoryRebound(to: CChar.self) {
            sqlite3_bind_text64(
              statement, index, $0.baseAddress, UInt64($0.count), transient, UInt8(SQLITE_UTF8))
          }
        }
      case .number(let number): return sqlite3_bind_int64(statement, index, number)
      case .null: return sqlite3_bind_null(statement, index)
      }
    }
  }

  /// The current row of a statement; only valid inside the call it is given to.
  struct Row {
    fileprivate let statement: OpaquePointer
    func text(_ column: Int32) -> String? {
      guard let bytes = sqlite3_column_text(statement, column) else { return nil }
      let count = Int(sqlite3_column_bytes(statement, column))
      return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }
    func number(_ column: Int32) -> Int64? {
      sqlite3_column_type(statement, column) == SQLITE_NULL ? nil : sqlite3_column_int64(statement, column)
    }
  }

  /// What an SQLite code means for the user.
  static func error(_ code: Int32, _ message: String, _ path: String) -> NebulaError {
    let place = NebulaError.Place(path: path)
    let native = "SQLite \(code): \(message)"
    switch code & 0xff {
    case SQLITE_FULL, SQLITE_IOERR:
      return NebulaError(
        .stateDisk, "The state file could not be written: \(message).",
        remedy: "Free space on its disk, or mend the disk. Nothing is lost: the write is tried again.", at: place,
        native: native, disposition: .retry(after: .seconds(1)), exit: .environment)
    case SQLITE_BUSY, SQLITE_LOCKED:
      return NebulaError(
        .stateBusy, "Another process is writing the state file and did not finish in 5 s.",
        remedy: "It is tried again. If it lasts, look who has the file open.", at: place, native: native,
        disposition: .retry(after: .seconds(1)))
    case SQLITE_CORRUPT, SQLITE_NOTADB:
      return NebulaError(
        .stateCorrupt, "The state file is damaged: \(message).",
        remedy: "Restore it from a backup, or move it away and start anew; the destination's own record then decides.",
        at: place, native: native)
    case SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_PERM, SQLITE_AUTH:
      return NebulaError(
        .stateUnwritable, "The state file can't be opened for writing: \(message).",
        remedy: "Give this user the right to write it, or choose another place with --state.", at: place,
        native: native, exit: .environment)
    default:
      return NebulaError(
        .stateCorrupt, "The state file could not be used: \(message).", remedy: "Report this defect.", at: place,
        native: native)
    }
  }
}
