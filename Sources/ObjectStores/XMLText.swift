/// The little of XML that answers of stores need: the content of elements by name, and escaping.
enum XMLText {
  /// The text of the first `<name>…</name>`; nil when there is none.
  static func first(_ name: String, in text: String) -> String? { first(name, in: Array(text.utf8)[...]) }

  /// The same in bytes.
  static func first(_ name: String, in bytes: ArraySlice<UInt8>) -> String? {
    element(name, in: bytes).map { unescape($0.content) }
  }

  /// The content of every `<name>…</name>`, as it stands. Elements do not hold others of their own name.
  static func all(_ name: String, in bytes: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    var found: [ArraySlice<UInt8>] = []
    var rest = bytes
    while let next = element(name, in: rest) {
      found.append(next.content)
      rest = next.rest
    }
    return found
  }

  struct Element {
    /// What stands behind the name in its opening tag.
    let attributes: ArraySlice<UInt8>
    let content: ArraySlice<UInt8>
    /// What follows it.
    let rest: ArraySlice<UInt8>
  }

  static func element(_ name: String, in bytes: ArraySlice<UInt8>) -> Element? {
    let opening = Array("<\(name)".utf8)
    var rest = bytes
    while let start = position(of: opening, in: rest) {
      rest = rest[(start + opening.count)...]
      guard let next = rest.first, next == UInt8(ascii: ">") || next == UInt8(ascii: " ") || next == UInt8(ascii: "/"),
        let close = rest.firstIndex(of: UInt8(ascii: ">"))
      else { continue }  // the beginning of a longer name
      let attributes = rest[..<close]
      let inside = rest[(close + 1)...]
      if attributes.last == UInt8(ascii: "/") {
        return Element(attributes: attributes, content: inside.prefix(0), rest: inside)
      }
      let closing = Array("</\(name)>".utf8)
      guard let end = position(of: closing, in: inside) else { return nil }
      return Element(attributes: attributes, content: inside[..<end], rest: inside[(end + closing.count)...])
    }
    return nil
  }

  private static func position(of pattern: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
    guard let first = pattern.first else { return nil }
    var start = bytes.startIndex
    while start + pattern.count <= bytes.endIndex {
      guard let candidate = bytes[start...].firstIndex(of: first), candidate + pattern.count <= bytes.endIndex else {
        return nil
      }
      if bytes[candidate..<candidate + pattern.count].elementsEqual(pattern) { return candidate }
      start = candidate + 1
    }
    return nil
  }

  static func escape(_ text: String) -> String {
    text.reduce(into: "") { output, character in
      switch character {
      case "&": output += "&amp;"
      case "<": output += "&lt;"
      case ">": output += "&gt;"
      case "\"": output += "&quot;"
      default: output.append(character)
      }
    }
  }

  /// The text that an element's content stands for.
  static func unescape(_ bytes: ArraySlice<UInt8>) -> String {
    var output: [UInt8] = []
    output.reserveCapacity(bytes.count)
    var rest = bytes
    while let byte = rest.first {
      if byte == UInt8(ascii: "&"), let end = rest.prefix(12).firstIndex(of: UInt8(ascii: ";")),
        let scalar = scalar(rest[(rest.startIndex + 1)..<end])
      {
        output += Array(String(Character(scalar)).utf8)
        rest = rest[(end + 1)...]
      } else {
        output.append(byte)
        rest = rest.dropFirst()
      }
    }
    return String(decoding: output, as: UTF8.self)
  }

  /// `lt`, `#34`, `#x22` …
  private static func scalar(_ name: ArraySlice<UInt8>) -> Unicode.Scalar? {
    let text = String(decoding: name, as: UTF8.self)
    if let known = named[text] { return known }
    if text.hasPrefix("#x") { return UInt32(text.dropFirst(2), radix: 16).flatMap { Unicode.Scalar($0) } }
    return text.hasPrefix("#") ? UInt32(text.dropFirst()).flatMap { Unicode.Scalar($0) } : nil
  }
  private static let named: [String: Unicode.Scalar] = ["lt": "<", "gt": ">", "quot": "\"", "apos": "'", "amp": "&"]
}
