internal import NebulaCore

/// One column that a load fills.
struct LoadColumn: Sendable, Hashable {
  /// What fills it; the raw value stands in manifests, and names the member of a staged line of changes.
  enum Origin: String, Sendable, Hashable {
    /// A field of the record, or of the document.
    case field
    case document, before, update, key, id
    case operation = "op"
    case namespace = "ns"
    case eventTime = "time"
    case sequence = "seq"
    /// The key as one text, by which rows are merged.
    case mergeKey = "_key"
    case isDeleted = "deleted"
    /// What did not fit its column, or has none: name → value and reason.
    case overflow
    case file, fileRow
  }
  /// Its name in the table.
  var name: Identifier
  /// Its type, as `CREATE TABLE` takes it.
  var type: String
  /// The field of the record that it comes from, as the source calls it; empty when none was met yet.
  var field: String
  var origin = Origin.field

  init(name: Identifier, type: String, field: String, origin: Origin = .field) {
    self.name = name
    self.type = type
    self.field = field
    self.origin = origin
  }
  init(_ name: String, _ type: String, _ origin: Origin) {
    self.init(name: Identifier(exactly: name), type: type, field: "", origin: origin)
  }

  /// True for VARIANT, OBJECT and ARRAY: such a column takes JSON text, and keeps each value's type.
  var isSemiStructured: Bool { ["VARIANT", "OBJECT", "ARRAY"].contains { type.hasPrefix($0) } }

  /// True for VARCHAR: such a column takes a text as it reads, and the JSON text of anything else.
  var isText: Bool { type.hasPrefix("VARCHAR") }

  /// The type without length or number of digits: to cast to, since a cast to `VARCHAR(10)` could cut a text in
  /// silence, and for landing tables, which must go on fitting after the table's column was widened.
  var plainType: String {
    if isText { return "VARCHAR" }
    guard type.hasPrefix("NUMBER("), let comma = type.firstIndex(of: ",") else { return type }
    return "NUMBER(38\(type[comma...])"
  }
}

/// The columns that the program itself fills beside the fields of a document.
enum ChangeTable {
  static let overflow = LoadColumn("_OVERFLOW", "VARIANT", .overflow)
  private static let event = [
    LoadColumn("_NAMESPACE", "VARCHAR", .namespace), LoadColumn("_KEY", "VARCHAR", .mergeKey),
    LoadColumn("_OP", "VARCHAR", .operation), LoadColumn("_SEQ", "VARCHAR", .sequence),
    LoadColumn("_EVENT_TIME", "TIMESTAMP_NTZ", .eventTime),
  ]
  /// One row a key, its document in one column.
  static let mergedPacked =
    [LoadColumn("DOCUMENT", "VARIANT", .document)] + event + [LoadColumn("_DELETED", "BOOLEAN", .isDeleted)]
  /// One row a key, its document's fields in columns of their own before these.
  static let mergedUnpacked = event + [LoadColumn("_DELETED", "BOOLEAN", .isDeleted), overflow]
  /// One row a change, its document's fields in columns of their own before these.
  static let appendedUnpacked =
    event + [
      LoadColumn("_EVENT_ID", "VARCHAR", .id), LoadColumn("_FILE", "VARCHAR", .file),
      LoadColumn("_FILE_ROW", "NUMBER(38,0)", .fileRow), overflow,
    ]
  /// The order of plain records that are merged.
  static let recordSequence = LoadColumn("_SEQ", "VARCHAR", .sequence)

  /// Names that no field of a document may take.
  static let reserved = Set(
    (mergedPacked + appendedUnpacked + mergedUnpacked).filter { $0.name.name.hasPrefix("_") }.map(\.name.name))
}
