extension ConnectorSpecification {
  /// Everything that is wrong with `given` and can be seen without making the connector: unknown names, values of the
  /// wrong type or out of range, missing properties. All of it, so that a user mends a file once. `hints` say where else
  /// a missing property may be given.
  public func problems(
    with given: Properties, at path: String, hints: [String: String] = [:]
  ) -> [NebulaError] {
    let names = properties.map(\.name)
    var problems: [NebulaError] = []
    for entry in given.entries where !names.contains(entry.name) {
      problems.append(unknownName(entry.name, "property", of: "'\(name)'", among: names, at: entry.place))
    }
    for property in properties {
      if let value = given[property.name] {
        if let problem = property.problem(with: value) { problems.append(problem) }
      } else if property.isRequired {
        var problem = property.missing(hint: hints[property.name])
        problem.place = .init(path: "\(path).\(property.name)")
        problems.append(problem)
      }
    }
    return problems
  }
}

/// The error for a name that does not exist, with the closest one that does.
public func unknownName(
  _ name: String, _ what: String, of owner: String, among known: [String], at place: NebulaError.Place?
) -> NebulaError {
  let hint = closest(to: name, among: known).map { "Did you mean '\($0)'? " } ?? ""
  return NebulaError(
    .unknownProperty, "\(owner) has no \(what) '\(name)'.", remedy: "\(hint)Known: \(known.joined(separator: ", ")).",
    at: place, exit: .configuration)
}

extension PropertySpecification {
  /// What is wrong with `value`, or nil.
  func problem(with value: PropertyValue) -> NebulaError? {
    let isFitting =
      switch kind {
      case .string: String(property: value) != nil
      case .integer: Int(property: value) != nil
      case .boolean: Bool(property: value) != nil
      case .duration: Duration(property: value) != nil
      case .bytes: ByteCount(property: value) != nil
      case .choice: value.text.map { text in choices.contains { $0.lowercased() == text.lowercased() } } ?? false
      case .list: [String](property: value) != nil
      case .map: [String: String](property: value) != nil
      case .structure: true
      }
    guard isFitting else { return bad(value, expectation) }
    let isInRange =
      switch kind {
      case .integer: contains(value, Int.self)
      case .duration: contains(value, Duration.self)
      case .bytes: contains(value, ByteCount.self)
      default: true
      }
    return isInRange ? nil : bad(value, "is out of range (\(minimum ?? "") to \(maximum ?? ""))")
  }

  private func contains<Value: PropertyDecodable & Comparable>(_ value: PropertyValue, _: Value.Type) -> Bool {
    guard let number = Value(property: value) else { return false }
    func limit(_ text: String?) -> Value? {
      text.flatMap { Value(property: .scalar($0, at: value.place)) }
    }
    return limit(minimum).map { $0 <= number } ?? true && limit(maximum).map { number <= $0 } ?? true
  }
}
