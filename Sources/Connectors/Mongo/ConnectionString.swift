internal import CMongoc
internal import NebulaCore
internal import Synchronization

/// A connection string that libmongoc has understood. Its text never leaves this type: it holds the password.
struct ConnectionString: Sendable {
  private let text: String
  /// `host:port` of each seed, or the SRV name.
  let seeds: [String]
  /// Shared by all copies.
  let login = Login()

  init(_ text: String) throws(NebulaError) {
    self.text = text
    var problem = bson_error_t()
    guard let uri = mongoc_uri_new_with_error(text, &problem) else {
      throw NebulaError(
        .badProperty, "uri: \(Self.cleaned(problem.text, of: text)).",
        remedy: "Write mongodb://user:password@host:port/?replicaSet=name; escape special characters in user and "
          + "password with %.", at: .init(path: "uri"), exit: .configuration)
    }
    defer { mongoc_uri_destroy(uri) }
    seeds = Self.seeds(of: uri)
  }

  /// The seeds, for messages.
  var shown: String { seeds.joined(separator: ",") }

  /// A new `mongoc_uri_t` with what a reader needs and the user did not write; the caller destroys it.
  func uri() -> OpaquePointer? {
    guard let uri = mongoc_uri_new(text) else { return nil }
    let defaults: [(String, Int32)] = [
      ("sockettimeoutms", 20_000), ("connecttimeoutms", 5000), ("serverselectiontimeoutms", 5000),
    ]
    for (name, value) in defaults where !mongoc_uri_has_option(uri, name) {
      mongoc_uri_set_option_as_int32(uri, name, value)
    }
    // Without this a single client gives up at the first failure and then refuses to look again for five seconds.
    mongoc_uri_set_option_as_bool(uri, "serverselectiontryonce", false)
    if mongoc_uri_get_appname(uri) == nil { mongoc_uri_set_appname(uri, "nebula-swift") }
    return uri
  }

  /// `message` without user name and password, in case the driver repeats them.
  func redacted(_ message: String) -> String { Self.cleaned(message, of: text) }

  private static func cleaned(_ message: String, of text: String) -> String {
    guard let at = text.lastIndex(of: "@") else { return message }
    let scheme = text.firstRange(of: "://")?.upperBound ?? text.startIndex
    guard scheme < at else { return message }
    let login = text[scheme..<at]
    var cleaned = message.replacing(text, with: "***").replacing(login, with: "***")
    if let password = login.split(separator: ":", maxSplits: 1).dropFirst().first, !password.isEmpty {
      cleaned = cleaned.replacing(password, with: "***")
    }
    return cleaned
  }

  private static func seeds(of uri: OpaquePointer) -> [String] {
    if let name = mongoc_uri_get_srv_hostname(uri) { return [String(cString: name).lowercased()] }
    var seeds: [String] = []
    var host = mongoc_uri_get_hosts(uri)
    while let one = host {
      seeds.append(cString(tuple: one.pointee.host_and_port).lowercased())
      host = UnsafePointer(one.pointee.next)
    }
    return seeds.sorted()
  }
}

/// Whether this process has used a connection string with success: user and password were right then.
final class Login: Sendable {
  private let succeeded = Atomic(false)
  var hasSucceeded: Bool { succeeded.load(ordering: .relaxed) }
  func succeed() { succeeded.store(true, ordering: .relaxed) }
}

/// The text in a C array of characters, which Swift sees as a tuple.
func cString<T>(tuple: T) -> String {
  withUnsafeBytes(of: tuple) { bytes in String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
}

extension bson_error_t {
  var text: String { cString(tuple: message) }
}
