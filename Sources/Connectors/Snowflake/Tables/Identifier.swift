internal import NebulaCore

/// A name of an object in Snowflake. As Snowflake does it, a plain name is folded to capitals; a name in double
/// quotes, and a name that could only exist in quotes, is taken as it is. In statements it always stands in quotes.
struct Identifier: Sendable, Hashable, Codable {
  /// The name as Snowflake stores it.
  let name: String

  /// A name exactly as Snowflake stores it.
  init(exactly name: String) { self.name = name }

  /// A name as a user writes it.
  init(_ written: String, property: String) throws(NebulaError) {
    var name = written
    if written.count >= 2, written.hasPrefix("\""), written.hasSuffix("\"") {
      name = Self.unquoted(written)
    } else if Self.isPlain(written) {
      name = written.uppercased()
    }
    if let problem = Self.problem(of: name) {
      throw NebulaError(
        .badProperty, "\(property): the name \(shortened(written)) \(problem).",
        remedy: "Use 1 to 255 characters; names with special characters may stand in double quotes.",
        at: .init(path: property), exit: .configuration)
    }
    self.name = name
  }

  /// A name that came with data (a column, a collection): folded as a written one, never parsed for quotes.
  init(folding name: String) { self.name = Self.isPlain(name) ? name.uppercased() : name }

  /// In double quotes, ready for a statement.
  var quoted: String {
    "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
  }

  /// Two names with the same fold are one name to whoever reads without quotes.
  var fold: String { name.uppercased() }

  /// Why Snowflake would refuse the name; nil when it is fine.
  static func problem(of name: String) -> String? {
    if name.isEmpty { return "is empty" }
    if name.unicodeScalars.count > 255 { return "is longer than 255 characters" }
    if name.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) {
      return "holds a control character"
    }
    return nil
  }

  /// True for names that need no quotes: a letter or '_', then letters, digits, '_' and '$'.
  static func isPlain(_ name: String) -> Bool {
    guard let first = name.utf8.first, first == UInt8(ascii: "_") || isLetter(first) else { return false }
    return name.utf8.allSatisfy {
      isLetter($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "$") || ($0 >= 48 && $0 <= 57)
    }
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) >= 97 && (byte | 0x20) <= 122 }

  private static func unquoted(_ written: String) -> String {
    let inside = written.dropFirst().dropLast()
    var name = ""
    var pending = false
    for character in inside {
      if character == "\"", !pending {
        pending = true
        continue
      }
      pending = false
      name.append(character)
    }
    return name
  }
}

/// A text as a literal of Snowflake's SQL.
func literal(_ text: String) -> String {
  var out = "'"
  for scalar in text.unicodeScalars {
    switch scalar {
    case "'": out += "''"
    case "\\": out += "\\\\"
    case "\n": out += "\\n"
    case "\r": out += "\\r"
    // A digit may stand behind it, which `\0` would take for its own.
    case "\u{0}": out += "\\u0000"
    default: out.unicodeScalars.append(scalar)
    }
  }
  return out + "'"
}

/// A text short enough for a message.
func shortened(_ text: String, to limit: Int = 120) -> String {
  text.count <= limit ? "'\(text)'" : "'\(text.prefix(limit))…'"
}

/// Letters, digits and the three signs that every store takes in a path without escapes.
func isPathSafe(_ byte: UInt8) -> Bool {
  let letter = byte | 0x20
  return letter >= 97 && letter <= 122 || byte >= 48 && byte <= 57 || byte == 45 || byte == 46 || byte == 95
}

/// A table by its full name.
struct TableName: Sendable, Hashable, Codable {
  let database: Identifier
  let schema: Identifier
  let name: Identifier
  /// `"DB"."SCHEMA"."NAME"`.
  var sql: String { "\(database.quoted).\(schema.quoted).\(name.quoted)" }
}
