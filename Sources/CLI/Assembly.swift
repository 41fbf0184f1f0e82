import NebulaCore
import NebulaRuntime

/// A configured pipeline with its two ends made, but nothing opened.
struct Assembly {
  let configuration: Configuration
  let context: ConnectorContext
  let deadLetters: FileDeadLetterStore
  let source: any Source
  let destination: any Destination
  /// What this source and this destination, so configured, promise (Invariant 8).
  let guarantee: Guarantee

  static let pipelineOptions: [Arguments.Option] = [
    .init("--source", "NAME", "The source's connector; see `nebula-swift list`."),
    .init("--dest", "NAME", "The destination's connector."),
    .init("--name", "NAME", "The pipeline's name."),
    .init("--set", "PATH=VALUE", "Set one value, as in source.database=shop; may be repeated."),
    .init("--state", "DIR", "Where the state, the dead letters and the spool lie."),
    .init("--log-level", "LEVEL", "debug, info, warning or error (default: info)."),
  ]

  /// What the command line says of a pipeline.
  static func request(_ arguments: Arguments) -> ConfigurationRequest {
    var request = ConfigurationRequest(path: arguments.words.first, environment: Environment.all)
    request.source = arguments["--source"]
    request.destination = arguments["--dest"]
    request.name = arguments["--name"]
    request.overrides = arguments.all("--set")
    request.stateDirectory = arguments["--state"]
    return request
  }

  static func configuration(_ arguments: Arguments, _ console: Console, verb: String) throws -> Configuration {
    console.show(from: try arguments.choice("--log-level", LogLevel.info, verb: verb).level)
    let configuration = try ConfigurationLoader.load(
      request(arguments), try ConnectorRegistry(builtinConnectors))
    console.hide(configuration.redactor)
    for remark in configuration.remarks { console.log(remark.level, remark.text) }
    return configuration
  }

  init(
    _ configuration: Configuration, mode: RunMode, log: Logger, crash: CrashPoints = .none
  ) throws {
    let folder = configuration.stateDirectory
    let deadLetters = FileDeadLetterStore(folder: "\(folder)/dead-letters", redactor: configuration.redactor)
    let context = ConnectorContext(
      pipeline: configuration.name, mode: mode, clock: .system, log: log,
      budget: MemoryBudget(bytes: configuration.settings.maxInFlightBytes), deadLetters: deadLetters,
      paths: Paths(
        state: folder, spool: configuration.spoolFolder, maxSpoolBytes: configuration.settings.maxSpoolBytes),
      crash: crash,
      retryFor: configuration.settings.retryFor)
    guard
      let makeSource = configuration.source.connector.makeSource,
      let makeDestination = configuration.destination.connector.makeDestination
    else {
      throw NebulaError(.unexpected, "A connector lacks the side it was found by.", remedy: "Report this defect.")
    }
    (self.configuration, self.context, self.deadLetters) = (configuration, context, deadLetters)
    // Both ends are decoded before any error is shown, so that a user sees the faults of both.
    let sourceResult = Result { try makeSource(configuration.source.properties, context) }
    let destinationResult = Result { try makeDestination(configuration.destination.properties, context) }
    let errors = [sourceResult.failure, destinationResult.failure].compactMap { $0 as? NebulaError }
    if !errors.isEmpty { throw ConfigurationProblems(errors: errors.map { $0.redacted(by: configuration.redactor) }) }
    source = try sourceResult.get()
    destination = try destinationResult.get()
    guarantee = try destination.guarantee(from: source.traits)
  }
}

extension Result {
  fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}

/// As written after `--log-level`.
enum LogLevel: String, CaseIterable {
  case debug, info, warning, error
  var level: Logger.Level {
    switch self {
    case .debug: .debug
    case .info: .info
    case .warning: .warning
    case .error: .error
    }
  }
}
