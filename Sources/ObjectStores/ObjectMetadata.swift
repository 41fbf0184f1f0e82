internal import NebulaCore
internal import NebulaHTTP

/// Metadata on its way into headers and back.
enum ObjectMetadata {
  /// Adds one header each, sorted by name, so that requests are the same every time.
  static func add(_ metadata: [String: String], prefix: String, to headers: inout HTTPHeaders) throws(NebulaError) {
    for (name, value) in metadata.sorted(by: { $0.key < $1.key }) {
      guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else {
        throw NebulaError(
          .objectsBadName, "The metadata \(name) holds a character outside printable ASCII.",
          remedy: "Encode it, for example in base64.")
      }
      headers[prefix + name] = value
    }
  }

  /// Those headers that begin with `prefix`, without it, names in lower case.
  static func read(_ headers: HTTPHeaders, prefix: String) -> [String: String] {
    headers.fields.reduce(into: [:]) { found, field in
      let name = field.name.lowercased()
      if name.hasPrefix(prefix) { found[String(name.dropFirst(prefix.count))] = field.value }
    }
  }
}
