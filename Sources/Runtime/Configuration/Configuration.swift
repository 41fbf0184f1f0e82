public import NebulaCore

/// A pipeline as configured: everything decided, nothing opened yet.
public struct Configuration: Sendable {
  /// One end of the pipeline.
  public struct Endpoint: Sendable {
    /// What it is.
    public var connector: Connector
    /// Its settings, filled from the environment and expanded.
    public var properties: Properties
    /// What says *what* is moved. Of a secret only the digest, of an address neither a user nor a signature: the identity
    /// is stored and shown, and a signature that was renewed names the same place.
    public var identity: [String: String] {
      var identity = connector.specification.identity(of: properties).mapValues(Self.place)
      for property in connector.specification.properties where property.isSecret && property.isIdentity {
        identity[property.name] = identity[property.name].map {
          SHA256.hex(SHA256.digest(of: Array($0.utf8)).prefix(8))
        }
      }
      return identity
    }

    /// An address without what stands before `@` and behind `?`; any other text as it is.
    static func place(_ text: String) -> String {
      guard let scheme = text.firstRange(of: "://") else { return text }
      let rest = text[scheme.upperBound...].prefix { $0 != "?" && $0 != "#" }
      let authority = rest.prefix { $0 != "/" }
      let host = authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
      return String(text[..<scheme.upperBound]) + host + rest[authority.endIndex...]
    }
  }
  /// The pipeline's name.
  public var name: String
  /// Where records come from.
  public var source: Endpoint
  /// Where they go.
  public var destination: Endpoint
  /// The `pipeline:` section.
  public var settings: PipelineSettings
  /// The folder of the state, the dead letters and the spool.
  public var stateDirectory: String
  /// Hides every secret of this configuration.
  public var redactor: Redactor
  /// What was seen while it was read, for the log.
  public var remarks: [Remark] = []

  /// What is stored with the position.
  public var identity: PipelineIdentity {
    PipelineIdentity(
      source: source.connector.specification.name, sourceIdentity: source.identity,
      destination: destination.connector.specification.name, destinationIdentity: destination.identity)
  }
  /// The state file.
  public var stateFile: String { "\(stateDirectory)/\(SQLiteStateStore.fileName)" }
  /// The folder of staged files: this pipeline's own, since it is swept at start. In a folder that the user names and
  /// other pipelines may share, it is told apart by the state's path.
  public var spoolFolder: String {
    guard let shared = settings.spoolDirectory else { return "\(stateDirectory)/spool" }
    return "\(shared)/\(name)-\(SHA256.hex(SHA256.digest(of: Array(stateFile.utf8)).prefix(8)))"
  }
}

/// What is said about a pipeline from all sides: a file, the command line, the environment.
public struct ConfigurationRequest: Sendable {
  /// The configuration file; nil for none.
  public var path: String?
  /// `--source`.
  public var source: String?
  /// `--dest`.
  public var destination: String?
  /// `--name`.
  public var name: String?
  /// `--set a.b=c`, in order.
  public var overrides: [String] = []
  /// `--state`.
  public var stateDirectory: String?
  /// The environment.
  public var environment: [String: String]
  /// Reads a small file; nil when it can't be read.
  public var readFile: @Sendable (String) -> [UInt8]?
  /// Nothing said yet.
  public init(
    path: String? = nil, environment: [String: String] = [:],
    readFile: @escaping @Sendable (String) -> [UInt8]? = { smallFile($0, limit: 1 << 20) }
  ) {
    self.path = path
    self.environment = environment
    self.readFile = readFile
  }
}

/// The names that pipelines may have: they become parts of file names and of objects' names.
enum PipelineName {
  static let maxLength = 100

  static func check(_ name: String, at place: NebulaError.Place) -> NebulaError? {
    let letters = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789".utf8)
    let isGood =
      name.utf8.first.map(letters.contains) ?? false && name.utf8.count <= maxLength
      && name.utf8.allSatisfy { letters.contains($0) || "._-".utf8.contains($0) }
    guard !isGood else { return nil }
    return configurationError(
      .badName, "'\(name)' can't be a pipeline's name.",
      remedy: "Use letters, digits, '.', '_' and '-', starting with a letter or digit, \(maxLength) at most.", at: place
    )
  }

  /// `<source>-<dest>-<8 hex of both identities>`.
  static func standard(for identity: PipelineIdentity) -> String {
    func written(_ map: [String: String]) -> String {
      map.sorted { $0.key < $1.key }.map { "\($0.key.utf8.count):\($0.key)\($0.value.utf8.count):\($0.value)" }.joined()
    }
    let text = "\(written(identity.sourceIdentity))|\(written(identity.destinationIdentity))"
    let digest = SHA256.hex(SHA256.digest(of: Array(text.utf8)).prefix(4))
    return "\(identity.source)-\(identity.destination)-\(digest)"
  }
}

/// Where a pipeline's state lies (docs/design.md).
public enum StateDirectory {
  /// `given` (from `--state` or `state:`), `NEBULA_STATE_DIR`, else below `$XDG_STATE_HOME` or `~/.local/state`.
  public static func find(_ given: String?, pipeline: String, environment: [String: String]) -> String {
    func set(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    if let explicit = given ?? set("NEBULA_STATE_DIR") { return explicit }
    return "\(base(environment))/\(pipeline)"
  }

  /// The folder that holds one folder a pipeline when nothing else is said.
  public static func base(_ environment: [String: String]) -> String {
    func set(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    // XDG: a relative path is to be ignored.
    let home = set("XDG_STATE_HOME").flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "\(set("HOME") ?? "/tmp")/.local/state"
    return "\(home)/nebula-swift"
  }
}
