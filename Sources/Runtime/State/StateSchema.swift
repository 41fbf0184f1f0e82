internal import FoundationEssentials
internal import Glibc
public import NebulaCore

/// The layout of a state file. Layouts are numbered by `user_version`; a migration leads from each to the next.
enum StateSchema {
  /// "NEBU": tells our files from other SQLite databases.
  static let applicationID: Int64 = 0x4E45_4255
  static let version: Int64 = 1

  /// `migrations[n]` leads from version n to n + 1.
  private static let migrations = [
    """
    CREATE TABLE pipelines (
      name TEXT PRIMARY KEY,
      identity TEXT,                 -- JSON of PipelineIdentity; NULL after a reset
      generation INTEGER NOT NULL,   -- of the newest lease
      highest_generation INTEGER NOT NULL DEFAULT 0,  -- the highest epoch id ever stored
      highest_sequence INTEGER NOT NULL DEFAULT 0,
      holder TEXT,                   -- JSON of LeaseHolder; NULL when nobody holds the lease
      acquired_at INTEGER,           -- milliseconds since 1970
      expires_at INTEGER,
      checkpoint TEXT,               -- the last receipt with its position
      pin TEXT
    ) STRICT;
    CREATE TABLE intents (
      pipeline TEXT NOT NULL, generation INTEGER NOT NULL, sequence INTEGER NOT NULL, body TEXT NOT NULL,
      PRIMARY KEY (pipeline, generation, sequence)
    ) STRICT;
    CREATE TABLE history (
      id INTEGER PRIMARY KEY AUTOINCREMENT, pipeline TEXT NOT NULL, at INTEGER NOT NULL, lease INTEGER NOT NULL,
      kind TEXT NOT NULL, generation INTEGER NOT NULL, sequence INTEGER NOT NULL, body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX history_of ON history (pipeline, generation, sequence);
    CREATE TRIGGER history_stays BEFORE UPDATE ON history BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
    CREATE TRIGGER history_remains BEFORE DELETE ON history BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
    PRAGMA application_id = 0x4E454255;
    """
  ]

  /// Opens the state file at `path`, makes it when there is none, and brings its layout up to date.
  static func open(_ path: String) throws(NebulaError) -> SQLite {
    try create(path)
    let database = try SQLite(path)
    _ = try check(database)
    try useWriteAheadLog(database)
    try database.run("PRAGMA synchronous = FULL")
    try database.transaction { () throws(NebulaError) in
      for step in Int(try layout(database))..<migrations.count {
        try database.run(migrations[step] + "PRAGMA user_version = \(step + 1);")
      }
    }
    return database
  }

  /// Opens the state file only to read it; nil when there is none or it is still empty.
  static func read(_ path: String) throws(NebulaError) -> SQLite? {
    guard access(path, F_OK) == 0 else { return nil }
    let database = try SQLite(path, readOnly: true)
    return try check(database) == 0 ? nil : database
  }

  /// Two processes that open a new file at once get in each other's way here, and SQLite does not wait by itself.
  private static func useWriteAheadLog(_ database: SQLite) throws(NebulaError) {
    for attempt in 0... {
      do throws(NebulaError) { return try database.run("PRAGMA journal_mode = WAL") } catch {
        guard error.code == .stateBusy, attempt < 250 else { throw error }
        usleep(20_000)
      }
    }
  }

  /// The layout's version, seen in one view of the file: someone else may be making it at this moment.
  private static func check(_ database: SQLite) throws(NebulaError) -> Int64 {
    try database.run("BEGIN")
    let found = try layout(database)
    try database.run("COMMIT")
    return found
  }

  /// The layout's version; throws for a newer one, for a damaged file and for someone else's database.
  private static func layout(_ database: SQLite) throws(NebulaError) -> Int64 {
    let tables = try database.number("SELECT count(*) FROM sqlite_master") ?? 0
    let found = try database.number("PRAGMA user_version") ?? 0
    let owner = try database.number("PRAGMA application_id") ?? 0
    let place = NebulaError.Place(path: database.path)
    guard owner == applicationID || (owner == 0 && found == 0 && tables == 0) else {
      throw NebulaError(
        .stateForeign, "The file is an SQLite database, but not a state file of nebula-swift.",
        remedy: "Choose another place with --state.", at: place, exit: .configuration)
    }
    guard found <= version else {
      throw NebulaError(
        .stateNewer, "The state file has layout \(found); this program knows up to \(version).",
        remedy: "Use the version of nebula-swift that wrote it, or a newer one.", at: place, exit: .environment)
    }
    return found
  }

  /// Makes the folder (0700) and an empty file (0600) before SQLite sees them: its side files take the file's mode.
  private static func create(_ path: String) throws(NebulaError) {
    let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    try makePrivateFolder(folder)
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw SQLite.unwritable(path, errno) }
    defer { close(descriptor) }
    var status = stat()
    if fstat(descriptor, &status) == 0, status.st_mode & 0o077 != 0 { fchmod(descriptor, 0o600) }
    guard status.st_size == 0 else { return }
    let parent = Glibc.open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard parent >= 0 else { return }
    fsync(parent)
    close(parent)
  }
}

extension SQLite {
  static func unwritable(_ path: String, _ code: Int32) -> NebulaError {
    NebulaError(
      .stateUnwritable, "\(path) can't be made or opened for writing: \(String(cString: strerror(code))).",
      remedy: "Give this user the right to write there, or choose another place with --state.",
      at: .init(path: path), native: "errno \(code)", exit: .environment)
  }
}

/// Makes `folder` and what is missing above it, mode 0700; what exists stays as it is.
public func makePrivateFolder(_ folder: String) throws(NebulaError) {
  guard !folder.isEmpty, access(folder, F_OK) != 0 else { return }
  if let end = folder.lastIndex(of: "/") { try makePrivateFolder(String(folder[..<end])) }
  guard mkdir(folder, 0o700) == 0 || errno == EEXIST else { throw SQLite.unwritable(folder, errno) }
  // Else the folder, and what will be durable in it, may be gone after a power failure.
  let parent = folder.lastIndex(of: "/").map { $0 == folder.startIndex ? "/" : String(folder[..<$0]) } ?? "."
  let descriptor = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  guard descriptor >= 0 else { throw SQLite.unwritable(parent, errno) }
  defer { close(descriptor) }
  guard fsync(descriptor) == 0 else { throw SQLite.unwritable(parent, errno) }
}

/// What is stored of a value: its JSON under the number of its format, so that a later version can read an old one.
struct Stored<Value: Codable>: Codable {
  var format = 1
  var value: Value

  static func encode(_ value: Value) throws(NebulaError) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    do { return String(decoding: try encoder.encode(Stored(value: value)), as: UTF8.self) } catch {
      throw NebulaError(.stateCorrupt, "A state can't be encoded: \(error).", remedy: "Report this defect.")
    }
  }

  static func decode(_ text: String, from path: String) throws(NebulaError) -> Value {
    do {
      let stored = try JSONDecoder().decode(Stored.self, from: Data(text.utf8))
      guard stored.format == 1 else {
        throw DecodingError.valueNotFound(
          Value.self, .init(codingPath: [], debugDescription: "format \(stored.format)"))
      }
      return stored.value
    } catch {
      throw NebulaError(
        .stateCorrupt, "An entry of the state file can't be read: \(error).",
        remedy: "Restore the file from a backup, or use the version of nebula-swift that wrote it.",
        at: .init(path: path))
    }
  }
}
