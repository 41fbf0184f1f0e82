internal import NebulaCore
internal import NebulaFormats

/// Where a change stream begins.
enum StreamStart: Sendable, Hashable {
  /// Right after this token (a BSON document).
  case token([UInt8])
  /// At this cluster time: asked for by the user, or the server gave no token yet.
  case time(UInt64)
  /// With what happens next.
  case now
}

/// One run of `_id`s of one collection that is still to be copied. Keys are documents `{_id: …}`.
struct SnapshotRange: Sendable, Hashable {
  var namespace: Namespace
  /// Inclusive; nil for the beginning.
  var lower: [UInt8]?
  /// Exclusive; nil for the end.
  var upper: [UInt8]?
  /// The last key that was delivered.
  var cursor: [UInt8]?
  /// The server's newest operation when the range was read to its end; nil before.
  var end: UInt64?
}

/// Which cluster a position belongs to.
struct ClusterIdentity: Sendable, Hashable, CustomStringConvertible {
  var setName: String
  /// The URI's seeds and the members that the server named.
  var hosts: [String]

  var description: String { "\(setName.isEmpty ? "mongos" : setName) at \(hosts.joined(separator: ","))" }

  /// Members come and go, but not all at once under the same name.
  func isSame(as other: ClusterIdentity) -> Bool {
    setName == other.setName && !Set(hosts).isDisjoint(with: other.hosts)
  }
}

/// All that resuming needs (docs/design.md): T0, what is still to be copied, the stream's token and its sequence.
struct MongoPosition: Sendable, Hashable {
  static let version: Int32 = 1

  var cluster: ClusterIdentity
  /// The token of before the copy; its text is part of each copied row's id.
  var t0: StreamStart
  /// The sequence of the rows that are copied from here on.
  var snapshot: ChangeSequence
  /// Where the copy began. Older than `snapshot` once `on_position_lost: from_now` has moved that under way.
  var copyStart: ChangeSequence
  /// Ranges by number; one that is whole is gone. Bounds were fixed once.
  var ranges: [Int32: SnapshotRange] = [:]
  /// The stream, right after the last event delivered.
  var stream: StreamStart
  var sequence: SequenceState

  var isCopied: Bool { ranges.isEmpty }

  /// The place in the order that is behind nothing.
  static let beginning = ChangeSequence(clusterTime: 0, index: 0)
}

extension MongoPosition {
  /// Version 1: a BSON document.
  func encoded() -> Position {
    let document = BSONBuilder {
      $0.append("v", Self.version)
      $0.append("set", cluster.setName)
      $0.append("hosts", strings: cluster.hosts)
      $0.append("t0", t0)
      $0.append("at", timestamp: snapshot.clusterTime)
      $0.append("since", timestamp: copyStart.clusterTime)
      $0.append("stream", stream)
      $0.append("time", timestamp: sequence.clusterTime)
      $0.append("next", Int64(sequence.next))
      if !ranges.isEmpty { $0.append("ranges", array: ranges.sorted { $0.key < $1.key }.map(encoded)) }
    }
    return Position(document.document)
  }

  private func encoded(_ number: Int32, _ range: SnapshotRange) -> [UInt8] {
    BSONBuilder {
      $0.append("n", number)
      $0.append("db", range.namespace.database ?? "")
      $0.append("coll", range.namespace.collection)
      if let lower = range.lower { $0.append("lower", document: lower) }
      if let upper = range.upper { $0.append("upper", document: upper) }
      if let cursor = range.cursor { $0.append("cursor", document: cursor) }
      if let end = range.end { $0.append("end", timestamp: end) }
    }.document
  }

  init(_ position: Position) throws(NebulaError) {
    let decoded = position.bytes.withUnsafeBytes { bytes -> (Int64?, MongoPosition?) in
      guard BSON.validate(bytes) == nil else { return (nil, nil) }
      let version = BSON.find("v", in: bytes)?.integer
      return (version, version == Int64(Self.version) ? MongoPosition(version1: bytes) : nil)
    }
    guard let value = decoded.1 else {
      throw .mongo(
        .mongoPositionUnreadable,
        decoded.0.map { "The stored position has version \($0); this program reads up to \(Self.version)." }
          ?? "The stored position is damaged.")
    }
    self = value
  }

  private init?(version1 bytes: UnsafeRawBufferPointer) {
    guard let set = BSON.find("set", in: bytes)?.stringText,
      let hosts = BSON.find("hosts", in: bytes)?.subdocument,
      let t0 = BSON.find("t0", in: bytes).flatMap(StreamStart.init),
      let at = BSON.find("at", in: bytes)?.timestamp,
      let stream = BSON.find("stream", in: bytes).flatMap(StreamStart.init),
      let time = BSON.find("time", in: bytes)?.timestamp,
      let next = BSON.find("next", in: bytes)?.integer.flatMap(UInt32.init(exactly:))
    else { return nil }
    cluster = ClusterIdentity(setName: set, hosts: elements(of: hosts).compactMap(\.stringText))
    self.t0 = t0
    snapshot = ChangeSequence(clusterTime: at, index: 0)
    copyStart = Self.beginning
    self.stream = stream
    sequence = SequenceState(clusterTime: time, next: next)
    let list = BSON.find("ranges", in: bytes)?.subdocument.map { elements(of: $0) } ?? []
    for element in list {
      guard let (number, range) = element.subdocument.flatMap(SnapshotRange.decoded) else { return nil }
      ranges[number] = range
    }
    // The first programs did not write it. `at` may have moved while their copy was under way, and what was copied
    // before must not pass for older than the copy; nothing is older than the beginning.
    copyStart =
      BSON.find("since", in: bytes)?.timestamp.map { ChangeSequence(clusterTime: $0, index: 0) }
      ?? (ranges.isEmpty ? snapshot : Self.beginning)
  }
}

extension SnapshotRange {
  fileprivate static func decoded(_ bytes: UnsafeRawBufferPointer) -> (Int32, SnapshotRange)? {
    guard let number = BSON.find("n", in: bytes)?.int32, let database = BSON.find("db", in: bytes)?.stringText,
      let collection = BSON.find("coll", in: bytes)?.stringText
    else { return nil }
    func key(_ name: StaticString) -> [UInt8]? { BSON.find(name, in: bytes)?.subdocument.map { Array($0) } }
    return (
      number,
      SnapshotRange(
        namespace: Namespace(database: database, collection: collection), lower: key("lower"), upper: key("upper"),
        cursor: key("cursor"), end: BSON.find("end", in: bytes)?.timestamp)
    )
  }
}

extension StreamStart {
  fileprivate init?(_ element: BSONElement) {
    if element.type == .document, let token = element.subdocument {
      self = .token(Array(token))
    } else if let time = element.timestamp {
      self = .time(time)
    } else if element.type == .null {
      self = .now
    } else {
      return nil
    }
  }

  var isToken: Bool { if case .token = self { true } else { false } }

  /// The token's text, for the rows' ids.
  var tokenText: String {
    guard case .token(let token) = self else { return "" }
    return token.withUnsafeBytes { BSON.find("_data", in: $0)?.stringText } ?? ""
  }

  /// The cluster time that a token begins with: not a documented format, so a hint only.
  var timeHint: UInt64? {
    switch self {
    case .time(let time): return time
    case .now: return nil
    case .token:
      let text = tokenText.utf8
      guard text.starts(with: "82".utf8), text.count >= 18 else { return nil }
      return UInt64(String(tokenText.dropFirst(2).prefix(16)), radix: 16)
    }
  }
}

extension BSONBuilder {
  mutating func append(_ name: String, _ start: StreamStart) {
    switch start {
    case .token(let token): append(name, document: token)
    case .time(let time): append(name, timestamp: time)
    case .now: append(null: name)
    }
  }
}
