import NebulaCore
import NebulaRuntime

extension Verb {
  static var list: Verb {
    Verb(name: "list", summary: "Lists the connectors.", usage: "list", options: []) { _, console in
      let all = try ConnectorRegistry(builtinConnectors).all.map(\.specification)
      let width = all.map(\.name.count).max() ?? 0
      for role in [ConnectorSpecification.Role.source, .destination] {
        console.line("\(role.rawValue)s:")
        for one in all where one.role == role {
          console.line("  \(one.name)\(String(repeating: " ", count: width - one.name.count))  \(one.summary)")
        }
      }
      console.json(
        .list(
          all.map {
            .object(["name": .text($0.name), "role": .text($0.role.rawValue), "summary": .text($0.summary)])
          }))
      return 0
    }
  }

  static var describe: Verb {
    Verb(
      name: "describe", summary: "Shows what a connector takes.", usage: "describe CONNECTOR [--markdown]",
      options: [.init("--markdown", nil, "Print the connector's page of the docs.")], maxWords: 1
    ) { arguments, console in
      let all = try ConnectorRegistry(builtinConnectors).all.map(\.specification)
      guard let name = arguments.words.first else { throw Arguments.error("Which connector?", "describe") }
      let found = all.filter { $0.name == name }
      guard !found.isEmpty else {
        let hint = closest(to: name, among: all.map(\.name)).map { "Did you mean '\($0)'? " } ?? ""
        throw NebulaError(
          .unknownConnector, "No connector is called '\(name)'.", remedy: "\(hint)See `nebula-swift list`.",
          exit: .configuration)
      }
      if arguments.has("--markdown") {
        console.line(Documents.page(name, found))
      } else {
        for one in found { console.line(describe(one)) }
      }
      console.json(.list(try found.map { try JSON($0) }))
      return 0
    }
  }

  private static func describe(_ connector: ConnectorSpecification) -> String {
    var lines = ["\(connector.name) (\(connector.role.rawValue)): \(connector.summary)", ""]
    for property in connector.properties {
      lines.append("  \(property.name)  \(Documents.facts(property).joined(separator: "; "))")
      lines.append("      \(property.help)\(property.example.map { " Example: \($0)" } ?? "")")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
