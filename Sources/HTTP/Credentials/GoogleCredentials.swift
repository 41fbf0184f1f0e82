public import NebulaCore

/// Tokens of Google Cloud, for Cloud Storage: from a file of credentials, or from the metadata server.
public enum GoogleCredentials {
  /// What storage needs.
  static let scope = "https://www.googleapis.com/auth/devstorage.read_write"
  static let tokenAddress = "https://oauth2.googleapis.com/token"

  /// Reads a file of credentials, of whichever kind it is; nil when it is not there.
  public static func ofFile(_ path: String, context: TokenContext) throws(NebulaError) -> (any TokenSource)? {
    let file = SmallFile(
      path: path, what: "file of credentials",
      remedy: "Check GOOGLE_APPLICATION_CREDENTIALS or gcs_credentials_path, and the file's rights.")
    guard let bytes = try file.readIfThere() else { return nil }
    guard let json = try? JSONValue(parsing: bytes) else { throw file.failed("it is not JSON") }
    let values = GoogleFile(json: json, file: file)
    switch json["type"]?.string {
    case "service_account": return try GoogleServiceAccount(values, context: context)
    case "authorized_user": return try GoogleAuthorizedUser(values, context: context)
    case "external_account": return try GoogleExternalAccount(values, context: context)
    case let kind: throw file.failed("credentials of the type '\(kind ?? "none")' are not supported")
    }
  }

  /// The metadata server of a machine, a container or a function of Google Cloud; `host` for another address.
  public static func ofMachine(host: String?, context: TokenContext) -> any TokenSource {
    GoogleMetadataServer(host: host, context: context)
  }
}

/// What a file of credentials holds.
struct GoogleFile {
  let json: JSONValue
  let file: SmallFile

  func text(_ name: String) throws(NebulaError) -> String {
    guard let text = json[name]?.string, !text.isEmpty else { throw file.failed("it has no \(name)") }
    return text
  }
  func optional(_ name: String) -> String? { json[name]?.string.flatMap { $0.isEmpty ? nil : $0 } }
}
