internal import NebulaCore

/// What the keys of a named connection are called here.
enum ConnectionKeys {
  /// A key's one name: in small letters, and of two names for one thing the older.
  static func canonical(_ key: String) -> String {
    let key = key.lowercased()
    return ["private_key_path": "private_key_file", "private_key_passphrase": "private_key_file_pwd"][key] ?? key
  }

  /// Keys that become a property, each its own.
  private static let properties = [
    "account": "account", "user": "user", "password": "password", "database": "database", "schema": "schema",
    "warehouse": "warehouse", "role": "role", "authenticator": "authenticator", "private_key_file": "private_key_path",
    "private_key_raw": "private_key", "private_key_file_pwd": "private_key_passphrase", "token": "token",
    "token_file_path": "token_file_path", "passcode": "passcode", "oauth_client_id": "oauth_client_id",
    "oauth_client_secret": "oauth_client_secret", "oauth_token_request_url": "oauth_token_request_url",
    "oauth_scope": "oauth_scope",
  ]
  /// Keys that become the host together.
  private static let address: Set<String> = ["host", "port", "protocol"]
  /// All that are looked at.
  static let known = Set(properties.keys).union(address)
  /// The properties that a connection may give.
  static let given = Set(properties.values).union(["host"])
  /// Paths in which `~/` is the home folder.
  private static let paths: Set<String> = ["private_key_file", "token_file_path"]

  /// The properties that a connection gives; `path` expands one.
  static func properties(of connection: NamedConnection, path: (String) -> String) throws(NebulaError) -> Properties {
    var result = Properties()
    var host: [String: NamedConnection.Key] = [:]
    for key in connection.keys where known.contains(key.name) && key.text != "" {
      guard let text = key.text else {
        throw NebulaError(
          .badConnectionsFile, "Connection '\(connection.name)': \(key.name) is no text.",
          remedy: "Write \(key.name) = \"…\".", at: key.place, exit: .configuration)
      }
      if address.contains(key.name) { host[key.name] = key }
      guard let property = properties[key.name] else { continue }
      result.set(
        property, .scalar(paths.contains(key.name) ? path(text) : text, at: key.place), named: key.place)
    }
    if result["token_file_path"] != nil { result["token"] = nil }
    if let place = (host["host"] ?? host["port"] ?? host["protocol"])?.place,
      let name = host["host"]?.text ?? result["account"]?.text.map({ "\($0).snowflakecomputing.com" })
    {
      let scheme = host["protocol"]?.text ?? "https"
      let port = host["port"]?.text.map { ":\($0)" } ?? ""
      let isUsual = scheme == "https" && (port.isEmpty || port == ":443")
      // as a user would write it: the identity may be this text
      result.set("host", .scalar(isUsual ? name : "\(scheme)://\(name)\(port)", at: place), named: place)
    }
    return result
  }

  /// The names of the keys that are not looked at.
  static func ignored(of connection: NamedConnection) -> [String] {
    connection.keys.map(\.name).filter { !known.contains($0) }.sorted()
  }

  /// Everything in it that may be secret, also what another value takes the place of.
  static func secrets(of connection: NamedConnection) -> [String] {
    connection.keys.filter { key in
      ["password", "pwd", "passcode", "passphrase", "token", "secret", "private_key"].contains { key.name.contains($0) }
        && !["private_key_file", "token_file_path", "oauth_token_request_url"].contains(key.name)
    }.compactMap(\.text).filter { !$0.isEmpty }
  }
}
