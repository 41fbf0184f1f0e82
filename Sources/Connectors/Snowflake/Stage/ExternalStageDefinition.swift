internal import NebulaCore
internal import NebulaHTTP
internal import NebulaObjectStores

/// An external stage as Snowflake is told of it: texts, no effects.
struct ExternalStageDefinition: Sendable {
  /// What lets Snowflake in.
  enum Access: Sendable {
    case integration(Identifier)
    /// Names and values, as `CREDENTIALS` has them. Secret.
    case credentials([(name: String, value: String)])
    /// Nothing here can be written into a stage, for this reason.
    case none(why: String)
  }
  let location: ExternalLocation
  let access: Access
  /// The host of S3-compatible storage.
  private let endpoint: String?

  init(_ location: ExternalLocation, _ options: ExternalStageOptions) throws(NebulaError) {
    self.location = location
    endpoint = location.scheme == "s3compat" ? options.stores.aws.endpoint : nil
    if let integration = options.integration {
      access = .integration(try Identifier(integration, property: "storage_integration"))
    } else {
      access = Self.credentials(location.kind, options.stores)
    }
  }

  /// What a stage keeps, it keeps for ever: only what does not expire in between.
  private static func credentials(_ kind: ExternalLocation.Kind, _ stores: ExternalStoreSettings) -> Access {
    switch kind {
    case .s3:
      guard let key = stores.aws.accessKeyID, let secret = stores.aws.secretAccessKey, !key.isEmpty, !secret.isEmpty
      else { return .none(why: "this program's own way into the bucket gives keys that expire") }
      guard (stores.aws.sessionToken ?? "").isEmpty else { return .none(why: "keys with a session token expire") }
      return .credentials([("AWS_KEY_ID", key), ("AWS_SECRET_KEY", secret)])
    case .azure:
      guard let sas = stores.azure.sas, !sas.isEmpty else {
        return .none(why: "of Azure's ways Snowflake takes a shared access signature only")
      }
      return .credentials([("AZURE_SAS_TOKEN", sas.hasPrefix("?") ? sas : "?\(sas)")])
    case .gcs: return .none(why: "for Google Cloud Storage Snowflake knows no other way")
    }
  }

  /// The statement that creates it. Holds secrets: never logged, never part of an error.
  func create(_ name: TableName) throws(NebulaError) -> String {
    var parts = ["CREATE STAGE IF NOT EXISTS \(name.sql) URL = \(literal(location.url))"]
    if let endpoint { parts.append("ENDPOINT = \(literal(Self.host(endpoint)))") }
    switch access {
    case .integration: parts.append("STORAGE_INTEGRATION = \(integration ?? "")")
    case .credentials(let pairs):
      parts.append("CREDENTIALS = (\(pairs.map { "\($0.name) = \(literal($0.value))" }.joined(separator: " ")))")
    case .none(let why): throw Self.needsIntegration(name, location, why)
    }
    return parts.joined(separator: " ")
  }

  /// The integration's name as a statement has it.
  var integration: String? {
    guard case .integration(let name) = access else { return nil }
    return Identifier.isPlain(name.name) && name.name == name.name.uppercased() ? name.name : name.quoted
  }

  /// What must not be repeated, as it stands in the statement too.
  var secrets: [String] {
    guard case .credentials(let pairs) = access else { return [] }
    return pairs.flatMap { [$0.value, String(literal($0.value).dropFirst().dropLast())] }
  }

  /// Another's words, without the secrets.
  func redacted(_ server: ServerError) -> ServerError {
    var server = server
    for secret in secrets where secret.utf8.count >= 3 {
      server.message = server.message.replacing(secret, with: "***")
    }
    return server
  }

  private static func host(_ endpoint: String) -> String {
    guard let scheme = endpoint.firstRange(of: "://") else { return endpoint }
    return String(endpoint[scheme.upperBound...].prefix { $0 != "/" })
  }

  static func needsIntegration(_ name: TableName, _ location: ExternalLocation, _ why: String) -> NebulaError {
    NebulaError(
      .missingProperty,
      "The external stage \(name.sql) is not there, and can't be created without a storage integration: \(why).",
      remedy:
        "CREATE STORAGE INTEGRATION … STORAGE_ALLOWED_LOCATIONS = (\(literal(location.url))), GRANT USAGE ON it to the "
        + "role, and set storage_integration; or create the stage yourself.",
      at: .init(path: "storage_integration"), exit: .configuration)
  }

  // MARK: a stage that is there

  /// Throws unless the stage that `DESCRIBE STAGE` describes lies where the options say.
  func check(_ description: QueryResult, _ name: TableName) throws(NebulaError) {
    var found = ""
    for row in description.rows.indices where description[row, "property"]?.uppercased() == "URL" {
      found = Self.address(description[row, "property_value"] ?? "")
    }
    guard Self.isSame(found, location.url) else {
      throw NebulaError(
        .stageFailed,
        "The stage \(name.sql) \(found.isEmpty ? "is an internal one" : "lies in \(found)"), but external_stage_url is "
          + "\(location.url).",
        remedy: "Correct external_stage_url, or choose another stage_name: it is created.",
        at: .init(path: "external_stage_url"), exit: .configuration)
    }
  }

  /// `["s3://bucket/x/"]`, or the address alone.
  private static func address(_ value: String) -> String {
    (try? JSONValue(parsing: value))?[0]?.string ?? (value == "[]" ? "" : value)
  }

  private static func isSame(_ one: String, _ other: String) -> Bool {
    func whole(_ text: String) -> String { text.hasSuffix("/") ? text : text + "/" }
    return whole(one) == whole(other)
  }
}
