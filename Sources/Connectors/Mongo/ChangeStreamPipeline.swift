internal import CMongoc
internal import NebulaCore
internal import NebulaFormats

extension MongoOptions {
  /// The stages that follow `$changeStream`, as BSON: the list of collections, then the user's.
  func stages() throws(NebulaError) -> [[UInt8]] {
    let filter = collectionsFilter()
    guard let pipeline else { return filter }
    let own = try stages(fromJSON: pipeline.text ?? pipeline.json)
    for stage in own {
      let name = stage.withUnsafeBytes { elements(of: $0).first?.nameText } ?? ""
      guard name.hasPrefix("$") else { throw bad("pipeline", "'\(name)' is not an aggregation stage.") }
      guard !name.hasPrefix("$changeStream") else { throw bad("pipeline", "\(name) is added by the connector itself.") }
    }
    return filter + own
  }

  /// What happens in a listed collection, and what is renamed to one. `invalidate` and `dropDatabase` name no
  /// collection, and are never filtered out: the stream's end must be seen.
  private func collectionsFilter() -> [[UInt8]] {
    guard !collections.isEmpty else { return [] }
    var choices = choices(in: "ns") + choices(in: "to")
    choices.append(
      BSONBuilder { $0.append("operationType") { $0.append("$in", strings: ["invalidate", "dropDatabase"]) } }.document)
    return [BSONBuilder { $0.append("$match") { $0.append("$or", array: choices) } }.document]
  }

  /// Conditions of which one holds where the event's `field` names a listed collection.
  private func choices(in field: String) -> [[UInt8]] {
    if derivedScope == .database {
      return [
        BSONBuilder {
          $0.append("\(field).db", database)
          $0.append("\(field).coll") { $0.append("$in", strings: collections) }
        }.document
      ]
    }
    return collections.map(Namespace.init(dotted:)).map { namespace in
      BSONBuilder {
        $0.append("\(field).db", namespace.database ?? "")
        $0.append("\(field).coll", namespace.collection)
      }.document
    }
  }

  private func stages(fromJSON text: String) throws(NebulaError) -> [[UInt8]] {
    let trimmed = text.drop { $0.isWhitespace }
    guard let first = trimmed.first else { return [] }
    let read = try Result { () throws(MongoFailure) in
      try extendedJSON("{\"pipeline\": \(first == "[" ? text : "[\(text)]")}")
    }.mapError { bad("pipeline", "The pipeline is not JSON: \($0.message).") }.get()
    let list = read.withUnsafeBytes { bytes in
      BSON.find("pipeline", in: bytes)?.subdocument.map { elements(of: $0).map(document) } ?? []
    }
    let stages = list.compactMap { $0 }
    guard stages.count == list.count else { throw bad("pipeline", "Each stage of the pipeline is an object.") }
    return stages
  }
}

/// A document from (Extended) JSON.
func extendedJSON(_ text: String) throws(MongoFailure) -> [UInt8] {
  let json = Array(text.utf8)
  var length: UInt32 = 0
  var problem = bson_error_t()
  guard let buffer = nebula_bson_from_json(json, json.count, &length, &problem) else {
    throw MongoFailure(origin: .reply, message: problem.text)
  }
  return withExtendedLifetime(Reply(buffer, count: length)) { Array($0.bytes) }
}

/// The document that is the element's value, copied; nil for other types.
private func document(_ element: BSONElement) -> [UInt8]? {
  element.type == .document ? element.subdocument.map { Array($0) } : nil
}

extension Namespace {
  /// `database.collection`; a collection's name may hold dots itself.
  init(dotted name: String) {
    let dot = name.firstIndex(of: ".") ?? name.endIndex
    self.init(database: String(name[..<dot]), collection: String(name[dot...].dropFirst()))
  }
}

extension PropertyValue {
  /// As JSON. A scalar's type was lost when it was read, so what looks like a number, a boolean or null is one.
  var json: String {
    switch self {
    case .scalar(let text, _):
      let isPlain = ["true", "false", "null"].contains(text) || text.isJSONNumber
      return isPlain ? text : text.jsonQuoted
    case .list(let items, _): return "[" + items.map(\.json).joined(separator: ",") + "]"
    case .map(let entries, _):
      return "{" + entries.map { "\($0.name.jsonQuoted):\($0.value.json)" }.joined(separator: ",") + "}"
    }
  }
}

extension String {
  var isJSONNumber: Bool {
    guard let first = utf8.first, first == UInt8(ascii: "-") || (0x30...0x39).contains(first) else { return false }
    return Array(utf8).withUnsafeBytes { JSONText.validate($0) == nil }
  }
  var jsonQuoted: String {
    let output = OutputBuffer(capacity: utf8.count + 2)
    Array(utf8).withUnsafeBytes { JSONText.appendString($0, to: output) }
    return output.withBytes { String(decoding: $0, as: UTF8.self) }
  }
}
