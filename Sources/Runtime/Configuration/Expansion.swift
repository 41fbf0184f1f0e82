internal import NebulaCore

/// Expands `${VAR}`, `${VAR:-default}` and `${file:/run/secrets/x}` in the scalars of a parsed tree, never in its
/// text, so that no value can become structure. `$${` stands for `${`.
struct Expansion {
  let environment: [String: String]
  let readFile: (String) -> [UInt8]?
  /// Whatever came from files: secrets by habit.
  private(set) var secrets: [String] = []
  private(set) var errors: [NebulaError] = []

  init(environment: [String: String], readFile: @escaping (String) -> [UInt8]?) {
    self.environment = environment
    self.readFile = readFile
  }

  mutating func expand(_ value: PropertyValue) -> PropertyValue {
    switch value {
    case .scalar(let text, let place):
      return text.utf8.contains(UInt8(ascii: "$")) ? .scalar(expand(text, place), at: place) : value
    case .list(let items, let place): return .list(items.map { expand($0) }, at: place)
    case .map(let entries, let place):
      var expanded = entries
      for index in expanded.indices { expanded[index].value = expand(expanded[index].value) }
      return .map(expanded, at: place)
    }
  }

  private mutating func expand(_ text: String, _ place: NebulaError.Place) -> String {
    var result = ""
    var rest = text[...]
    while let dollar = rest.firstIndex(of: "$") {
      result += rest[..<dollar]
      rest = rest[dollar...]
      if rest.hasPrefix("$${") {
        result += "${"
        rest = rest.dropFirst(3)
      } else if rest.hasPrefix("${") {
        guard let end = rest.firstIndex(of: "}") else {
          fail(.configurationSyntax, "A '${' has no '}'.", "Close it, or write '$${' for a plain '${'.", place)
          return text
        }
        result += resolve(String(rest[..<end].dropFirst(2)), place)
        rest = rest[end...].dropFirst()
      } else {
        result += "$"
        rest = rest.dropFirst()
      }
    }
    return result + rest
  }

  private mutating func resolve(_ name: String, _ place: NebulaError.Place) -> String {
    if name.hasPrefix("file:") { return file(String(name.dropFirst(5)), place) }
    let parts = name.split(separator: ":-", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let variable = parts[0]
    guard !variable.isEmpty, variable.utf8.allSatisfy(isNamePart), variable.first?.isNumber == false else {
      fail(
        .configurationSyntax, "A '${…}' names no variable.",  // not repeated: it may be a piece of a secret
        "Write ${NAME}, ${NAME:-default}, ${file:/path}, or '$${' for a plain '${'.", place)
      return ""
    }
    let value = environment[variable]
    if parts.count == 2 { return value.flatMap { $0.isEmpty ? nil : $0 } ?? parts[1] }
    guard let value else {
      fail(.unsetVariable, "The variable \(variable) is not set.", "Set it, or write ${\(variable):-default}.", place)
      return ""
    }
    return value
  }

  /// The file's text without its last line end.
  private mutating func file(_ path: String, _ place: NebulaError.Place) -> String {
    guard let bytes = readFile(path), let text = String(validating: bytes, as: UTF8.self) else {
      fail(
        .unreadableFile, "The file \(path) can't be read as text.",
        "Check that it exists, that this user may read it, and that it is shorter than 64 KiB.", place)
      return ""
    }
    var value = text[...]
    if value.last == "\n" || value.last == "\r\n" { value = value.dropLast() }
    secrets.append(String(value))
    return String(value)
  }

  private func isNamePart(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  private mutating func fail(
    _ code: NebulaError.Code, _ message: String, _ remedy: String, _ place: NebulaError.Place
  ) { errors.append(configurationError(code, message, remedy: remedy, at: place)) }
}
