internal import FoundationEssentials

/// Takes every secret out of a text before it is shown: as it is, and as URLs, JSON and Base64 write it.
public struct Redactor: Sendable {
  /// What stands in a secret's place.
  public static let mask = "***"
  /// Longest first, so that no secret is left in part because another is a piece of it.
  private let needles: [String]

  /// Hides `secrets`. Parts of them that are secret by themselves (a URI's password, the lines of a key) are too.
  public init(secrets: [String]) {
    var needles: Set<String> = []
    for secret in secrets {
      for part in [secret] + Redactor.parts(of: secret) where part.utf8.count >= 3 {
        needles.formUnion(Redactor.forms(of: part))
      }
    }
    self.needles = needles.sorted { ($0.utf8.count, $0) > ($1.utf8.count, $1) }
  }

  /// The text without secrets.
  public func callAsFunction(_ text: String) -> String {
    needles.reduce(text) { text, needle in
      text.contains(needle) ? text.replacing(needle, with: Redactor.mask) : text
    }
  }

  /// The passwords and signatures in URLs, wherever they are written; `text` need not be a secret as a whole.
  public static func secrets(inURL text: String) -> [String] {
    guard let scheme = text.firstRange(of: "://") else { return [] }
    var found: [String] = []
    let rest = text[scheme.upperBound...]
    let authority = rest.prefix { !"/?#".contains($0) }
    if let at = authority.lastIndex(of: "@"), let colon = authority[..<at].firstIndex(of: ":") {
      found.append(String(authority[..<at][colon...].dropFirst()))
    }
    let query = rest.split(separator: "?", maxSplits: 1).dropFirst().first ?? ""
    for pair in query.split(whereSeparator: { "&;#".contains($0) }) {
      let words = pair.split(separator: "=", maxSplits: 1)
      let name = words[0].lowercased()
      let isSecret = ["sig", "password", "secret", "token", "credential", "key"].contains { name.contains($0) }
      if words.count == 2, isSecret { found.append(String(words[1])) }
    }
    return found + found.map(percentDecoded).filter { !found.contains($0) }
  }

  private static func parts(of secret: String) -> [String] {
    let lines = secret.split(whereSeparator: \.isNewline).map(String.init)
    // A key's lines may be shown one by one; its "-----BEGIN …" tells nothing.
    let keyLines = lines.count > 1 ? lines.filter { $0.utf8.count >= 16 && !$0.hasPrefix("-----") } : []
    return keyLines + secrets(inURL: secret)
  }

  private static func forms(of secret: String) -> [String] {
    let bytes = Array(secret.utf8)
    var forms = [secret, jsonEscaped(secret, slashes: false), jsonEscaped(secret, slashes: true)]
    for keepsPath in [false, true] {
      let upper = percentEncoded(bytes, keepsPath: keepsPath, digits: "0123456789ABCDEF")
      forms += [upper, percentEncoded(bytes, keepsPath: keepsPath, digits: "0123456789abcdef")]
      forms.append(upper.replacing("%20", with: "+"))
    }
    // In Base64 a text looks different at each of three offsets (`user:secret`): the characters that only the secret
    // decides are searched for.
    for offset in 0..<3 where bytes.count >= 6 {
      let encoded = Data([UInt8](repeating: 0, count: offset) + bytes).base64EncodedString()
      let (first, end) = ((offset * 8 + 5) / 6, (offset + bytes.count) * 8 / 6)
      let stable = String(encoded.dropFirst(first).prefix(end - first))
      forms += [stable, stable.replacing("+", with: "-").replacing("/", with: "_")]
    }
    if bytes.count < 6 { forms.append(Data(bytes).base64EncodedString()) }
    return forms
  }

  private static func percentDecoded(_ text: String) -> String {
    let bytes = Array(text.utf8)
    var decoded: [UInt8] = []
    var index = 0
    while index < bytes.count {
      let hex = String(decoding: bytes[(index + 1)...].prefix(2), as: UTF8.self)
      if bytes[index] == UInt8(ascii: "%"), hex.utf8.count == 2, let byte = UInt8(hex, radix: 16) {
        decoded.append(byte)
        index += 3
      } else {
        decoded.append(bytes[index])
        index += 1
      }
    }
    return String(decoding: decoded, as: UTF8.self)
  }

  private static func percentEncoded(_ bytes: [UInt8], keepsPath: Bool, digits: String) -> String {
    let digits = Array(digits.utf8)
    var text: [UInt8] = []
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        text.append(byte)
      case _ where "-._~".utf8.contains(byte) || (keepsPath && "/:@!$&'()*+,;=".utf8.contains(byte)): text.append(byte)
      default: text += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  private static func jsonEscaped(_ text: String, slashes: Bool) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": escaped += "\\\""
      case "\\": escaped += "\\\\"
      case "\n": escaped += "\\n"
      case "\r": escaped += "\\r"
      case "\t": escaped += "\\t"
      case "/" where slashes: escaped += "\\/"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
