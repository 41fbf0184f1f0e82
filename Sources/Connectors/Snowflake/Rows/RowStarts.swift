internal import NebulaCore
internal import NebulaFormats

/// How rows of the landing table begin: `{"op":"insert","ns":"shop.orders","time":"2026-11-21T10:00:00.000"`.
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
