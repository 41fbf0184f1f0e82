internal import NebulaCore

/// One file in the stage.
struct StagedFile: Sendable, Hashable {
  /// Its name, without folder.
  var name: String
  /// Rows in it.
  var rows: UInt64
  /// Bytes as they lie in the stage: compressed, then encrypted where the stage asks for it.
  var bytes: UInt64
  /// SHA-256 of the compressed bytes before encryption, in hex.
  var sha256: String
  /// Rows of it that the load is known to leave out; they are in the dead letters. All of them: the file is not loaded.
  var rejected: UInt64 = 0
  /// Rows that the load has to take.
  var loaded: UInt64 { rows - rejected }
  var isLeftOut: Bool { rejected > 0 && loaded == 0 }
}

/// The files of one table, in one layout.
struct StagedTable: Sendable, Hashable {
  /// Where they are loaded.
  var table: TableName
  /// What they hold.
  var layout: TableLayout
  /// How they are compressed.
  var compression: Compression
  /// Their folder in the stage, without slashes around it.
  var folder: String
  /// By name, which is the order of their rows.
  var files: [StagedFile]
  /// CSV: between fields.
  var delimiter = ","
  /// How the rows come to the table; nil where they are appended.
  var merge: StagedMerge?

  /// Those that are loaded.
  var loadedFiles: [StagedFile] { files.filter { !$0.isLeftOut } }
  /// Rows that are loaded from all of them.
  var rows: UInt64 { files.reduce(0) { $0 + $1.loaded } }
  /// Where COPY puts them.
  var copyTarget: TableName {
    guard let merge, !merge.isDirect, let rule = layout.merge else { return table }
    return rule.landing
  }
}

/// What is particular to one epoch's merge into one table.
struct StagedMerge: Sendable, Hashable {
  /// No row of the epoch has a key that is in the table: COPY puts them there without a MERGE.
  var isDirect = false
  /// Deleted keys stay as rows with `_DELETED`, whatever the table's rule says: a copy is being made, and a copied row
  /// of a deleted key may still come.
  var keepsTombstones = false
  /// The smallest and the largest key, so that MERGE need not look at all of the table; nil when they are not known.
  var bounds: KeyBounds?
  /// Namespaces whose rows older than a place in the order are gone at the source.
  var sweeps: [Sweep] = []
  /// Tombstones are removed: the copy that needed them has ended.
  var purges = false
}

/// The smallest and the largest key, as the first key column holds them.
struct KeyBounds: Sendable, Hashable {
  var least: String
  var greatest: String

  /// Longer keys give no bounds: a statement is no place for them.
  static let longest = 512

  mutating func widen(by other: KeyBounds, _ kind: KeyedRows.BoundKind) {
    if Self.isBefore(other.least, least, kind) { least = other.least }
    if Self.isBefore(greatest, other.greatest, kind) { greatest = other.greatest }
  }
  /// Snowflake compares texts by code points, which is the order of their UTF-8.
  private static func isBefore(_ a: String, _ b: String, _ kind: KeyedRows.BoundKind) -> Bool {
    if kind == .integer, let a = Int64(a), let b = Int64(b) { return a < b }
    return a.utf8.lexicographicallyPrecedes(b.utf8)
  }
}

/// Rows of a namespace that are older than a place in the order do not exist any more: the collection was dropped, or a
/// new copy did not find them.
struct Sweep: Sendable, Hashable {
  /// Nil: all rows of the table.
  var namespace: String?
  /// As `_SEQ` has it.
  var before: String
  /// What `_OP` says of such rows.
  var operation: String
}

/// All that a commit needs after any crash: what `PreparedEpoch.manifest` holds.
struct Manifest: Sendable, Hashable {
  /// The layout that this version writes; 1 knew no merges, and no rows that are left out.
  static let version = 2
  var stage: TableName
  var tables: [StagedTable]
  var rows: UInt64 { tables.reduce(0) { $0 + $1.rows } }
  var bytes: UInt64 { tables.reduce(0) { $0 + $1.loadedFiles.reduce(0) { $0 + $1.bytes } } }
  var files: UInt64 { UInt64(tables.reduce(0) { $0 + $1.loadedFiles.count }) }
  /// Rows that the load is known to leave out.
  var rejected: UInt64 { tables.reduce(0) { $0 + $1.files.reduce(0) { $0 + $1.rejected } } }
}
