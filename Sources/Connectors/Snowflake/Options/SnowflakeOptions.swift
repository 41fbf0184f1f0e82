internal import Glibc
public import NebulaCore

/// What `snowflake_optimized` takes. Names follow Snowflake's own documents.
public struct SnowflakeOptions: ConnectorOptions {
  // Where
  var account: String?
  var host: String?
  var accountURL: String?
  var database = ""
  var schema = ""
  var table = ""
  var controlSchema: String?
  var role: String?
  var warehouse: String?
  // Who
  var connection: String?
  var connectionsFile: String?
  var user = ""
  var password: String?
  var passcode: String?
  var privateKey: String?
  var privateKeyPath: String?
  var privateKeyPassphrase: String?
  var authenticator: Authenticator?
  var token: String?
  var tokenFilePath: String?
  var oauthClientID: String?
  var oauthClientSecret: String?
  var oauthTokenRequestURL: String?
  var oauthScope: String?
  // How
  var parallelUploads = SnowflakeOptions.cores + 2
  var connectionPoolSize = 4
  var microBatchSize: Int?
  var microBatchTimeoutMilliseconds: Int?
  var maxFileSize: ByteCount = .mebibytes(192)
  var maxRowBytes: ByteCount = .mebibytes(16)
  var filesPerCopy = 100
  var fileFormat: FileFormat?
  var fieldDelimiter = ","
  var compressionType: Compression?
  var compressionLevel: Int?
  var json: DocumentJSON = .plain
  var stageName = "NEBULA_STAGE"
  var stagePrefix = "nebula"
  var lockTimeout: Duration = .seconds(120)
  var copyOptions: [String: String] = [:]
  // Into which tables
  var writeMode: WriteMode = .append
  var key: [String] = []
  var deleteMode: DeleteMode = .soft
  var packMode: PackMode = .packed
  var columns: [String: String] = [:]
  var schemaEvolution = false
  var contract: SchemaContract?
  var currentView = false
  var asyncCopy = false
  var stageRetention: Duration = .zero
  var warehouseSize: WarehouseSize?
  var useExternalStage = false
  var external = ExternalStageOptions()
  // Known, not built yet
  var enableStreaming = false

  /// All defaults.
  public init() {}

  /// Processors this process may use.
  private static let cores = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))

  /// Every property, in the order of the docs.
  public static let fields: [Field<SnowflakeOptions>] =
    place + login + tables + loading + copying + externalStage + metering + notYet

  private static let place: [Field<SnowflakeOptions>] = [
    Field(
      "account", \.account, environment: ["SNOWFLAKE_ACCOUNT"], identity: true, identityElse: ["host", "account_url"],
      example: "acme-eu1", "The account's identifier, without the domain."),
    Field(
      "host", \.host, environment: ["SNOWFLAKE_HOST"], example: "acme-eu1.snowflakecomputing.com",
      "Host or URL, when it is not ACCOUNT.snowflakecomputing.com; http:// to loopback addresses only."),
    Field(
      "account_url", \.accountURL, environment: ["SNOWFLAKE_ACCOUNT_URL"],
      example: "https://acme-eu1.snowflakecomputing.com",
      "The same as host."),
    Field(
      "database", \.database, required: true, environment: ["SNOWFLAKE_DATABASE"], identity: true, example: "RAW",
      "The database; folded to capitals unless it is written in double quotes."),
    Field(
      "schema", \.schema, required: true, environment: ["SNOWFLAKE_SCHEMA"], identity: true, example: "SHOP",
      "The schema; folded as the database is."),
    Field(
      "table", \.table, required: true, environment: ["SNOWFLAKE_TABLE"], identity: true,
      example: "{database}_{collection}",
      "The table, created when missing: a plain name takes every namespace, {database} and {collection} are filled in. "
        + "Then the table's comment keeps the namespace, and another that folds to the same table is refused."),
    Field(
      "control_schema", \.controlSchema, environment: ["SNOWFLAKE_CONTROL_SCHEMA"], identity: true, example: "NEBULA",
      "The schema of the fence and ledger tables; schema when not set."),
    Field(
      "warehouse", \.warehouse, environment: ["SNOWFLAKE_WAREHOUSE"], example: "LOAD_WH", "The warehouse that loads."),
    Field(
      "role", \.role, environment: ["SNOWFLAKE_ROLE"], example: "LOADER", "The role; the user's default when not set."),
  ]

  private static let loading: [Field<SnowflakeOptions>] = [
    Field("parallel_uploads", \.parallelUploads, range: 1...64, "Workers that encode, compress and upload at once."),
    Field("connection_pool_size", \.connectionPoolSize, range: 1...64, "Sessions, logged in as they are needed."),
    Field(
      "micro_batch_size", \.microBatchSize, example: "100000",
      "Records after which a staged file is closed; when not set, its size and the epoch's end decide."),
    Field(
      "micro_batch_timeout_ms", \.microBatchTimeoutMilliseconds, example: "2000",
      "Milliseconds after which the epoch is cut: how late rows may be. When not set, 5000 while the source is followed, "
        + "and 60000 while it is behind (a copy, a backlog): then files grow to the size that loads best."),
    Field(
      "max_file_size", \.maxFileSize, range: ByteCount(64 << 10)...ByteCount(4 << 30),
      "Compressed bytes after which a staged file is closed. Snowflake advises 100 to 250 MB."),
    Field(
      "max_row_bytes", \.maxRowBytes, range: ByteCount(1 << 10)...ByteCount.mebibytes(128),
      "Bytes of a row as staged; a larger one is a rejected record. Above 16MiB only where the account allows it."),
    Field("files_per_copy", \.filesPerCopy, range: 1...1000, "Files that one COPY names."),
    Field(
      "file_format", \.fileFormat, example: "JSON",
      "Format of the staged files; JSON for documents (CSV is refused) and CSV for plain records when not set. A single "
        + "column is always staged as JSON, since COPY refuses the blank line that CSV has for its NULL."),
    Field(
      "field_delimiter", \.fieldDelimiter, example: "|",
      "Between the fields of staged CSV: one printable ASCII character or a tab, but no quote."),
    Field("compression_type", \.compressionType, "GZIP, ZSTD or NONE; ZSTD for JSON and GZIP for CSV when not set."),
    Field("compression_level", \.compressionLevel, "GZIP 0 to 9, ZSTD 1 to 19; 1 when not set."),
    Field(
      "json", \.json,
      "How BSON documents are written: plain, or MongoDB's relaxed or canonical Extended JSON. Of two members with one "
        + "name the last is loaded."),
    Field(
      "stage_name", \.stageName, "The stage, created when missing: an internal one unless use_external_stage is true."),
    Field("stage_prefix", \.stagePrefix, "The folder in the stage under which files are put; may be empty."),
    Field(
      "lock_timeout", \.lockTimeout, range: Duration.seconds(1)...Duration.seconds(3600),
      "How long to wait for the lock of this pipeline's fence."),
  ]

  private static let notYet: [Field<SnowflakeOptions>] = [
    Field("enable_streaming", \.enableStreaming, "Not supported yet: only false.")
  ]
}
