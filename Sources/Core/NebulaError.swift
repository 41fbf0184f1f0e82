/// What went wrong, for the person who has to act on it: a stable code, a sentence, the remedy and the place.
///
/// No message ever holds a secret: a connector passes text through its specification's redaction first.
public struct NebulaError: Error, Sendable, Hashable, Codable {
  /// A stable dotted name, `room.what_happened`. The set is open: each room and each connector adds its own.
  public struct Code: Sendable, Hashable, RawRepresentable, ExpressibleByStringLiteral, Codable {
    /// The dotted name itself.
    public let rawValue: String
    /// Makes a code from its dotted name.
    public init(rawValue: String) { self.rawValue = rawValue }
    /// Makes a code from its dotted name.
    public init(stringLiteral value: String) { rawValue = value }
  }

  /// What the runtime may do about an error.
  public enum Disposition: Sendable, Hashable, Codable {
    /// The same call may succeed later; `after` is the wait that the other side asked for.
    case retry(after: Duration?)
    /// The same call may succeed on a new connection or session.
    case reconnect
    /// This record alone is at fault: it goes to the dead letters.
    case reject
    /// Nothing that a program does will help. Also the answer for everything unknown.
    case stop
  }

  /// Where it went wrong: a configuration key, a file and line, a namespace and key.
  public struct Place: Sendable, Hashable, Codable {
    /// A configuration path (`source.properties.uri`), a file's path or a namespace.
    public var path: String
    /// Counted from 1.
    public var line: Int?
    /// Counted from 1.
    public var column: Int?
    /// The record's key, as JSON text.
    public var key: String?
    /// Makes a place.
    public init(path: String, line: Int? = nil, column: Int? = nil, key: String? = nil) {
      self.path = path
      self.line = line
      self.column = column
      self.key = key
    }
  }

  /// The exit code of the program when this error ends a run (docs/design.md).
  public enum Exit: Int32, Sendable, Hashable, Codable {
    /// Anything that is neither of the others.
    case runtime = 1
    /// The configuration or the command line is wrong.
    case configuration = 2
    /// Something outside is unreachable or not permitted.
    case environment = 3
    /// Two things that should be equal are not.
    case verification = 4
  }

  /// The stable code.
  public let code: Code
  /// One or two sentences: what happened, with the values that matter.
  public let message: String
  /// What to do about it.
  public let remedy: String
  /// Where.
  public var place: Place?
  /// The other system's own code: a Mongo code, a Snowflake query id and SQLSTATE, an errno.
  public var native: String?
  /// What the runtime may do.
  public var disposition: Disposition
  /// The program's exit code if it ends the run.
  public var exit: Exit

  /// Makes an error; `stop` is the disposition unless one is given.
  public init(
    _ code: Code, _ message: String, remedy: String, at place: Place? = nil, native: String? = nil,
    disposition: Disposition = .stop, exit: Exit = .runtime
  ) {
    self.code = code
    self.message = message
    self.remedy = remedy
    self.place = place
    self.native = native
    self.disposition = disposition
    self.exit = exit
  }

  /// True when the same work may be tried again.
  public var isRetryable: Bool {
    switch disposition {
    case .retry, .reconnect: true
    case .reject, .stop: false
    }
  }
}

extension NebulaError: CustomStringConvertible {
  /// `code: message [place] remedy (native)`, on one line.
  public var description: String {
    var text = "\(code.rawValue): \(message)"
    if let place { text += " [\(place)]" }
    text += " \(remedy)"
    if let native { text += " (\(native))" }
    return text
  }
}

extension NebulaError.Place: CustomStringConvertible {
  /// `path:line:column key`.
  public var description: String {
    var text = path
    if let line { text += ":\(line)" }
    if let column { text += ":\(column)" }
    if let key { text += " \(key)" }
    return text
  }
}

/// One line of the error list in the docs: every code is written down once, by the room that throws it.
public struct ErrorSpecification: Sendable, Hashable, Codable {
  /// The code.
  public let code: NebulaError.Code
  /// What it means, in a sentence.
  public let meaning: String
  /// What to do, in a sentence.
  public let remedy: String
  /// Makes a line of the list.
  public init(_ code: NebulaError.Code, _ meaning: String, remedy: String) {
    self.code = code
    self.meaning = meaning
    self.remedy = remedy
  }
}

/// The result of one look at the outside world by `check`: reachable, permitted, as configured.
public struct Finding: Sendable, Hashable, Codable {
  /// True when nothing has to be done.
  public let passed: Bool
  /// What was looked at and what was seen.
  public let summary: String
  /// The error, when it did not pass.
  public let error: NebulaError?
  /// A finding that passed.
  public static func passed(_ summary: String) -> Finding { Finding(passed: true, summary: summary, error: nil) }
  /// A finding that did not pass.
  public static func failed(_ error: NebulaError) -> Finding {
    Finding(passed: false, summary: error.message, error: error)
  }
  private init(passed: Bool, summary: String, error: NebulaError?) {
    self.passed = passed
    self.summary = summary
    self.error = error
  }
}
