internal import NebulaCore
internal import NebulaFormats

/// Writes changes as lines of JSON for tables of `ChangeTable`: merged by key, or with the document's fields in columns.
///
/// A merge needs the state after the change. So an update without its document is no row: the document was gone when it
/// was looked up, and what took it away comes as a change of its own (the guarantee refuses sources of which that is not
/// true). Changes of whole collections become sweeps.
final class ChangeEncoder: RowEncoder {
  let rows = OutputBuffer(capacity: 1024)
  let key: RowKey?
  private let documents: BSONToJSON
  private let canonical = BSONToJSON(.canonical)
  private let fields: DocumentFields?
  private let hasOverflow: Bool
  private let limit: Int
  private let starts = RowStarts()
  private let ids = RowIDs()
  private let keyText = OutputBuffer(capacity: 128)
  private var namespaces = NamespaceText()
  private var sweeps: [Sweep] = []
  private(set) var copied = CopiedRows.none

  init(_ layout: TableLayout, _ options: SnowflakeOptions, limit: Int) {
    documents = BSONToJSON(BSONJSONMode(options.json))
    key = layout.merge == nil ? nil : RowKey()
    hasOverflow = layout.hasOverflow
    fields =
      layout.columns.contains { $0.origin == .document }
      ? nil : DocumentFields(layout, contract: options.schemaRule, documents)
    self.limit = limit
  }

  func start(_ batch: RecordBatch, order: UInt32) throws(NebulaError) {
    starts.removeAll()
    namespaces.removeAll()
    ids.removeAll()
    guard batch.format != .csv, batch.changes != nil else {
      throw NebulaError(
        .formatMismatch, "Plain records came for a table of changes.",
        remedy: "Give each its own table: {collection} in table does it.")
    }
  }

  func takeSweeps() -> [Sweep] {
    defer { sweeps = [] }
    return sweeps
  }

  func append(_ index: Int, of batch: RecordBatch, _ bytes: UnsafeRawBufferPointer) throws(NebulaError) -> Bool {
    guard let changes = batch.changes else { return false }
    let document = changes.documents[index].slice(of: bytes)
    if key != nil, try isNoRow(index, changes, batch, document) { return false }
    try appendRow(limit: limit) { () throws(NebulaError) in try row(index, changes, batch, bytes, document) }
    copied.add(changes.operations[index] == .snapshot ? .at(changes.sequences[index]) : .mixed)
    return true
  }

  private func isNoRow(
    _ index: Int, _ changes: ChangeColumns, _ batch: RecordBatch, _ document: UnsafeRawBufferPointer
  ) throws(NebulaError) -> Bool {
    switch changes.operations[index] {
    case .delete: return false
    case .snapshot, .insert, .update, .replace: return document.isEmpty
    case let other:
      let sweep = try CollectionChange.sweep(
        changes.name(of: other), batch.namespace(of: index), changes.sequences[index], batch.copy)
      if let sweep { sweeps.append(sweep) }
      return true
    }
  }

  private func row(
    _ index: Int, _ changes: ChangeColumns, _ batch: RecordBatch, _ bytes: UnsafeRawBufferPointer,
    _ document: UnsafeRawBufferPointer
  ) throws(NebulaError) {
    starts.append(index, changes, batch, to: rows)
    try writeKey(index, changes, bytes, batch)
    if key != nil {
      rows.append(changes.operations[index] == .delete ? ",\"deleted\":true" : ",\"deleted\":false")
    } else {
      try ids.append(index, changes, batch, bytes, to: rows)
    }
    if !document.isEmpty { try write(document, batch.format) }
    rows.append("}\n")
  }

  private func write(_ document: UnsafeRawBufferPointer, _ format: PayloadFormat) throws(NebulaError) {
    guard let fields else {
      rows.append(",\"document\":")
      return format == .bson ? try documents.append(document: document, to: rows) : rows.append(oneLine: document)
    }
    rows.append(",\"fields\":")
    try fields.append(document, format, to: rows)
    guard !fields.overflow.isEmpty else { return }
    rows.append(",\"overflow\":")
    fields.overflow.append(to: rows)
  }

  /// The key as one text: `_id` in canonical Extended JSON, so that a text never equals an ObjectId that reads like it.
  /// Of a sharded collection's key `_id` alone counts: a copied row knows no other part of it.
  private func writeKey(
    _ index: Int, _ changes: ChangeColumns, _ bytes: UnsafeRawBufferPointer, _ batch: RecordBatch
  ) throws(NebulaError) {
    let document = changes.keys[index].slice(of: bytes)
    keyText.removeAll(keepingCapacity: true)
    if batch.format == .bson, !document.isEmpty {
      if let id = BSON.find("_id", in: document) {
        try canonical.append(valueOf: id, to: keyText)
      } else {
        try canonical.append(document: document, to: keyText)
      }
    } else {
      keyText.append(oneLine: document)
    }
    guard !keyText.isEmpty || key == nil else {
      throw RowEncoding.unreadable("The change has no key, by which it could be merged")
    }
    guard !keyText.isEmpty else { return }
    rows.append(",\"_key\":")
    keyText.withBytes { JSONText.appendString($0, to: rows) }
    guard let key else { return }
    key.removeAll()
    keyText.withBytes { key.append($0) }
    namespaces.text(of: index, batch).withUnsafeBytes { key.append($0) }
    key.high = changes.sequences[index].clusterTime
    key.low = UInt64(changes.sequences[index].index)
  }
}

/// What a change of a whole collection means for the rows that are merged.
enum CollectionChange {
  /// Nil when it means nothing for them.
  static func sweep(
    _ operation: String, _ namespace: Namespace, _ sequence: ChangeSequence, _ copy: CopyPhase
  ) throws(NebulaError) -> Sweep? {
    switch operation {
    case "drop":
      if case .underway = copy { throw droppedWhileCopied(namespace) }
      return Sweep(namespace: namespace.description, before: text(sequence), operation: operation)
    case "rename":
      throw NebulaError(
        .renameNotMerged,
        "The collection \(namespace) was renamed. What is in it now was announced by no change, so the merged table can't "
          + "follow.",
        remedy: "Copy everything again: nebula-swift state reset, then run. Or use write_mode append, which keeps the "
          + "rename as a row.", at: .init(path: namespace.description))
    default: return nil
    }
  }

  /// Copied rows of what was dropped may come in a later epoch, which would know nothing of the drop.
  private static func droppedWhileCopied(_ namespace: Namespace) -> NebulaError {
    NebulaError(
      .dropNotMerged, "The collection \(namespace) was dropped while everything is copied.",
      remedy: "Copy everything again: nebula-swift state reset, then run; and drop collections before or after that.",
      at: .init(path: namespace.description))
  }

  /// As `_SEQ` has it.
  static func text(_ sequence: ChangeSequence) -> String {
    let text = OutputBuffer(capacity: 32)
    text.append(sequence)
    return text.withBytes { String(decoding: $0, as: UTF8.self) }
  }
}
