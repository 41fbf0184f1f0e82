import NebulaCore
import NebulaRuntime

/// One verb: its help, its options, what it does. Returns the exit code.
struct Verb {
  var name: String
  var summary: String
  var usage: String
  var options: [Arguments.Option]
  var details = ""
  var maxWords = 0
  var isHidden = false
  var run: (Arguments, Console) async throws -> Int32

  static let common: [Arguments.Option] = [
    .init("--json", nil, "Print JSON for programs instead of text."),
    .init("--help", nil, "Show this help."),
  ]
  var allOptions: [Arguments.Option] { options + Self.common }

  var help: String {
    let written = allOptions.map { ("\($0.name)\($0.value.map { " \($0)" } ?? "")", $0.help) }
    let width = written.map(\.0.count).max() ?? 0
    let lines = written.map { "  \($0.0)\(String(repeating: " ", count: width - $0.0.count))  \($0.1)" }
    let paragraphs = [summary, "Usage: nebula-swift \(usage)", details, "Options:\n\(lines.joined(separator: "\n"))"]
    return paragraphs.filter { !$0.isEmpty }.joined(separator: "\n\n")
  }
}

enum Program {
  static let version = "0.1.0"
  static var verbs: [Verb] {
    [.runPipeline, .validate, .list, .describe, .state, .version, .docs]
  }

  /// Runs the program and catches everything: an error thrown from the top level would end in a crash.
  static func run(_ arguments: [String]) async -> Int32 {
    let console = Console(isJSON: arguments.contains("--json"))
    do { return try await dispatch(arguments, console) } catch let problems as ConfigurationProblems {
      console.fail(problems.errors)
      return NebulaError.Exit.configuration.rawValue
    } catch let error as NebulaError {
      console.fail([error])
      return error.exit.rawValue
    } catch {
      console.fail([NebulaError(.unexpected, "\(error)", remedy: "Report this defect.")])
      return NebulaError.Exit.runtime.rawValue
    }
  }

  private static func dispatch(_ arguments: [String], _ console: Console) async throws -> Int32 {
    let words = arguments.filter { $0 != "--json" }
    guard let first = words.first else {
      console.line(help)
      return NebulaError.Exit.configuration.rawValue
    }
    switch first {
    case "help", "--help", "-h": return try showHelp(Array(words.dropFirst()), console)
    case "--version": return try await dispatch(["version"], console)
    default: break
    }
    guard let verb = verbs.first(where: { $0.name == first }) else {
      throw Arguments.unknown(first, verbs.filter { !$0.isHidden }.map(\.name) + ["help"], "")
    }
    let given = try Arguments(Array(words.dropFirst()), verb.allOptions, maxWords: verb.maxWords, verb: verb.name)
    if given.has("--help") { return try showHelp([verb.name], console) }
    return try await verb.run(given, console)
  }

  private static func showHelp(_ words: [String], _ console: Console) throws -> Int32 {
    var text = help
    if words.first == "configuration" {
      text = configurationHelp
    } else if let name = words.first(where: { !$0.hasPrefix("-") }) {
      guard let verb = verbs.first(where: { $0.name == name }) else {
        throw Arguments.unknown(name, verbs.map(\.name) + ["configuration"], "")
      }
      text = verb.help
    }
    console.line(text)
    console.json(.object(["type": .text("help"), "text": .text(text)]))
    return 0
  }

  static var help: String {
    let shown = verbs.filter { !$0.isHidden }
    let width = shown.map(\.name.count).max() ?? 0
    let lines = shown.map { "  \($0.name)\(String(repeating: " ", count: width - $0.name.count))  \($0.summary)" }
    return """
      nebula-swift moves records from a source to a destination, and loses or doubles none.

      Usage: nebula-swift VERB [OPTIONS]

      \(lines.joined(separator: "\n"))

        nebula-swift run --source mongo --dest snowflake_optimized
        nebula-swift run orders.yaml --until-caught-up

      `nebula-swift help VERB` shows a verb's options, `nebula-swift help configuration` the configuration file.
      Exit codes: 0 done, 1 runtime error, 2 configuration, 3 environment, 4 verification, 130 or 143 when forced.
      """
  }

  static var configurationHelp: String {
    let settings = PipelineOptions.fields.map(\.specification).map { property in
      "  \(property.name): \(property.fallback ?? "")  # \(property.help)"
    }
    return """
      name: orders            # default: made from source, destination and what they move
      source:
        type: NAME            # see `nebula-swift list`
        properties: {}        # see `nebula-swift describe NAME`
      destination:
        type: NAME
        properties: {}
      state: DIR              # default: $NEBULA_STATE_DIR, else ~/.local/state/nebula-swift/<name>
      pipeline:
      \(settings.joined(separator: "\n"))

      Texts may hold ${VAR}, ${VAR:-default} and ${file:/run/secrets/x}; write $${ for a plain ${.
      On the command line: --set source.database=shop, --set pipeline.epoch_age=5s, --set source.list.0=x.
      """
  }
}

extension Verb {
  static var version: Verb {
    Verb(name: "version", summary: "Shows the version.", usage: "version", options: []) { _, console in
      console.line("nebula-swift \(Program.version)")
      console.json(.object(["version": .text(Program.version)]))
      return 0
    }
  }
}
