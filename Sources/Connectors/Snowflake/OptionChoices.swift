internal import NebulaCore
internal import NebulaFormats

/// How to log in. The last three are Snowflake's, but not supported here yet.
enum Authenticator: String, PropertyChoice, CaseIterable {
  case password = "snowflake"
  case keyPair = "snowflake_jwt"
  case oauth
  case accessToken = "programmatic_access_token"
  case externalBrowser = "externalbrowser"
  case passwordWithMFA = "username_password_mfa"
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
