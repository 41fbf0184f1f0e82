import NebulaCore
import NebulaFormats
import NebulaHTTP
import NebulaObjectStores
import NebulaRuntime

/// The pages of the docs that are made from the specifications.
enum Documents {
  private static let notice = "<!-- Made by `make docs` from the specifications; change those. -->\n"

  /// What holds for a property, in a few words each.
  static func facts(_ property: PropertySpecification) -> [String] {
    var facts = [property.kind == .choice ? property.choices.joined(separator: " | ") : property.kind.rawValue]
    if property.isRequired { facts.append("required") }
    if let fallback = property.fallback { facts.append("default \(fallback)") }
    switch (property.minimum, property.maximum) {
    case (let low?, let high?): facts.append("\(low) to \(high)")
    case (let low?, nil): facts.append("at least \(low)")
    case (nil, let high?): facts.append("at most \(high)")
    case (nil, nil): break
    }
    facts += property.environment.map { "$\($0)" }
    if property.isSecret { facts.append("secret") }
    if property.isIdentity { facts.append("identity") }
    return facts
  }

  /// The page of the connectors called `name`.
  static func page(_ name: String, _ connectors: [ConnectorSpecification]) -> String {
    var text = "\(notice)# \(name)\n"
    for connector in connectors {
      text += "\n## As a \(connector.role.rawValue)\n\n\(connector.summary)\n\n"
      text += "| property | type | default | environment | meaning |\n|---|---|---|---|---|\n"
      for property in connector.properties { text += row(property) }
      if let guide = connector.guide { text += "\n\(guide)\n" }
      guard !connector.errors.isEmpty else { continue }
      text += "\n### Errors\n\n" + table(connector.errors)
    }
    text += "\nProperties marked *identity* say what is moved: they are stored with the position, and a pipeline whose"
    text += " identity has changed stops with `state.identity_changed`.\n"
    return text
  }

  private static func row(_ property: PropertySpecification) -> String {
    var type =
      property.kind == .choice ? property.choices.map { "`\($0)`" }.joined(separator: ", ") : property.kind.rawValue
    if let low = property.minimum, let high = property.maximum { type += ", \(low) to \(high)" }
    var meaning = property.help
    if let example = property.example { meaning += " Example: `\(example)`." }
    if property.isSecret { meaning += " *Secret.*" }
    if property.isIdentity { meaning += " *Identity.*" }
    let fallback = property.isRequired ? "required" : property.fallback.map { "`\($0)`" } ?? ""
    let variables = property.environment.map { "`\($0)`" }.joined(separator: ", ")
    return "| `\(property.name)` | \(cell(type)) | \(cell(fallback)) | \(variables) | \(cell(meaning)) |\n"
  }

  private static func cell(_ text: String) -> String { text.replacing("|", with: "\\|").replacing("\n", with: " ") }

  private static func table(_ errors: [ErrorSpecification]) -> String {
    let rows = errors.map { "| `\($0.code.rawValue)` | \(cell($0.meaning)) | \(cell($0.remedy)) |\n" }
    return "| code | meaning | what to do |\n|---|---|---|\n" + rows.joined()
  }

  /// Every error of the program, one line a code.
  static func errors(_ connectors: [ConnectorSpecification]) -> String {
    let all =
      coreErrors + formatErrors + httpErrors + credentialErrors + objectStoreErrors + pipelineErrors + stateErrors
      + deadLetterErrors
      + configurationErrors
      + commandLineErrors + connectors.flatMap(\.errors)
    let unique = Dictionary(all.map { ($0.code.rawValue, $0) }) { first, _ in first }
    return "\(notice)# Errors\n\n" + table(unique.sorted { $0.key < $1.key }.map(\.value))
  }

  /// All pages, by their path below the docs folder.
  static func all(_ connectors: [ConnectorSpecification]) -> [(path: String, text: String)] {
    let names = Dictionary(grouping: connectors, by: \.name).sorted { $0.key < $1.key }
    return names.map { ("connectors/\($0.key).md", page($0.key, $0.value)) } + [("errors.md", errors(connectors))]
  }
}
