public import NebulaCore

/// Makes a configuration from all that was said; on failure, all errors at once.
public struct ConfigurationLoader {
  private let registry: ConnectorRegistry
  private let request: ConfigurationRequest
  private var errors: [NebulaError] = []
  private var secrets: [String] = []
  private var remarks: [Remark] = []

  /// Loads `request`. The redactor comes also with a failure: the errors are shown through it.
  public static func load(
    _ request: ConfigurationRequest, _ registry: ConnectorRegistry
  ) throws(ConfigurationProblems) -> Configuration {
    var loader = ConfigurationLoader(registry, request)
    let configuration = loader.load()
    if let configuration, loader.errors.isEmpty { return configuration }
    let redactor = Redactor(secrets: loader.secrets)
    // In the order of the text; what has no line comes first.
    let sorted = loader.errors.enumerated().sorted { a, b in
      let (one, other) = (a.element.place, b.element.place)
      return (one?.line ?? 0, one?.column ?? 0, a.offset) < (other?.line ?? 0, other?.column ?? 0, b.offset)
    }
    throw ConfigurationProblems(errors: sorted.map { $0.element.redacted(by: redactor) })
  }

  private init(_ registry: ConnectorRegistry, _ request: ConfigurationRequest) {
    self.registry = registry
    self.request = request
  }

  private mutating func load() -> Configuration? {
    guard let tree = tree() else { return nil }
    guard case .map(let entries, let place) = tree else {
      errors.append(
        configurationError(
          .configurationSyntax, "A configuration is a map.", remedy: "Start with `source:` and `destination:`.",
          at: tree.place))
      return nil
    }
    let sections = Properties(entries)
    refuseUnknown(
      sections, among: ["name", "source", "destination", "pipeline", "state", "plugins"], of: "A configuration")
    if let plugins = sections["plugins"] {
      errors.append(
        configurationError(
          .notSupported, "Plugins are not supported yet.", remedy: "Leave `plugins` out.", at: plugins.place))
    }
    let settings = settings(sections["pipeline"])
    let source = endpoint(sections["source"], .source, flag: request.source, place)
    let destination = endpoint(sections["destination"], .destination, flag: request.destination, place)
    let written = name(sections["name"])
    let state = request.stateDirectory ?? sections["state"].flatMap { stateDirectory($0) }
    guard let source, let destination else { return nil }
    var configuration = Configuration(
      name: written ?? "", source: source, destination: destination, settings: settings.settings,
      stateDirectory: "", redactor: Redactor(secrets: secrets))
    configuration.remarks = remarks
    if written == nil { configuration.name = PipelineName.standard(for: configuration.identity) }
    configuration.stateDirectory = StateDirectory.find(
      state, pipeline: configuration.name, environment: request.environment)
    return configuration
  }

  // MARK: - The tree

  /// The file with the overrides, expanded.
  private mutating func tree() -> PropertyValue? {
    do throws(NebulaError) {
      var tree = PropertyValue.map([], at: .init(path: request.path ?? "command line"))
      if let path = request.path {
        guard let bytes = request.readFile(path) else {
          throw configurationError(
            .configurationUnreadable, "The configuration \(path) can't be read.",
            remedy: "Check the path and its rights.", at: .init(path: path))
        }
        tree = try YAMLReader.read(bytes, path: path)
      }
      for text in request.overrides { apply(text, to: &tree) }
      var expansion = Expansion(environment: request.environment, readFile: request.readFile)
      let expanded = expansion.expand(tree)
      errors += expansion.errors
      secrets += expansion.secrets
      return expanded
    } catch {
      errors.append(error)
      return nil
    }
  }

  private mutating func apply(_ text: String, to tree: inout PropertyValue) {
    do throws(NebulaError) { tree = try Override(text).apply(to: tree) } catch { errors.append(error) }
  }

  // MARK: - Sections

  private mutating func endpoint(
    _ section: PropertyValue?, _ role: ConnectorSpecification.Role, flag: String?, _ whole: NebulaError.Place
  ) -> Configuration.Endpoint? {
    let path = role.rawValue
    var section = map(section, path)
    refuseUnknown(section, among: ["type", "properties"], of: "'\(path)'")
    if let flag {
      // Settings of another connector would only be misunderstood.
      if let type = section["type"]?.text, type != flag { section["properties"] = nil }
      let word = role == .source ? "--source" : "--dest"
      section["type"] = .scalar(flag, at: .init(path: word))
    }
    var properties = map(section["properties"], "\(path).properties")
    guard let type = section["type"], let name = type.text else {
      secrets += hidden(in: properties)
      errors.append(
        configurationError(
          .missingProperty, "The \(path) has no type.",
          remedy:
            "Write `\(path): { type: … }` or use --\(role == .source ? "source" : "dest"). Run `nebula-swift list` for all.",
          at: section["type"]?.place ?? .init(path: whole.path)))
      return nil
    }
    do throws(NebulaError) {
      let connector = try registry.connector(name, role, at: type.place)
      let completion = connector.complete?(properties, request.environment) ?? Completion(properties)
      properties = completion.properties
      fill(&properties, connector.specification, except: completion.closed)
      secrets += completion.secrets + connector.specification.secrets(in: properties)
      secrets += properties.entries.compactMap(\.value.text).flatMap { Redactor.secrets(inURL: $0) }
      remarks += completion.remarks
      errors += completion.errors
      errors += connector.specification.problems(
        with: properties, at: "\(path).properties", hints: completion.hints
      ).filter {
        // What could not be read may hold what is missing.
        completion.errors.isEmpty || $0.code != .missingProperty
      }
      return Configuration.Endpoint(connector: connector, properties: properties)
    } catch {
      secrets += hidden(in: properties)
      errors.append(error)
      return nil
    }
  }

  /// Without a connector nobody knows what is secret: nothing of it is shown.
  private func hidden(in properties: Properties) -> [String] { properties.entries.compactMap(\.value.text) }

  /// Properties that are not written come from the environment; what looks like a structure is read as one.
  private func fill(
    _ properties: inout Properties, _ specification: ConnectorSpecification, except closed: Set<String>
  ) {
    for property in specification.properties
    where properties[property.name] == nil && !closed.contains(property.name) {
      for variable in property.environment {
        guard let text = request.environment[variable], !text.isEmpty else { continue }
        let place = NebulaError.Place(path: "$\(variable)")
        let isStructure = [.list, .map, .structure].contains(property.kind) && (text.first == "[" || text.first == "{")
        let parsed = isStructure ? try? YAMLReader.read(Array(text.utf8), path: place.path) : nil
        properties[property.name] = parsed ?? .scalar(text, at: place)
        break
      }
    }
  }

  private mutating func settings(_ section: PropertyValue?) -> PipelineOptions {
    let properties = map(section, "pipeline")
    let specification = ConnectorSpecification(
      name: "pipeline", role: .source, summary: "", properties: PipelineOptions.fields.map(\.specification))
    let problems = specification.problems(with: properties, at: "pipeline")
    errors += problems
    guard problems.isEmpty else { return PipelineOptions() }
    do throws(NebulaError) { return try PipelineOptions(decoding: properties) } catch {
      errors.append(error)
      return PipelineOptions()
    }
  }

  private mutating func name(_ value: PropertyValue?) -> String? {
    let given = request.name.map { PropertyValue.scalar($0, at: .init(path: "--name")) } ?? value
    guard let given else { return nil }
    guard let text = given.text else {
      errors.append(wrongType(given, "name", "a text"))
      return nil
    }
    if let error = PipelineName.check(text, at: given.place) { errors.append(error) }
    return text
  }

  private mutating func stateDirectory(_ value: PropertyValue) -> String? {
    guard let text = value.text, !text.isEmpty else {
      errors.append(wrongType(value, "state", "a folder's path"))
      return nil
    }
    return text
  }

  // MARK: - Helpers

  private mutating func map(_ value: PropertyValue?, _ name: String) -> Properties {
    switch value {
    case .map(let entries, _): return Properties(entries)
    case nil: return Properties()
    case let value?:
      errors.append(wrongType(value, name, "a map"))
      return Properties()
    }
  }

  private func wrongType(_ value: PropertyValue, _ name: String, _ wanted: String) -> NebulaError {
    configurationError(
      .badProperty, "'\(name)' is not \(wanted).", remedy: "See `nebula-swift help configuration`.", at: value.place)
  }

  private mutating func refuseUnknown(_ section: Properties, among known: [String], of owner: String) {
    for entry in section.entries where !known.contains(entry.name) {
      errors.append(unknownName(entry.name, "key", of: owner, among: known, at: entry.place))
    }
  }
}

extension NebulaError {
  /// The same error without secrets.
  public func redacted(by redactor: Redactor) -> NebulaError {
    let shown = place.map {
      Place(path: redactor($0.path), line: $0.line, column: $0.column, key: $0.key.map { redactor($0) })
    }
    return NebulaError(
      code, redactor(message), remedy: redactor(remedy), at: shown, native: native.map { redactor($0) },
      disposition: disposition, exit: exit)
  }
}
