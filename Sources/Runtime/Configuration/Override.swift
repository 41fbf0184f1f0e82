internal import NebulaCore

/// One `--set path=value` of the command line.
///
/// `source.database=shop` and `source.properties.database=shop` say the same; `source.type` is the connector's name.
/// A part that is a number is a place in a list. A value that starts with `[` or `{` is read as YAML.
struct Override {
  private let parts: [String]
  private let value: PropertyValue
  private let place: NebulaError.Place

  init(_ text: String) throws(NebulaError) {
    guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
      // Not repeated: it may be a secret that lost its name.
      throw configurationError(
        .badOverride, "A --set has no '='.", remedy: "Write --set source.database=shop.", at: .init(path: "--set"))
    }
    let path = String(text[..<equals])
    place = NebulaError.Place(path: "--set \(path)")
    var parts = path.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard !parts.contains("") else {
      throw configurationError(
        .badOverride, "The path '\(path)' has an empty part.", remedy: "Write --set source.database=shop.", at: place)
    }
    if parts.count > 1, parts[0] == "dest" { parts[0] = "destination" }
    if parts.count > 1, ["source", "destination"].contains(parts[0]), !["type", "properties"].contains(parts[1]) {
      parts.insert("properties", at: 1)
    }
    self.parts = parts
    let written = String(text[equals...].dropFirst())
    value =
      if written.hasPrefix("[") || written.hasPrefix("{") {
        (try? YAMLReader.read(Array(written.utf8), path: place.path)) ?? .scalar(written, at: place)
      } else { .scalar(written, at: place) }
  }

  func apply(to tree: PropertyValue) throws(NebulaError) -> PropertyValue { try set(parts[...], in: tree) }

  private func set(_ path: ArraySlice<String>, in node: PropertyValue?) throws(NebulaError) -> PropertyValue {
    guard let part = path.first else { return value }
    switch node {
    case .list(var items, let listPlace):
      guard let index = Int(part), (0...items.count).contains(index) else {
        throw configurationError(
          .badOverride, "'\(part)' is no place in a list of \(items.count).",
          remedy: "Use 0 to \(items.count); the last one adds an item.", at: place)
      }
      let item = try set(path.dropFirst(), in: index < items.count ? items[index] : nil)
      if index < items.count { items[index] = item } else { items.append(item) }
      return .list(items, at: listPlace)
    case .map(let entries, let mapPlace):
      var map = Properties(entries)
      map[part] = try set(path.dropFirst(), in: map[part])
      return .map(map.entries, at: mapPlace)
    case nil:
      if part == "0" { return .list([try set(path.dropFirst(), in: nil)], at: place) }
      var map = Properties()
      map[part] = try set(path.dropFirst(), in: nil)
      return .map(map.entries, at: place)
    case .scalar:
      throw configurationError(
        .badOverride, "'\(part)' can't be set inside a single value.", remedy: "Set the value itself.", at: place)
    }
  }
}
