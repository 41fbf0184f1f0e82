import NebulaCore

/// What a verb takes, and what was given: `--name value`, `--name=value`, flags, and plain words.
struct Arguments {
  /// One option of a verb.
  struct Option {
    var name: String
    /// What the value is called in the help; nil for a flag.
    var value: String?
    var help: String
    init(_ name: String, _ value: String? = nil, _ help: String) {
      self.name = name
      self.value = value
      self.help = help
    }
  }

  private(set) var words: [String] = []
  private var values: [String: [String]] = [:]

  /// Reads `arguments`; an unknown option, a missing value and too many words are errors.
  init(_ arguments: [String], _ options: [Option], maxWords: Int, verb: String) throws(NebulaError) {
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      guard argument.hasPrefix("-"), argument != "-" else {
        words.append(argument)
        continue
      }
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let name = parts[0] == "-h" ? "--help" : parts[0]
      guard let option = options.first(where: { $0.name == name }) else {
        throw Self.unknown(name, options.map(\.name), verb)
      }
      if option.value == nil {
        guard parts.count == 1 else { throw Self.error("\(name) takes no value.", verb) }
        values[name, default: []].append("")
      } else if parts.count == 2 {
        values[name, default: []].append(parts[1])
      } else if let value = rest.popFirst() {
        values[name, default: []].append(value)
      } else {
        throw Self.error("\(name) needs a value.", verb)
      }
    }
    guard words.count <= maxWords else { throw Self.error("'\(words[maxWords])' is one word too many.", verb) }
  }

  func has(_ name: String) -> Bool { values[name] != nil }
  /// The last value given.
  subscript(name: String) -> String? { values[name]?.last }
  func all(_ name: String) -> [String] { values[name] ?? [] }

  /// One of a few words, or the first of them when nothing was given.
  func choice<Choice: RawRepresentable & CaseIterable>(
    _ name: String, _ fallback: Choice, verb: String
  ) throws(NebulaError) -> Choice where Choice.RawValue == String {
    guard let text = self[name] else { return fallback }
    guard let choice = Choice(rawValue: text) else {
      let known = Choice.allCases.map(\.rawValue)
      let hint = closest(to: text, among: known).map { "Did you mean '\($0)'? " } ?? ""
      throw NebulaError(
        .usage, "\(name) can't be '\(text)'.", remedy: "\(hint)Known: \(known.joined(separator: ", ")).",
        at: .init(path: name), exit: .configuration)
    }
    return choice
  }

  static func error(_ message: String, _ verb: String) -> NebulaError {
    NebulaError(
      .usage, message, remedy: "See `nebula-swift help\(verb.isEmpty ? "" : " \(verb)")`.", exit: .configuration)
  }

  static func unknown(_ name: String, _ known: [String], _ verb: String) -> NebulaError {
    let hint = closest(to: name, among: known).map { "Did you mean '\($0)'? " } ?? ""
    return NebulaError(
      .usage, "There is no option or verb '\(name)'.",
      remedy: "\(hint)See `nebula-swift help\(verb.isEmpty ? "" : " \(verb)")`.", exit: .configuration)
  }
}

extension NebulaError.Code {
  /// The command line can't be understood.
  static let usage: Self = "cli.usage"
  /// A defect of the program.
  static let unexpected: Self = "cli.unexpected"
}

/// The errors of the command line, for the docs.
let commandLineErrors: [ErrorSpecification] = [
  .init(.usage, "The command line can't be understood.", remedy: "See `nebula-swift help VERB`."),
  .init(.unexpected, "Something failed that no part of the program expected.", remedy: "Report the defect."),
]
