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
}

/// The files of one table.
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
  /// Rows in all of them.
  var rows: UInt64 { files.reduce(0) { $0 + $1.rows } }
}

/// All that a commit needs after any crash: what `PreparedEpoch.manifest` holds.
struct Manifest: Sendable, Hashable {
  /// The layout that this version writes.
  static let version = 1
  var stage: TableName
  var tables: [StagedTable]
  var rows: UInt64 { tables.reduce(0) { $0 + $1.rows } }
  var bytes: UInt64 { tables.reduce(0) { $0 + $1.files.reduce(0) { $0 + $1.bytes } } }
  var files: UInt64 { UInt64(tables.reduce(0) { $0 + $1.files.count }) }
}
