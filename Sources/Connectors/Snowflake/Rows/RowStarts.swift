internal import NebulaCore
internal import NebulaFormats

/// How rows of changes begin: `{"op":"insert","ns":"shop.orders","time":"2026-11-21T10:00:00.000","seq":"…"`.
///
/// The changes of a batch are of few kinds and come many in a second, so the last start of a kind is kept. One owner at
/// a time.
final class RowStarts {
  private final class Kept {
    var kind = UInt64.max
    var time = Int64.min
    let text = OutputBuffer(capacity: 64)
  }
  /// A kind has its place by its lowest bits; another of the same place drives it out. Made as they are needed: a file of
  /// one table of thousands has one or two.
  private var kept = [Kept?](repeating: nil, count: 16)

  /// Forgets what belongs to an earlier batch, whose namespaces are counted otherwise.
  func removeAll() { for index in kept.indices { kept[index]?.kind = .max } }

  func append(_ index: Int, _ changes: ChangeColumns, _ batch: RecordBatch, to rows: OutputBuffer) {
    let (operation, time) = (changes.operations[index], changes.eventTimes[index])
    let kind = UInt64(changes.namespaces[index]) << 8 | UInt64(operation.rawValue)
    let place = Int(truncatingIfNeeded: kind ^ kind >> 8) & 15
    let start = kept[place] ?? Kept()
    if start.kind != kind || start.time != time {
      Self.write(changes.name(of: operation), batch.namespace(of: index), time, start.text)
      start.kind = kind
      start.time = time
      kept[place] = start
    }
    rows.append(start.text)
    rows.append(",\"seq\":\"")
    rows.append(changes.sequences[index])
    rows.append("\"")
  }

  private static func write(_ operation: String, _ namespace: Namespace, _ time: Int64, _ text: OutputBuffer) {
    text.removeAll()
    text.append("{\"op\":")
    JSONText.appendString(operation, to: text)
    text.append(",\"ns\":")
    JSONText.appendString(namespace.description, to: text)
    guard time != .min else { return }
    // Without a zone, since EVENT_TIME has none: it is UTC.
    text.append(",\"time\":\"")
    text.append(iso8601: time)
    text.truncate(to: text.count - 1)
    text.append("\"")
  }
}

/// Writes what tells a change from all others: an event's token, a copied row's own id. One owner at a time.
final class RowIDs {
  private let copiedRow = CopiedRowID()
  private let scratch = OutputBuffer(capacity: 512)
  private var namespaces = NamespaceText()

  /// Forgets what belongs to an earlier batch, whose namespaces are counted otherwise.
  func removeAll() { namespaces.removeAll() }

  /// `,"id":"…"`; nothing for an event that has no token.
  func append(
    _ index: Int, _ changes: ChangeColumns, _ batch: RecordBatch, _ bytes: UnsafeRawBufferPointer, to rows: OutputBuffer
  ) throws(NebulaError) {
    let token = changes.tokens[index].slice(of: bytes)
    guard changes.operations[index] == .snapshot else {
      guard !token.isEmpty else { return }
      rows.append(",\"id\":")
      return JSONText.appendString(token, to: rows)
    }
    scratch.removeAll(keepingCapacity: true)
    try copiedRow.append(
      token: token, namespace: namespaces.text(of: index, batch), key: changes.keys[index].slice(of: bytes),
      batch.format,
      to: scratch)
    rows.append(",\"id\":")
    scratch.withBytes { JSONText.appendString($0, to: rows) }
  }
}
