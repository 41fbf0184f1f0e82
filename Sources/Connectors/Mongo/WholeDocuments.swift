internal import NebulaCore
internal import NebulaFormats

extension MongoSettings {
  /// False when an update may come without the document after it, although that is still there: it was not asked for,
  /// not everywhere kept, or a stage of the user's may take it away.
  var hasWholeDocuments: Bool {
    switch options.fullDocument {
    case .updateLookup, .required: stages.allSatisfy { $0.withUnsafeBytes(leavesDocument) }
    case .default, .whenAvailable: false
    }
  }
}

/// True when events keep their `fullDocument` (fields in it may go). What can't be told counts as no.
private func leavesDocument(_ stage: UnsafeRawBufferPointer) -> Bool {
  guard let operation = elements(of: stage).first else { return false }
  switch operation.nameText {
  case "$match": return true
  case "$unset":
    let paths =
      operation.stringText.map { [$0] } ?? operation.subdocument.map { elements(of: $0).map { $0.stringText ?? "" } }
    return paths.map { !$0.contains(where: { $0.isEmpty || $0 == "fullDocument" }) } ?? false
  case "$project":
    guard let fields = operation.subdocument.map(elements) else { return false }
    return fields.allSatisfy { ($0.integer == 0 || $0.double == 0 || $0.bool == false) && !$0.isNamed("fullDocument") }
  default: return false
  }
}
