/// One seeded record: the same id always gives the same content. It writes itself in every form that the jobs read or
/// must produce, by plain code that shares nothing with NebulaFormats: the other side of the comparison.
struct Order {
  let id: Int
  let reference: [UInt8]  // twelve bytes
  let customer: String
  let email: String
  let status: String
  let cents: Int
  let quantity: Int
  let created: Int64  // milliseconds since 1970
  let active: Bool
  let city: String
  let zip: Int
  /// What notes are made of; each form takes as many as make its record 500 to 600 bytes long.
  let words: [String]
  let operation: Int  // 0 insert, 1 update, 2 replace, 3 delete

  static let statuses = ["new", "paid", "packed", "shipped", "returned"]
  static let operations = ["insert", "update", "replace", "delete"]
  static let names = [
    "Ada", "Grace", "Łukasz", "José", "Mei", "Olu", "Ravi", "Søren", "Zoë", "Ivan", "Noor", "Tom", "Lea", "Kim", "Ana",
    "Max",
  ]
  static let cities = [
    "Berlin", "Kraków", "São Paulo", "Nairobi", "Osaka", "Lyon", "Leeds", "Austin", "Quito", "Perth", "Oslo", "Graz",
  ]
  static let vocabulary = [
    "please", "leave", "at", "the", "door", "ring", "twice", "fragile", "glass", "gift", "wrap", "call", "before",
    "delivery", "after", "noon", "invoice", "attached", "second", "floor", "\"left\"", "right,", "blue", "box;", "über",
    "next\nline", "to", "garage", "keep", "upright", "path\\to", "thanks",
  ]

  init(_ id: Int) {
    self.id = id
    var random = SplitMix(UInt64(truncatingIfNeeded: id) &* 0x9E37_79B9_7F4A_7C15 ^ 0x5EED)
    func pick(_ texts: [String]) -> String { texts[random.below(texts.count)] }
    var reference = [UInt8]()
    for _ in 0..<12 { reference.append(UInt8(random.below(256))) }
    self.reference = reference
    customer = "\(pick(Self.names)) \(pick(Self.names))-\(pick(Self.names))"
    email = "user\(random.below(10_000_000))@example-\(random.below(1000)).com"
    status = pick(Self.statuses)
    cents = random.below(1_000_000)
    quantity = 1 + random.below(50)
    created = 1_700_000_000_000 + Int64(random.below(30_000_000)) * 1000 + Int64(random.below(1000))
    active = random.below(2) == 0
    city = pick(Self.cities)
    zip = 10_000 + random.below(90_000)
    words = (0..<70).map { _ in pick(Self.vocabulary) }
    let die = random.below(10)
    operation = die < 4 ? 0 : die < 8 ? 1 : die < 9 ? 2 : 3
  }
}

/// Sebastiano Vigna's SplitMix64.
struct SplitMix {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}

func hex(_ bytes: [UInt8]) -> String {
  let digits = Array("0123456789abcdef".utf8)
  return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
func zeros(_ number: Int, _ width: Int) -> String {
  let text = String(number)
  return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
}
/// By counting months, as a calendar on the wall does it.
func iso(_ milliseconds: Int64) -> String {
  var days = Int(milliseconds / 86_400_000)
  var year = 1970
  func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }
  while days >= (isLeap(year) ? 366 : 365) {
    days -= isLeap(year) ? 366 : 365
    year += 1
  }
  var month = 1
  let lengths = [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
  while days >= lengths[month - 1] {
    days -= lengths[month - 1]
    month += 1
  }
  let rest = Int(milliseconds % 86_400_000)
  return
    "\(year)-\(zeros(month, 2))-\(zeros(days + 1, 2))T\(zeros(rest / 3_600_000, 2)):\(zeros(rest / 60_000 % 60, 2)):"
    + "\(zeros(rest / 1000 % 60, 2)).\(zeros(rest % 1000, 3))Z"
}
func quoted(_ text: String) -> String {
  var out = [UInt8(ascii: "\"")]
  for byte in text.utf8 {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
    case 10: out += Array("\\n".utf8)
    default: out.append(byte)
    }
  }
  out.append(UInt8(ascii: "\""))
  return String(decoding: out, as: UTF8.self)
}

extension Order {
  /// The words, as many as fit in `room` bytes when they are written with JSON's escapes.
  func note(_ room: Int) -> String {
    var taken = [String]()
    var left = room
    for word in words {
      left -= word.utf8.count + 1 + word.utf8.reduce(0) { $0 + ($1 == 34 || $1 == 92 || $1 == 10 ? 1 : 0) }
      if left < 0 { break }
      taken.append(word)
    }
    return taken.joined(separator: " ")
  }
  /// How long this record shall be: 515 to 595 bytes, and a word less.
  var target: Int { 515 + id % 81 }
  var lineNote: String { note(target - lineStart.utf8.count - 3) }
  var amount: String { "\(cents / 100).\(zeros(cents % 100, 2))" }
  var address: String {
    "{\"city\":\(quoted(city)),\"zip\":\(quoted(String(zip))),\"geo\":[\(zip % 90).5,-\(zip % 180).25]}"
  }
  static let columns = [
    "id", "reference", "customer", "email", "status", "amount", "quantity", "created_at", "active", "address", "note",
  ]
  private var lineStart: String {
    "{\"id\":\(id),\"reference\":\"\(hex(reference))\",\"customer\":\(quoted(customer)),\"email\":\(quoted(email)),"
      + "\"status\":\"\(status)\",\"amount\":\(amount),\"quantity\":\(quantity),\"created_at\":\"\(iso(created))\","
      + "\"active\":\(active),\"address\":\(address),\"note\":"
  }
  /// The record as a line of the JSON Lines file, without its end.
  var jsonLine: String { lineStart + quoted(lineNote) + "}" }
  /// The record as the row that the CSV job must write, without its end.
  var csvRow: String {
    let fields = [
      String(id), hex(reference), customer, email, status, amount, String(quantity), iso(created), String(active),
      address,
      lineNote,
    ]
    return fields.map { field in
      field.utf8.contains { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "\"") || $0 == 10 }
        ? "\"" + field.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\"" : field
    }.joined(separator: ",")
  }
}
