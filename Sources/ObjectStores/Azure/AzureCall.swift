internal import NebulaCore
internal import NebulaHTTP

/// One operation, before it is signed.
struct AzureCall: Sendable {
  enum Service: Sendable { case dfs, blob }
  /// What it is, for errors: `HEAD of a/b`.
  var operation: String
  var service: Service
  var method: String
  /// nil for the file system itself.
  var key: String?
  var query: [(String, String)] = []
  var headers = HTTPHeaders()
  var body = HTTPBody.none
  var maxResponseBytes = 1 << 20
}

/// Where the calls go.
struct AzureEndPoints: Sendable, Hashable {
  let dfs: String
  let blob: String
  let container: String

  init(_ location: AzureLakeLocation) {
    (dfs, blob, container) = (location.dfsEndPoint, location.blobEndPoint, location.fileSystem)
  }
  init(_ location: AzureBlobLocation) {
    let base = location.endPoint.hasSuffix("/") ? String(location.endPoint.dropLast()) : location.endPoint
    (dfs, blob, container) = (base, base, location.container)
  }

  /// `https://host` and the encoded path.
  func address(_ call: AzureCall) throws(NebulaError) -> (origin: String, path: String) {
    let base = call.service == .dfs ? dfs : blob
    let start = base.firstRange(of: "://")?.upperBound ?? base.startIndex
    let slash = base[start...].firstIndex(of: "/") ?? base.endIndex
    var path = "\(base[slash...])/\(PercentEncoding.encodePath(container))"
    if let key = call.key { path += "/\(PercentEncoding.encodePath(try Self.checked(key)))" }
    return (String(base[..<slash]), path)
  }

  private static func checked(_ key: String) throws(NebulaError) -> String {
    guard !key.isEmpty, key.count <= 1024, !key.hasSuffix("/"), !key.hasSuffix("."),
      !key.unicodeScalars.contains(where: { $0.value < 0x20 || $0 == "\\" })
    else {
      throw NebulaError(
        .objectsBadName, "\(key) can't be a blob's name.",
        remedy: "Use 1 to 1024 characters without backslashes, not ending in a dot or slash.", at: .init(path: key))
    }
    return key
  }
}
