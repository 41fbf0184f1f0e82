internal import Glibc
internal import NebulaCore

/// One named connection: its keys in small letters, each once, with its place.
struct NamedConnection: Sendable, Hashable {
  struct Key: Sendable, Hashable {
    let name: String
    /// Nil for what is no text: a list, a date, a table.
    let text: String?
    let place: NebulaError.Place
  }
  let name: String
  /// The file, or the environment.
  let origin: String
  var keys: [Key] = []
}

/// Where Snowflake's clients look for named connections.
///
/// `$SNOWFLAKE_HOME` (`~/.snowflake`) if that folder exists, else `$XDG_CONFIG_HOME/snowflake` (`~/.config/snowflake`);
/// there `connections.toml`, and only without one the `[connections.NAME]` of `config.toml`. Variables
/// `SNOWFLAKE_CONNECTIONS_<NAME>_<KEY>` win over the file's keys.
struct ConnectionFiles {
  let environment: [String: String]
  private(set) var remarks: [Remark] = []

  init(environment: [String: String]) { self.environment = environment }

  private func set(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

  /// `~/` is the home folder, as in Snowflake's clients.
  func expanded(_ path: String) -> String {
    guard path == "~" || path.hasPrefix("~/"), let home = set("HOME") else { return path }
    return home + path.dropFirst()
  }

  private var folder: String? {
    let own = expanded(set("SNOWFLAKE_HOME") ?? "~/.snowflake")
    if isFolder(own) { return own }
    // XDG: a relative path is to be ignored
    if let base = set("XDG_CONFIG_HOME"), base.hasPrefix("/") { return "\(base)/snowflake" }
    return set("HOME").map { "\($0)/.config/snowflake" }
  }

  private func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// The connection called `name`; `file` is the one that the user named, nil for the usual places.
  mutating func connection(_ name: String, file: String?) throws(NebulaError) -> NamedConnection {
    let usual = folder.map { ["\($0)/connections.toml", "\($0)/config.toml"] } ?? []
    let candidates = file.map { [expanded($0)] } ?? usual
    var known: [String] = []
    var connection: NamedConnection?
    var read: String?
    for path in candidates {
      guard let bytes = try bytes(of: path, mustExist: file != nil) else { continue }
      let found = Self.connections(try TOMLDocument.read(bytes, file: path), isConfig: path.hasSuffix("/config.toml"))
      known = found.map(\.name)
      connection = found.first { $0.name == name }
      read = path
      break
    }
    let own = variables(of: name)
    if own.isEmpty, connection == nil { throw missing(name, known, read, candidates) }
    var result = connection ?? NamedConnection(name: name, origin: "the environment")
    result.keys = own + result.keys.filter { key in !own.contains { $0.name == key.name } }
    return result
  }

  /// Every connection of a file. `[connections.NAME]` is `config.toml`'s form, and whoever names that file means it.
  static func connections(_ entries: [TOMLEntry], isConfig: Bool) -> [NamedConnection] {
    let hasSections = entries.contains { $0.path.count == 2 && $0.path[0] == "connections" && $0.value == .table }
    let depth = isConfig || hasSections ? 1 : 0
    var connections: [NamedConnection] = []
    for entry in entries where depth == 0 || entry.path.first == "connections" {
      let path = entry.path.dropFirst(depth)
      guard let name = path.first else { continue }
      if path.count == 1 {
        guard entry.value == .table else { continue }
        connections.append(NamedConnection(name: name, origin: entry.place.path))
      } else if path.count == 2, let index = connections.firstIndex(where: { $0.name == name }),
        let key = path.last.map(ConnectionKeys.canonical), !connections[index].keys.contains(where: { $0.name == key })
      {
        let text: String? = if case .text(let text) = entry.value { text } else { nil }
        connections[index].keys.append(.init(name: key, text: text, place: entry.place))
      }
    }
    return connections
  }

  /// Only keys that are known: the rest of a name may belong to another connection whose name begins alike.
  private func variables(of connection: String) -> [NamedConnection.Key] {
    let prefix = "SNOWFLAKE_CONNECTIONS_\(connection.uppercased())_"
    var keys: [NamedConnection.Key] = []
    for (variable, text) in environment.sorted(by: { $0.key < $1.key }) where variable.hasPrefix(prefix) {
      let name = ConnectionKeys.canonical(String(variable.dropFirst(prefix.count)))
      guard !text.isEmpty, ConnectionKeys.known.contains(name), !keys.contains(where: { $0.name == name }) else {
        continue
      }
      keys.append(.init(name: name, text: text, place: .init(path: "$\(variable)")))
    }
    return keys
  }

  private mutating func bytes(of path: String, mustExist: Bool) throws(NebulaError) -> [UInt8]? {
    let file: LoginFile
    do { file = try LoginFile(path) } catch {
      if error.isAbsent, !mustExist { return nil }
      throw NebulaError(
        .badConnectionsFile, "The connections file \(path) can't be read: \(error.reason).",
        remedy: "Check connections_file, and the file's rights.", at: .init(path: path),
        native: "errno \(error.number)", exit: .configuration)
    }
    guard !file.isWritableByOthers else {
      throw NebulaError(
        .badConnectionsFile,
        "Others may write \(path) (mode \(file.permissions)): who does so decides where the data goes.",
        remedy: "Run: chmod 600 '\(path)'", at: .init(path: path), exit: .configuration)
    }
    if file.isOpenToOthers, !mayBeOpen {
      remarks.append(
        Remark(
          .warning,
          "Others may read \(path) (mode \(file.permissions)), or own it: run chmod 600 '\(path)'. "
            + "SF_SKIP_TOKEN_FILE_PERMISSIONS_VERIFICATION=true keeps this line away."))
    }
    return file.bytes
  }

  /// The variables by which Snowflake's own clients are told that it is meant so.
  private var mayBeOpen: Bool {
    ["SF_SKIP_TOKEN_FILE_PERMISSIONS_VERIFICATION", "SF_SKIP_WARNING_FOR_READ_PERMISSIONS_ON_CONFIG_FILE"]
      .contains { set($0)?.lowercased() == "true" }
  }

  private func missing(_ name: String, _ known: [String], _ read: String?, _ looked: [String]) -> NebulaError {
    let hint = closest(to: name, among: known).map { "Did you mean '\($0)'? " } ?? ""
    let (message, remedy) =
      if let read {
        (
          "\(read) has no connection '\(name)'.",
          known.isEmpty ? "It has none at all." : "\(hint)Known: \(known.sorted().joined(separator: ", "))."
        )
      } else {
        (
          "There is no connection '\(name)': "
            + (looked.isEmpty ? "HOME is not set." : "neither \(looked.joined(separator: " nor ")) exists."),
          "Write the file, or set connections_file, SNOWFLAKE_HOME or SNOWFLAKE_CONNECTIONS_\(name.uppercased())_…."
        )
      }
    return NebulaError(.noConnection, message, remedy: remedy, at: .init(path: "connection"), exit: .configuration)
  }
}
