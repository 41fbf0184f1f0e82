internal import NebulaCore
internal import NebulaHTTP

/// What PUT answers: where a folder of the stage lies, the credentials for it, and its key.
struct StageTicket: Sendable {
  enum LocationType: String, Sendable, Hashable {
    case s3 = "S3"
    case azure = "AZURE"
    case gcs = "GCS"
    case local = "LOCAL_FS"

    /// The metadata that holds the digest of the compressed bytes.
    var digestName: String { self == .azure ? "sfcdigest" : "sfc-digest" }
  }
  let type: LocationType
  /// Azure does not know the MD5 of a blob that came in blocks unless it is told.
  var wantsMD5: Bool { type == .azure }
  /// Bucket or container; for local stages the folder.
  let bucket: String
  /// Before the file's name: empty, or ends with '/'.
  let prefix: String
  let region: String
  let endPoint: String?
  let storageAccount: String
  let usesRegionalHost: Bool
  let usesVirtualHost: Bool
  let credentials: JSONValue
  /// GCS without a token: the address for exactly the file that PUT named.
  let presignedURL: String?
  let masterKey: StageMasterKey?

  init(_ answer: JSONValue) throws(NebulaError) {
    let info = answer["stageInfo"] ?? .null
    let name = info["locationType"]?.string ?? ""
    guard let type = LocationType(rawValue: name.uppercased()) else {
      throw NebulaError(
        .stageFailed, "The stage lies in a store of the type '\(name)', which is not known here.",
        remedy: "Use an internal stage; report the type.")
    }
    guard let location = info["location"]?.string else {
      throw NebulaError(.badAnswer, "PUT did not say where the stage lies.", remedy: "Report the defect.")
    }
    self.type = type
    (bucket, prefix) = Self.split(location, type)
    region = info["region"]?.string ?? ""
    let given = info["endPoint"]?.string ?? ""
    endPoint = given.isEmpty ? nil : given
    storageAccount = info["storageAccount"]?.string ?? ""
    usesRegionalHost = info["useS3RegionalUrl"]?.bool ?? false || info["useRegionalUrl"]?.bool ?? false
    usesVirtualHost = info["useVirtualUrl"]?.bool ?? false
    credentials = info["creds"] ?? .null
    // GET has one address a file, beside the place.
    let url = answer["presignedUrls"]?[0]?.string ?? info["presignedUrl"]?.string ?? ""
    presignedURL = url.isEmpty ? nil : url
    masterKey = try StageMasterKey(Self.material(answer["encryptionMaterial"]))
  }

  /// One material, or a list with one.
  private static func material(_ value: JSONValue?) -> JSONValue? { value?[0] ?? value }

  private static func split(_ location: String, _ type: LocationType) -> (String, String) {
    if type == .local { return (location, "") }
    let parts = location.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: true)
    var prefix = parts.count > 1 ? String(parts[1]) : ""
    if !prefix.isEmpty, !prefix.hasSuffix("/") { prefix += "/" }
    return (parts.first.map(String.init) ?? "", prefix)
  }

  /// True when each file needs a PUT of its own.
  var isPerFile: Bool { type == .gcs && (credentials["GCS_ACCESS_TOKEN"]?.string ?? "").isEmpty }

  func isSame(as other: StageTicket?) -> Bool {
    guard let other else { return false }
    return credentials == other.credentials && presignedURL == other.presignedURL
  }

  func credential(_ name: String) -> String { credentials[name]?.string ?? "" }
}
