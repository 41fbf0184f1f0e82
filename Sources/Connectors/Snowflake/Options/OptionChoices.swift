internal import NebulaCore
internal import NebulaFormats

/// How to log in. The last two are Snowflake's, but not supported here.
enum Authenticator: String, PropertyChoice, CaseIterable {
  case password = "snowflake"
  case keyPair = "snowflake_jwt"
  case oauth
  case clientCredentials = "oauth_client_credentials"
  case accessToken = "programmatic_access_token"
  case passwordWithMFA = "username_password_mfa"
  case externalBrowser = "externalbrowser"
  case workloadIdentity = "workload_identity"
}

/// The format of staged files. Parquet is Snowflake's, but not written here yet.
enum FileFormat: String, PropertyChoice, CaseIterable {
  case json = "JSON"
  case csv = "CSV"
  case parquet = "PARQUET"
}

/// The compression of staged files, as COPY calls it. Snappy belongs to Parquet.
enum Compression: String, PropertyChoice, CaseIterable {
  case gzip = "GZIP"
  case zstd = "ZSTD"
  case none = "NONE"
  case snappy = "SNAPPY"

  var codec: Codec {
    switch self {
    case .gzip: .gzip
    case .zstd: .zstd
    case .none, .snappy: .none
    }
  }
}

/// How BSON documents become JSON text.
enum DocumentJSON: String, PropertyChoice, CaseIterable { case plain, relaxed, canonical }

/// What a load does to rows that are there.
enum WriteMode: String, PropertyChoice, CaseIterable { case append, merge }

/// What becomes of the row of a deleted key.
enum DeleteMode: String, PropertyChoice, CaseIterable { case soft, hard }

/// How a document lies in its table.
enum PackMode: String, PropertyChoice, CaseIterable {
  /// In one VARIANT column.
  case packed
  /// A column for each of its fields.
  case unpacked
}

/// What becomes of fields without a column, and of values that their column can't take.
enum SchemaContract: String, PropertyChoice, CaseIterable {
  /// Columns are added; values that don't fit go to `_OVERFLOW`.
  case evolve
  /// Columns stay as they are; both go to `_OVERFLOW`.
  case freeze
  /// A record with either is a rejected record.
  case reject
}
