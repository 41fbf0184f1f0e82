internal import NebulaCore

extension SnowflakeOptions {
  /// Adds what the named connection says. What is written wins; then come the connection's own variables
  /// (`SNOWFLAKE_CONNECTIONS_<NAME>_<KEY>`), its file, and the variables of the properties.
  static func complete(_ written: Properties, _ environment: [String: String]) -> Completion {
    var completion = Completion(written)
    let usual = environment["SNOWFLAKE_DEFAULT_CONNECTION_NAME"].flatMap { $0.isEmpty ? nil : $0 }
    let isPlaceWritten = ["account", "host", "account_url"].contains { written[$0] != nil }
    // The usual connection is for pipelines that say nothing of their own.
    guard let name = written["connection"]?.text ?? (isPlaceWritten ? nil : usual), !name.isEmpty else {
      completion.closed = ["connection"]
      return completion
    }
    var files = ConnectionFiles(environment: environment)
    do throws(NebulaError) {
      let connection = try files.connection(name, file: written["connections_file"]?.text)
      completion.secrets = ConnectionKeys.secrets(of: connection)
      let found = try ConnectionKeys.properties(of: connection, path: files.expanded)
      let merged = ConnectionLayers.merge(written, over: found)
      var variables = variables(environment)
      // The usual account's place beside a connection's would lead to neither.
      let place = ["account", "host", "account_url"]
      if place.contains(where: { merged[$0] != nil }) { for name in place { variables[name] = nil } }
      completion.properties = ConnectionLayers.merge(merged, over: variables)
      completion.closed = ConnectionLayers.grouped
      for property in ConnectionKeys.given {
        completion.hints[property] = "in connection '\(name)' of \(connection.origin)"
      }
      let ignored = ConnectionKeys.ignored(of: connection)
      if !ignored.isEmpty {
        completion.remarks.append(
          Remark(
            .info, "Connection '\(name)' of \(connection.origin): \(ignored.joined(separator: ", ")) not used here."))
      }
    } catch {
      completion.errors = [error]
    }
    completion.remarks += files.remarks
    return completion
  }

  /// What the variables of the grouped properties say.
  private static func variables(_ environment: [String: String]) -> Properties {
    var found = Properties()
    for property in fields.map(\.specification) where ConnectionLayers.grouped.contains(property.name) {
      guard let variable = property.environment.first(where: { environment[$0]?.isEmpty == false }),
        let text = environment[variable]
      else { continue }
      found[property.name] = .scalar(text, at: .init(path: "$\(variable)"))
    }
    return found
  }
}
