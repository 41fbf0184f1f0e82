/// Percent-encoding as signatures want it: everything but letters, digits and `-._~`, capitals in the digits.
public enum PercentEncoding {
  private static let digits = Array("0123456789ABCDEF".utf8)

  /// For a query's name or value, or one part of a path.
  public static func encode(_ text: String) -> String { encode(text, keepsSlash: false) }

  /// For a key: `/` stays.
  public static func encodePath(_ text: String) -> String { encode(text, keepsSlash: true) }

  private static func encode(_ text: String, keepsSlash: Bool) -> String {
    var output: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        output.append(byte)
      case UInt8(ascii: "/") where keepsSlash: output.append(byte)
      default: output += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: output, as: UTF8.self)
  }

  /// A form's fields, in the order given.
  public static func form(_ fields: [(String, String)]) -> String {
    fields.map { "\(encode($0.0))=\(encode($0.1))" }.joined(separator: "&")
  }

  /// The text without percent signs; those that begin no code stay.
  public static func decode(_ text: some StringProtocol) -> String {
    var output: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), let code = Crypto.bytes(hex: String(decoding: rest.prefix(2), as: UTF8.self)),
        code.count == 1
      {
        output += code
        rest = rest.dropFirst(2)
      } else {
        output.append(byte)
      }
    }
    return String(decoding: output, as: UTF8.self)
  }
}
