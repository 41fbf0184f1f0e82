internal import NebulaCore
internal import NebulaHTTP

/// `x-ms-properties`: names with values in base64, commas between.
enum AzureProperties {
  /// What this client adds, to know its own work again.
  static let mark = "nebula_mark"

  static func encode(_ properties: [String: String]) throws(NebulaError) -> String {
    var pairs: [String] = []
    for (name, value) in properties.sorted(by: { $0.key < $1.key }) {
      guard isName(name) else {
        throw NebulaError(
          .objectsBadName, "\(name) can't be the name of a file's property.",
          remedy: "Use letters, digits and underscores, no digit first.")
      }
      pairs.append("\(name)=\(Crypto.base64(Array(value.utf8)))")
    }
    return pairs.joined(separator: ",")
  }

  /// A value that is no base64 stays as it is: another program may have written it.
  static func decode(_ text: String) -> [String: String] {
    text.split(separator: ",").reduce(into: [:]) { found, pair in
      let words = pair.split(separator: "=", maxSplits: 1)
      guard let name = words.first else { return }
      let value = words.count > 1 ? String(words[1]) : ""
      found[String(name)] = Crypto.bytes(base64: value).map { String(decoding: $0, as: UTF8.self) } ?? value
    }
  }

  /// The Blob side wants the names of C#.
  private static func isName(_ name: String) -> Bool {
    guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return false }
    return name.utf8.allSatisfy {
      switch $0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
  }
}
