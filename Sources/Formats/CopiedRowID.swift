public import NebulaCore

/// The id of a copied row, the same in every destination: `<T0>/<namespace>/<key>`, T0 being the token at the copy's
/// start and the key canonical Extended JSON. An event's id is its own token.
///
/// The namespace belongs to it, since two collections may hold the same key and land in one table; so does the
/// canonical form, since in plain JSON an ObjectId reads like a text. A token has no slash, and a key starts with `{`.
public struct CopiedRowID {
  private let canonical = BSONToJSON(.canonical)
  /// Makes a writer of ids.
  public init() {}

  /// Appends the id. Throws when the key is not BSON; what was appended is then to be taken back.
  public func append(
    token: UnsafeRawBufferPointer, namespace: [UInt8], key: UnsafeRawBufferPointer, _ format: PayloadFormat,
    to output: OutputBuffer
  ) throws(NebulaError) {
    output.append(token)
    output.append("/")
    output.append(namespace)
    output.append("/")
    if format == .bson, !key.isEmpty { try canonical.append(document: key, to: output) } else { output.append(key) }
  }
}
