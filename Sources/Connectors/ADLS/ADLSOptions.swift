internal import NebulaCore
internal import NebulaFormats
internal import NebulaObjectStores

/// How events become files.
enum Layout: String, PropertyChoice {
  case rolling, files
  case perEvent = "per_event"
}

/// What the destination `adls` takes.
struct ADLSOptions: ConnectorOptions {
  var accountURL = ""
  var filesystem = ""
  var sharedKey: String?
  var sas: String?
  var tenantID: String?
  var clientID: String?
  var clientSecret: String?
  var federatedTokenFile: String?
  var authorityHost: String?
  var podIdentityHost: String?
  var identityEndpoint: String?
  var identityHeader: String?
  var layout = Layout.rolling
  var path: String?
  var fileName: String?
  var format = OutputFormat.jsonl
  var compression = Codec.none
  var compressionLevel: Int?
  var envelope = true
  var json = BSONJSONMode.plain
  var columns: [String] = []
  var maxFileBytes = ByteCount.mebibytes(128)
  var maxAppends = 40_000
  var closeAfter = Duration.seconds(300)
  var flushInterval = Duration.seconds(10)
  var maxOpenFiles = 4096
  var parallelUploads = 16

  func validate() throws(NebulaError) {
    _ = try LakeTemplate(self)
    if let level = compressionLevel, compression != .none, !compression.levels.contains(level) {
      throw bad("compression_level", "\(level)", "is out of range for \(compression.rawValue)")
    }
    guard format == .jsonl || layout == .files else {
      throw bad("format", format.rawValue, "goes with layout files only: a growing file has no place for a header")
    }
    guard Set(columns).count == columns.count else { throw bad("columns", "", "names a column twice") }
  }

  private func bad(_ name: String, _ value: String, _ problem: String) -> NebulaError {
    NebulaError(
      .badProperty, "\(name): '\(value)' \(problem).", remedy: "Run `nebula-swift describe adls`.",
      at: .init(path: name), exit: .configuration)
  }

  /// What the credentials are made from.
  var credentials: AzureCredentialSettings {
    var settings = AzureCredentialSettings()
    settings.sharedKey = sharedKey
    settings.sas = sas
    settings.tenantID = tenantID
    settings.clientID = clientID
    settings.clientSecret = clientSecret
    settings.federatedTokenFile = federatedTokenFile
    settings.authorityHost = authorityHost
    settings.podIdentityHost = podIdentityHost
    settings.identityEndpoint = identityEndpoint
    settings.identityHeader = identityHeader
    return settings
  }

  /// Behind the file's name: `.jsonl.gz`.
  var fileExtension: String {
    (layout == .perEvent ? ".json" : ".\(format.rawValue)") + compression.fileExtension
  }
  /// Appends of this many bytes before compression.
  var chunkBytes: Int { max(1, min(4 << 20, maxFileBytes.bytes)) }
}
