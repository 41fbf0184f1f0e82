internal import NebulaCore
internal import NebulaObjectStores

/// Where files wait for COPY: an internal stage, or a bucket of one's own behind an external stage.
///
/// Folders have no slashes around them; every one that is named lies in this pipeline's own.
protocol Stage: Sendable {
  /// Its name in Snowflake.
  var name: TableName { get }
  var pool: SessionPool { get }
  /// Looks; changes nothing.
  func check(folder: String) async -> [Finding]
  /// Creates it when it is missing.
  func ensure(folder: String) async throws
  /// Names and sizes of the files in a folder.
  func list(_ folder: String) async throws -> [String: UInt64]
  /// The files in the tables' folders of a pipeline's folder.
  func entries(below folder: String) async throws -> [StagedEntry]
  /// Where a staged file can be read back.
  func source(of file: StagedFile, in folder: String) async throws -> StagedSource
  /// Removes the files of a folder whose names begin with `prefix`.
  func remove(_ folder: String, prefix: String) async throws
  /// What a new file needs in this stage.
  func preparation(folder: String, file: String, _ compression: Compression) async throws -> FilePreparation
  /// Uploads a file, and proves that it lies there whole.
  func upload(
    _ staged: StagedBody, file: String, folder: String, encryption: FileEncryption?, _ compression: Compression
  ) async throws
}

extension Stage {
  /// What LIST says of the files in the tables' folders of a pipeline's folder.
  func listed(below folder: String) async throws -> [StagedEntry] {
    let result = try await pool.with { session in
      try await session.query(
        "LIST \(stageLocation(name, folder))", trying: "Listing the stage \(name.sql)", grant: Grants.stage(name))
    }
    return result.rows.indices.compactMap { row in
      result[row, "name"].flatMap { path in
        StagedEntry(
          path, below: folder, size: result[row, "size"].flatMap { UInt64($0) }, modified: result[row, "last_modified"])
      }
    }
  }

  /// Throws when what lies where a file was uploaded is not all of it; `digest` names the metadata that proves it, where
  /// there is such.
  func prove(_ object: ObjectUpload, in store: any ObjectStore, digest: String?) async throws {
    let found = try await store.head(object.key)
    guard let found, found.size == object.size,
      digest.map({ found.metadata[$0] == object.metadata[$0] }) ?? true
    else {
      throw NebulaError(
        .stageFailed,
        "After its upload the file is not there whole: \(found?.size ?? 0) bytes instead of \(object.size).",
        remedy: "It is uploaded again.", disposition: .retry(after: nil))
    }
  }

  /// An upload's error, with the file that it is about.
  func described(_ error: NebulaError, _ file: String) -> NebulaError {
    let place = NebulaError.Place(path: "\(name.sql)/\(file)")
    if let told = StageRefusal.error(error, stage: name, at: place) { return told }
    guard error.code == .objectsExists else {
      var error = error
      error.place = error.place ?? place
      return error
    }
    return NebulaError(
      .stagedNameTaken, "A file called \(file) with other content lies in the stage \(name.sql).",
      remedy: "Find out who wrote it; nothing was replaced. Another stage_prefix keeps apart.",
      at: .init(path: "\(name.sql)/\(file)"))
  }
}

extension SnowflakeOptions {
  /// The stage that the options mean; `root` is this pipeline's folder in it.
  func stage(
    _ name: TableName, root: String, pool: SessionPool, context: ConnectorContext, stores: ObjectStoreContext
  ) throws -> any Stage {
    guard useExternalStage else { return InternalStage(name, pool: pool, context: context, stores: stores) }
    let location = try external.location()
    return ExternalStage(
      name, root: root, definition: try ExternalStageDefinition(location, external),
      store: try ExternalStore(location, external.storeSettings, context: stores), pool: pool, context: context)
  }
}
