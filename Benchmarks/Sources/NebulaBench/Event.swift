/// A change event as a change stream gives it, in BSON, and the landing row that must come of it.
struct Event {
  let order: Order
  var token: String {
    "82" + hex(order.reference) + zeros(order.id, 16) + "2B042C0100296E5A1004" + hex(order.reference) + "04"
  }
  var clusterSeconds: UInt32 { UInt32(1_700_000_000 + order.id / 1000) }
  var clusterIncrement: UInt32 { UInt32(order.id % 1000 + 1) }
  var operation: String { Order.operations[order.operation] }
  var updatesPart: Bool { order.operation == 1 }
  /// Deletes carry the document as it was before.
  var isDelete: Bool { order.operation == 3 }
  private(set) var note: String

  init(_ order: Order) {
    self.order = order
    note = ""
    note = order.note(order.target - bson.count)
  }

  /// The event's BSON.
  var bson: [UInt8] {
    var event = Document()
    var id = Document()
    id.text("_data", token)
    event.document("_id", id)
    event.text("operationType", operation)
    event.raw(0x11, "clusterTime", bytes(UInt64(clusterSeconds) << 32 | UInt64(clusterIncrement)))
    event.raw(0x09, "wallTime", bytes(order.created))
    event.document(isDelete ? "fullDocumentBeforeChange" : "fullDocument", document)
    var namespace = Document()
    namespace.text("db", "shop")
    namespace.text("coll", "orders")
    event.document("ns", namespace)
    var key = Document()
    key.raw(0x07, "_id", order.reference)
    event.document("documentKey", key)
    if updatesPart { event.document("updateDescription", update) }
    return event.closed
  }

  private var document: Document {
    var document = Document()
    document.raw(0x07, "_id", order.reference)
    document.raw(0x12, "n", bytes(Int64(order.id)))
    document.text("customer", order.customer)
    document.text("status", order.status)
    document.raw(0x01, "amount", bytes(Double(order.cents) / 4))
    document.raw(0x10, "quantity", bytes(Int32(order.quantity)))
    document.raw(0x09, "created", bytes(order.created))
    document.raw(0x08, "active", [order.active ? 1 : 0])
    var address = Document()
    address.text("city", order.city)
    address.raw(0x10, "zip", bytes(Int32(order.zip)))
    document.document("address", address)
    document.text("note", note)
    return document
  }
  private var update: Document {
    var fields = Document()
    fields.text("status", order.status)
    fields.raw(0x10, "quantity", bytes(Int32(order.quantity)))
    var update = Document()
    update.document("updatedFields", fields)
    update.document("removedFields", Document(), isArray: true)
    return update
  }

  /// A server's answer to getMore that holds these events.
  static func answer(_ events: [[UInt8]]) -> [UInt8] {
    var list = Document()
    for (index, event) in events.enumerated() { list.raw(3, String(index), event) }
    var cursor = Document()
    cursor.document("nextBatch", list, isArray: true)
    var answer = Document()
    answer.document("cursor", cursor)
    return answer.closed
  }

  /// The line of the landing file, without its end.
  var landingLine: String {
    let document = (isDelete ? "\"before\":" : "\"document\":") + documentJSON
    let update =
      updatesPart
      ? [
        "\"update\":{\"updatedFields\":{\"status\":\"\(order.status)\",\"quantity\":\(order.quantity)},"
          + "\"removedFields\":[]}"
      ] : []
    let start = [
      "\"op\":\"\(operation)\"", "\"ns\":\"shop.orders\"",
      "\"time\":\"\(iso(Int64(clusterSeconds) * 1000).dropLast())\"",
      "\"seq\":\"\(sequence)\"", "\"id\":\"\(token)\"", "\"key\":{\"_id\":\"\(hex(order.reference))\"}",
    ]
    return "{" + (start + [document] + update).joined(separator: ",") + "}"
  }
  private var sequence: String {
    hex(bytes(clusterSeconds.bigEndian) + bytes(clusterIncrement.bigEndian) + [0, 0, 0, 0])
  }
  private var documentJSON: String {
    let quarters = ["0", "25", "5", "75"][order.cents % 4]
    return "{\"_id\":\"\(hex(order.reference))\",\"n\":\(order.id),\"customer\":\(quoted(order.customer)),"
      + "\"status\":\"\(order.status)\",\"amount\":\(order.cents / 4).\(quarters),"
      + "\"quantity\":\(order.quantity),\"created\":\"\(iso(order.created))\",\"active\":\(order.active),"
      + "\"address\":{\"city\":\(quoted(order.city)),\"zip\":\(order.zip)},\"note\":\(quoted(note))}"
  }
}

func bytes<T: BitwiseCopyable>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

/// A BSON document in the making.
struct Document {
  private var body = [UInt8]()
  mutating func raw(_ type: UInt8, _ name: String, _ value: [UInt8]) {
    body.append(type)
    body += name.utf8
    body.append(0)
    body += value
  }
  mutating func text(_ name: String, _ value: String) {
    raw(2, name, bytes(Int32(value.utf8.count + 1)) + Array(value.utf8) + [0])
  }
  mutating func document(_ name: String, _ value: Document, isArray: Bool = false) {
    raw(isArray ? 4 : 3, name, value.closed)
  }
  var closed: [UInt8] { bytes(Int32(body.count + 5)) + body + [0] }
}
