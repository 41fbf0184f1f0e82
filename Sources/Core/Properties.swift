/// A connector's settings as they were written, each with its place: text until the specification gives it a type.
public struct Properties: Sendable, Hashable, ExpressibleByDictionaryLiteral {
  /// In the order in which they were written.
  public private(set) var entries: [Entry] = []

  /// One property.
  public struct Entry: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// Its value with place.
    public var value: PropertyValue
    /// Where its name was written, if that is known.
    public var namePlace: NebulaError.Place?
    /// Where to point when the name is at fault.
    public var place: NebulaError.Place { namePlace ?? value.place }
  }

  /// No settings.
  public init() {}

  /// Makes settings from plain texts, for tests and programs; the place is the name.
  public init(dictionaryLiteral texts: (String, String)...) {
    for (name, text) in texts { self[name] = .scalar(text, at: .init(path: name)) }
  }

  /// The same, where the type must be said.
  public init(_ texts: KeyValuePairs<String, String>) {
    for (name, text) in texts { self[name] = .scalar(text, at: .init(path: name)) }
  }

  /// Makes settings from the entries of a map.
  public init(_ entries: [Entry]) { self.entries = entries }

  /// Adds a property, or replaces its value, with the place of its name.
  public mutating func set(_ name: String, _ value: PropertyValue, named place: NebulaError.Place) {
    self[name] = value
    if let index = entries.firstIndex(where: { $0.name == name }) { entries[index].namePlace = place }
  }

  /// The value called `name`; setting nil removes it.
  public subscript(name: String) -> PropertyValue? {
    get { entries.first { $0.name == name }?.value }
    set {
      let index = entries.firstIndex { $0.name == name }
      switch (index, newValue) {
      case (let index?, let value?): entries[index].value = value
      case (let index?, nil): entries.remove(at: index)
      case (nil, let value?): entries.append(Entry(name: name, value: value))
      case (nil, nil): break
      }
    }
  }
}

/// A node of a configuration: a scalar, a list or a map, with the place where it was written.
public indirect enum PropertyValue: Sendable, Hashable {
  /// A scalar's text, after expansion of `${…}`.
  case scalar(String, at: NebulaError.Place)
  /// A list.
  case list([PropertyValue], at: NebulaError.Place)
  /// A map, in the order in which it was written.
  case map([Properties.Entry], at: NebulaError.Place)

  /// Where it was written.
  public var place: NebulaError.Place {
    switch self {
    case .scalar(_, let place), .list(_, let place), .map(_, let place): place
    }
  }
  /// The text of a scalar, else nil.
  public var text: String? { if case .scalar(let text, _) = self { text } else { nil } }
}
