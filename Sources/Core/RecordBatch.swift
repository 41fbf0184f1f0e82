/// How the records' bytes are written.
public enum PayloadFormat: UInt8, Sendable, Hashable, Codable {
  /// One JSON value a record, validated where it entered.
  case json
  /// One BSON document a record.
  case bson
  /// One CSV row a record (without its line end), in the dialect of the batch's schema.
  case csv
}

/// Where a record came from: database and collection, or a file.
public struct Namespace: Sendable, Hashable, Codable, CustomStringConvertible {
  /// The database; nil for a file.
  public let database: String?
  /// The collection, or the file's name without folder and extensions; empty for events of a whole database.
  public let collection: String
  /// Makes a namespace.
  public init(database: String? = nil, collection: String) {
    self.database = database
    self.collection = collection
  }
  /// `database.collection`.
  public var description: String { database.map { collection.isEmpty ? $0 : "\($0).\(collection)" } ?? collection }
}

/// What a file or table looks like, for payloads that need it to be read (CSV) or that declare types.
public struct RecordSchema: Sendable, Hashable {
  /// The type of a column as declared; undeclared columns stay text.
  public enum ColumnType: String, Sendable, Hashable, Codable, CaseIterable {
    case text, integer, number, boolean, date, timestamp, json
  }
  /// One column.
  public struct Column: Sendable, Hashable {
    /// As in the header, or `column_1` … without one.
    public var name: String
    /// As declared.
    public var type: ColumnType
    /// Makes a column.
    public init(_ name: String, _ type: ColumnType = .text) {
      self.name = name
      self.type = type
    }
  }
  /// In the order of the fields.
  public var columns: [Column]
  /// CSV: between fields.
  public var delimiter: UInt8
  /// CSV: around fields; doubled inside them.
  public var quote: UInt8
  /// Makes a schema.
  public init(columns: [Column], delimiter: UInt8 = UInt8(ascii: ","), quote: UInt8 = UInt8(ascii: "\"")) {
    self.columns = columns
    self.delimiter = delimiter
    self.quote = quote
  }
}

/// A record that can't be delivered, with the reason: it goes to the dead letters and is counted.
public struct RejectedRecord: Sendable, Hashable {
  /// Why, and where it stood.
  public let error: NebulaError
  /// The record as it came; may be cut by whoever made it if it does not fit (the error says so).
  public let payload: [UInt8]
  /// How `payload` is written.
  public let format: PayloadFormat
  /// Makes a rejected record.
  public init(_ error: NebulaError, payload: [UInt8], format: PayloadFormat) {
    self.error = error
    self.payload = payload
    self.format = format
  }
}

/// A run of records over one shared buffer, with the position that covers them.
///
/// Everything per record is a fixed-width column or a slice of `bytes`: no object and no `String` a record.
public struct RecordBatch: Sendable {
  /// The buffer, usually about 1 MiB.
  public let bytes: SharedBytes
  /// Where record *i* stands in the buffer. Slices need not touch: a source may keep other bytes between them.
  public let records: [ByteRange]
  /// How the records are written.
  public let format: PayloadFormat
  /// The namespaces that `namespace(of:)` speaks of; at least one unless the batch is empty.
  public let namespaces: [Namespace]
  /// The change of each record; nil for plain records (files), whose namespace is `namespaces[0]`.
  public let changes: ChangeColumns?
  /// Columns and dialect; needed for CSV. A change of schema cuts the epoch.
  public let schema: RecordSchema?
  /// Records that the source itself could not read. They belong before `position`.
  public let rejected: [RejectedRecord]
  /// Records that the source dropped because the configuration says so.
  public let filtered: Int
  /// Where to resume after this batch; nil where no safe boundary lies (an epoch is cut only where it is set).
  public let position: Position?
  /// How far behind the source this batch is.
  public let lag: Lag
  /// Where the copy of the source's state stands.
  public let copy: CopyPhase
  /// True when the source was heard of: without records, that it has none. False when only time went by, and it may as
  /// well be out of reach.
  public let isAnswer: Bool

  /// Lag as the source knows it when the batch was made.
  public struct Lag: Sendable, Hashable {
    /// The source's newest known operation time, in milliseconds since 1970; nil when it has no such time.
    public var newest: Int64?
    /// Bytes that are still to be read; nil when the source can't know.
    public var remainingBytes: UInt64?
    /// Makes a lag.
    public init(newest: Int64? = nil, remainingBytes: UInt64? = nil) {
      self.newest = newest
      self.remainingBytes = remainingBytes
    }
  }

  /// Makes a batch. Ranges that do not lie in `bytes` are a defect of the source and stop the process.
  public init(
    bytes: SharedBytes, records: [ByteRange], format: PayloadFormat, namespaces: [Namespace],
    changes: ChangeColumns? = nil, schema: RecordSchema? = nil, rejected: [RejectedRecord] = [], filtered: Int = 0,
    position: Position?, lag: Lag = Lag(), copy: CopyPhase = .none, isAnswer: Bool = true
  ) {
    precondition(changes == nil || changes?.count == records.count, "change columns and records differ in count")
    for record in records {
      precondition(record.start <= record.end && Int(record.end) <= bytes.count, "record outside its buffer")
    }
    self.bytes = bytes
    self.records = records
    self.format = format
    self.namespaces = namespaces
    self.changes = changes
    self.schema = schema
    self.rejected = rejected
    self.filtered = filtered
    self.position = position
    self.lag = lag
    self.copy = copy
    self.isAnswer = isAnswer
  }

  /// A batch without records: it moves the position, and may say where the copy stands.
  public static func idle(
    at position: Position?, lag: Lag = Lag(), filtered: Int = 0, copy: CopyPhase = .none, isAnswer: Bool = true
  ) -> RecordBatch {
    RecordBatch(
      bytes: SharedBytes(copying: []), records: [], format: .json, namespaces: [], filtered: filtered,
      position: position, lag: lag, copy: copy, isAnswer: isAnswer)
  }

  /// How many records there are, without the rejected and the filtered.
  @inlinable public var count: Int { records.count }

  /// All records that this batch answers for (Invariant 4).
  public var read: UInt64 { UInt64(records.count) + UInt64(rejected.count) + UInt64(filtered) }

  /// True while more is waiting at the source than comes fresh: a copy is made, bytes are left to be read, or the newest
  /// event of the batch is older than the source's newest by more than a minute.
  public var isBehind: Bool {
    if case .underway = copy { return true }
    if let remaining = lag.remainingBytes { return remaining > 0 }
    guard let newest = lag.newest, let event = changes?.eventTimes.max(), event > .min else { return false }
    return newest > event && newest - event > 60_000
  }

  /// The buffer, borrowed for the call; slice it with `records` and the change columns.
  @inlinable public func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    try body(bytes.base)
  }

  /// The namespace of record `index`.
  @inlinable public func namespace(of index: Int) -> Namespace {
    namespaces[changes.map { Int($0.namespaces[index]) } ?? 0]
  }
}
