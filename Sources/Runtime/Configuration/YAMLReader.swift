internal import CYaml
internal import NebulaCore

/// Reads YAML, and JSON as the part of YAML that it is, into nodes with their places.
///
/// Scalars stay text: the specification of a property gives it a type, so `no`, `012` and `1e3` mean what they say.
/// An entry without a value (`key:`, `key: null`) counts as not written. Aliases are copies, and copies are counted.
struct YAMLReader {
  static let maxBytes = 1 << 20
  static let maxNodes = 20_000
  static let maxDepth = 50

  private let path: String
  private var parser = yaml_parser_t()
  private var anchors: [String: (value: PropertyValue, nodes: Int)] = [:]
  private var nodes = 0

  /// The one document in `bytes`; an empty one is an empty map.
  static func read(_ bytes: [UInt8], path: String) throws(NebulaError) -> PropertyValue {
    guard bytes.count <= maxBytes else {
      throw configurationError(
        .configurationSyntax, "The text is longer than \(maxBytes) bytes.", remedy: "A configuration is shorter.",
        at: .init(path: path))
    }
    var reader = YAMLReader(path: path)
    return try reader.document(bytes)
  }

  private init(path: String) { self.path = path }

  private mutating func document(_ bytes: [UInt8]) throws(NebulaError) -> PropertyValue {
    guard yaml_parser_initialize(&parser) == 1 else { throw problem("no memory", nil) }
    defer { yaml_parser_delete(&parser) }
    let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(1, bytes.count))
    defer { copy.deallocate() }
    _ = copy.update(from: bytes)
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
    yaml_parser_set_input_string(&parser, copy.baseAddress, bytes.count)
    _ = try next()  // the stream's start
    guard case .documentStart = try next() else { return .map([], at: .init(path: path, line: 1, column: 1)) }
    let value = try node(try next(), depth: 0)
    _ = try next()  // the document's end
    if case .documentStart(let place) = try next() {
      throw problem("A second document starts here.", place, "Write one pipeline a file.")
    }
    return value.isNothing ? .map([], at: value.value.place) : value.value
  }

  // MARK: - Events

  private enum Event {
    case documentStart(NebulaError.Place)
    case alias(String, NebulaError.Place)
    case scalar(String, isPlain: Bool, anchor: String?, NebulaError.Place)
    case list(anchor: String?, NebulaError.Place)
    case map(anchor: String?, NebulaError.Place)
    case end
    case other
  }

  private mutating func next() throws(NebulaError) -> Event {
    var event = yaml_event_t()
    guard yaml_parser_parse(&parser, &event) == 1 else { throw syntaxError() }
    defer { yaml_event_delete(&event) }
    let place = place(event.start_mark)
    let data = event.data
    switch event.type {
    case YAML_DOCUMENT_START_EVENT: return .documentStart(place)
    case YAML_ALIAS_EVENT: return .alias(text(data.alias.anchor) ?? "", place)
    case YAML_SCALAR_EVENT:
      try refuseTag(text(data.scalar.tag), place)
      let bytes = UnsafeBufferPointer(start: data.scalar.value, count: data.scalar.length)
      return .scalar(
        String(decoding: bytes, as: UTF8.self), isPlain: data.scalar.style == YAML_PLAIN_SCALAR_STYLE,
        anchor: text(data.scalar.anchor), place)
    case YAML_SEQUENCE_START_EVENT:
      try refuseTag(text(data.sequence_start.tag), place)
      return .list(anchor: text(data.sequence_start.anchor), place)
    case YAML_MAPPING_START_EVENT:
      try refuseTag(text(data.mapping_start.tag), place)
      return .map(anchor: text(data.mapping_start.anchor), place)
    case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: return .end
    default: return .other
    }
  }

  private func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? { pointer.map { String(cString: $0) } }

  private func place(_ mark: yaml_mark_t) -> NebulaError.Place {
    .init(path: path, line: mark.line + 1, column: mark.column + 1)
  }

  // MARK: - Nodes

  /// A value, and whether nothing was written where it stands.
  private typealias Node = (value: PropertyValue, isNothing: Bool)

  private mutating func node(_ event: Event, depth: Int) throws(NebulaError) -> Node {
    switch event {
    case .scalar(let text, let isPlain, let anchor, let place):
      try count(1, place)
      let value = PropertyValue.scalar(text, at: place)
      if let anchor { anchors[anchor] = (value, 1) }
      return (value, isPlain && ["", "~", "null", "Null", "NULL"].contains(text))
    case .alias(let name, let place):
      guard let found = anchors[name] else {
        // The name is not repeated: it may be a secret that begins with '*'.
        throw problem(
          "There is no anchor before this alias.", place, "A text that begins with '*' needs quotes.")
      }
      try count(found.nodes, place)
      return (found.value, false)
    case .list(let anchor, let place):
      return (
        try structure(anchor, place, depth) { (reader, depth) throws(NebulaError) in
          try reader.list(place, depth)
        }, false
      )
    case .map(let anchor, let place):
      return (
        try structure(anchor, place, depth) { (reader, depth) throws(NebulaError) in
          try reader.map(place, depth)
        }, false
      )
    case .documentStart(let place): throw problem("A document starts here.", place)
    case .end, .other: throw problem("The text ends where a value should stand.", nil)
    }
  }

  private mutating func structure(
    _ anchor: String?, _ place: NebulaError.Place, _ depth: Int,
    _ read: (inout YAMLReader, Int) throws(NebulaError) -> PropertyValue
  ) throws(NebulaError) -> PropertyValue {
    guard depth < YAMLReader.maxDepth else {
      throw problem("Structures are nested deeper than \(YAMLReader.maxDepth).", place)
    }
    let before = nodes
    try count(1, place)
    let value = try read(&self, depth + 1)
    if let anchor { anchors[anchor] = (value, nodes - before) }
    return value
  }

  private mutating func list(_ place: NebulaError.Place, _ depth: Int) throws(NebulaError) -> PropertyValue {
    var items: [PropertyValue] = []
    while true {
      let event = try next()
      if case .end = event { return .list(items, at: place) }
      items.append(try node(event, depth: depth).value)
    }
  }

  private mutating func map(_ place: NebulaError.Place, _ depth: Int) throws(NebulaError) -> PropertyValue {
    var entries = Properties()
    var merged: [PropertyValue] = []
    var seen: [String: NebulaError.Place] = [:]
    while true {
      let event = try next()
      if case .end = event { break }
      guard case .scalar(let key, let isPlain, _, let keyPlace) = event else {
        throw problem("A key must be a text.", place, "Write `name: value`.")
      }
      if let first = seen.updateValue(keyPlace, forKey: key) {
        throw problem(
          "'\(key)' is written twice, first in line \(first.line ?? 0).", keyPlace, "Leave one of them out.")
      }
      try count(1, keyPlace)
      let (value, isNothing) = try node(try next(), depth: depth)
      if key == "<<", isPlain { merged.append(value) } else if !isNothing { entries.set(key, value, named: keyPlace) }
    }
    for value in merged { try merge(value, into: &entries) }
    return .map(entries.entries, at: place)
  }

  /// `<<`: the keys of another map, or of several; what is written here, or came first, wins.
  private func merge(_ value: PropertyValue, into entries: inout Properties) throws(NebulaError) {
    switch value {
    case .map(let others, _): for other in others where entries[other.name] == nil { entries[other.name] = other.value }
    case .list(let maps, _): for map in maps { try merge(map, into: &entries) }
    case .scalar(_, let place): throw problem("'<<' takes a map or a list of maps.", place)
    }
  }

  // MARK: - Errors

  private mutating func count(_ more: Int, _ place: NebulaError.Place) throws(NebulaError) {
    nodes += more
    guard nodes <= YAMLReader.maxNodes else {
      throw problem("The text has more than \(YAMLReader.maxNodes) values, aliases counted as what they repeat.", place)
    }
  }

  private func refuseTag(_ tag: String?, _ place: NebulaError.Place) throws(NebulaError) {
    guard let tag, !tag.hasPrefix("tag:yaml.org,2002:") || tag.hasSuffix(":binary"), tag != "!" else { return }
    // The tag is not repeated: it may be a secret that begins with '!'.
    throw problem("A tag has no meaning here.", place, "Leave it out; a text that begins with '!' needs quotes.")
  }

  private func problem(
    _ message: String, _ place: NebulaError.Place?, _ remedy: String = "Mend the text."
  ) -> NebulaError {
    configurationError(.configurationSyntax, message, remedy: remedy, at: place ?? .init(path: path))
  }

  /// libyaml's own words; they never repeat the text, which may hold a secret.
  private func syntaxError() -> NebulaError {
    var message = parser.problem.map { String(cString: $0) } ?? "the text can't be read"
    if let context = parser.context { message = "\(String(cString: context)), \(message)" }
    if parser.error == YAML_READER_ERROR { return problem("Not a text in UTF-8: \(message).", place(parser.mark)) }
    return problem(
      "Not valid YAML: \(message).", place(parser.problem_mark),
      "Look at this line and the one before it: indentation, quotes, and a blank after each ':'.")
  }
}
