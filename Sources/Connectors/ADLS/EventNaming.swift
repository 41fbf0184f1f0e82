internal import NebulaCore
internal import NebulaFormats

/// Names events by themselves, so that a replay finds what is there.
struct EventNaming: Sendable {
  let options: ADLSOptions
  let template: LakeTemplate
  let pipeline: String

  static var noChanges: NebulaError {
    NebulaError(
      .adlsNoChanges, "Layout per_event names each file by its event, and these records are no events.",
      remedy: "Use layout rolling or files.", at: .init(path: "layout"), exit: .configuration)
  }

  /// The whole name of an event's file, and what makes the file this event's: its token, of a copied row its
  /// `CopiedRowID`.
  func name(
    _ batch: RecordBatch, _ changes: ChangeColumns, _ index: Int, _ bytes: UnsafeRawBufferPointer, _ time: Int64
  ) throws(NebulaError) -> (key: String, identity: String) {
    let operation = changes.operations[index]
    let id = Self.id(changes.keys[index], batch.format, bytes)
    let token = changes.tokens[index]
    let identity = try Self.identity(
      token.slice(of: bytes), operation == .snapshot ? changes.keys[index].slice(of: bytes) : nil,
      batch.namespace(of: index), batch.format)
    let digest = SHA256.hex(SHA256.digest(of: Array(identity.utf8)))
    let sequence = OutputBuffer(capacity: 64)
    sequence.append(changes.sequences[index])
    let event = sequence.withBytes { String(decoding: $0, as: UTF8.self) } + "-" + digest.prefix(16)
    let base = template.base(batch.namespace(of: index), time: time, pipeline: pipeline) {
      switch $0 {
      case .op: changes.name(of: operation)
      case .id: id
      default: event
      }
    }
    // Kept in a header, which holds no more than some kilobytes of ASCII.
    let isPlain = identity.utf8.count <= 1500 && identity.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
    return (base + options.fileExtension, isPlain ? identity : "sha256:\(digest)")
  }

  private static func identity(
    _ token: UnsafeRawBufferPointer, _ copiedKey: UnsafeRawBufferPointer?, _ namespace: Namespace,
    _ format: PayloadFormat
  ) throws(NebulaError) -> String {
    guard let copiedKey else { return String(decoding: token, as: UTF8.self) }
    let output = OutputBuffer(capacity: 128)
    try CopiedRowID().append(
      token: token, namespace: Array(namespace.description.utf8), key: copiedKey, format, to: output)
    return output.withBytes { String(decoding: $0, as: UTF8.self) }
  }

  /// The document's `_id`: a text or an ObjectId as it is, anything else as JSON.
  private static func id(_ key: ByteRange, _ format: PayloadFormat, _ bytes: UnsafeRawBufferPointer) -> String {
    let slice = key.slice(of: bytes)
    guard !slice.isEmpty else { return "none" }
    guard format == .bson, let element = BSON.find("_id", in: slice) else {
      return String(decoding: slice, as: UTF8.self)
    }
    if let text = element.stringText { return text }
    let output = OutputBuffer(capacity: 64)
    guard (try? BSONToJSON().append(valueOf: element, to: output)) != nil else { return "none" }
    let text = output.withBytes { String(decoding: $0, as: UTF8.self) }
    return text.count > 1 && text.hasPrefix("\"") && text.hasSuffix("\"") ? String(text.dropFirst().dropLast()) : text
  }
}
