internal import NebulaCore

/// What a load left out of one table.
struct TableLeftOut: Sendable, Hashable {
  let table: StagedTable
  let files: [LeftOut]
  var rows: UInt64 { files.reduce(0) { $0 + $1.rows } }
}

/// The epoch that takes an epoch's place when its load left rows out: the same files under the same id, with how many rows
/// of each are known to be bad. The next commit must find exactly that.
struct Replacement: Sendable {
  let leftOut: [TableLeftOut]
  var rows: UInt64 { leftOut.reduce(0) { $0 + $1.rows } }

  /// More are not fetched: a load that refuses so much is no matter of single rows.
  static let maxRows: UInt64 = 100_000
  static let maxBytes = 64 << 20

  /// Throws when there are more rows than can be kept, before any is fetched.
  func checkBounds(_ stage: TableName, _ epoch: EpochID) throws(NebulaError) {
    guard rows > Self.maxRows, let table = leftOut.first, let first = table.files.first else { return }
    throw Self.tooMany("\(rows) rows, more than \(Self.maxRows)", first.error, table.table, stage, epoch)
  }

  static func tooMany(
    _ what: String, _ error: LoadError, _ staged: StagedTable, _ stage: TableName, _ epoch: EpochID
  ) -> NebulaError {
    let table = staged.table
    return NebulaError(
      .tooManyLeftOut,
      "COPY into \(table.sql) would leave out \(what). The first error: \(error.text) Nothing was loaded.",
      remedy:
        "Correct the table (a column that is too narrow?) and run again: the same files are loaded. Or correct the "
        + "source, or set micro_batch_size lower, REMOVE \(stageLocation(stage, staged.folder))\(epoch)- and run again: "
        + "the epoch is then read anew.",
      at: .init(path: table.sql))
  }

  /// The prepared epoch without the rows.
  func epoch(replacing prepared: PreparedEpoch, _ manifest: Manifest) -> PreparedEpoch {
    var manifest = manifest
    for index in manifest.tables.indices {
      let table = manifest.tables[index]
      guard let found = leftOut.first(where: { $0.table == table }) else { continue }
      let rows = Dictionary(found.files.map { ($0.file.name, $0.rows) }, uniquingKeysWith: { $0 + $1 })
      for file in table.files.indices {
        manifest.tables[index].files[file].rejected = rows[table.files[file].name] ?? table.files[file].rejected
      }
    }
    var counts = prepared.counts
    counts.committed -= min(counts.committed, rows)
    counts.rejected += rows
    return PreparedEpoch(
      prepared.id, counts: counts, version: Manifest.version, manifest: manifest.encoded, isEmpty: prepared.isEmpty)
  }
}
