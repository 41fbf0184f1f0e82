internal import NebulaCore
internal import NebulaFormats

/// The fields of a batch's JSON objects or documents, in the order in which they first came, and what they hold.
struct ObservedFields: Sendable {
  enum Kind: Sendable, Hashable {
    case unknown, text, integer, number, boolean, moment, other
  }
  private var order: [String] = []
  private var kinds: [String: Kind] = [:]
  /// Integers, booleans and moments get columns of their types, not only texts. For where a value that does not fit
  /// later is taken care of.
  private let isTyped: Bool

  init(_ batch: RecordBatch, typed: Bool = false) {
    isTyped = typed
    batch.withBytes { bytes in
      for range in batch.changes?.documents ?? batch.records where !range.isEmpty {
        let record = range.slice(of: bytes)
        if batch.format == .bson { add(document: record) } else { add(object: record) }
      }
    }
  }

  private mutating func add(object: UnsafeRawBufferPointer) {
    guard var reader = JSONObjectReader(object) else { return }
    while let member = reader.next() {
      let field = JSONObjectReader.unescape(UnsafeRawBufferPointer(rebasing: object[member.key]))
      let value = UnsafeRawBufferPointer(rebasing: object[member.value])
      add(field, Self.kind(member.kind, value))
    }
  }

  private static func kind(_ kind: JSONKind, _ value: UnsafeRawBufferPointer) -> Kind {
    switch kind {
    case .null: .unknown
    case .string: .text
    case .boolean: .boolean
    // More digits than a column has are data of another kind.
    case .number: DecimalShape(value).map { $0.fraction == 0 && $0.whole <= 38 } ?? false ? .integer : .other
    case .object, .array: .other
    }
  }

  /// A document that can't be read is a rejected record later.
  private mutating func add(document: UnsafeRawBufferPointer) {
    guard var reader = try? BSONReader(document) else { return }
    while let element = try? reader.next() { add(element.nameText, Self.kind(element.type)) }
  }

  private static func kind(_ type: BSONType) -> Kind {
    switch type {
    case .null, .undefined: .unknown
    case .string, .symbol, .objectID, .code, .decimal128: .text
    case .int32, .int64: .integer
    case .double: .number
    case .boolean: .boolean
    case .date: .moment
    default: .other
    }
  }

  private mutating func add(_ field: String, _ kind: Kind) {
    guard let known = kinds[field] else {
      order.append(field)
      kinds[field] = kind
      return
    }
    guard kind != .unknown, known != kind else { return }
    if known == .unknown {
      kinds[field] = kind
    } else if [.integer, .number].contains(known), [.integer, .number].contains(kind) {
      kinds[field] = .number
    } else {
      kinds[field] = .other
    }
  }

  /// A column for each field: as declared, else by what it held. When `isLenient`, fields that can't have a column are
  /// left out, since they have another place.
  func columns(
    declared: [String: String] = [:], reserved: Set<String> = [], isLenient: Bool = false
  ) throws(NebulaError) -> [LoadColumn] {
    var fields = order
    if isLenient {
      var taken: Set<String> = []
      fields = order.filter {
        FieldColumns.problem(of: $0, reserved) == nil && taken.insert(Identifier(folding: $0).fold).inserted
      }
    }
    if !isLenient, let taken = order.first(where: { reserved.contains(Identifier(folding: $0).name) }) {
      throw NebulaError(
        .columnsCollide,
        "The field \(shortened(taken)) would take the column \(Identifier(folding: taken).name), which the program "
          + "fills itself.", remedy: "Rename it at the source, or set a contract.")
    }
    guard !fields.isEmpty || !isLenient else { return [] }
    var columns = try RecordColumns.make(keys: fields)
    for index in columns.indices {
      let column = columns[index]
      columns[index].type = declared[column.name.name] ?? type(kinds[column.field] ?? .unknown)
    }
    return columns
  }

  private func type(_ kind: Kind) -> String {
    switch kind {
    case .text: "VARCHAR"
    case .integer where isTyped: "NUMBER(38,0)"
    case .number where isTyped: "FLOAT"
    case .boolean where isTyped: "BOOLEAN"
    case .moment where isTyped: "TIMESTAMP_NTZ"
    default: "VARIANT"
    }
  }
}
