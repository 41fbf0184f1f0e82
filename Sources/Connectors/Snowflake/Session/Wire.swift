internal import NebulaCore
internal import NebulaHTTP

/// The envelope around every answer: `{"data":…, "code":"…", "message":…, "success":bool}`.
struct Envelope: Sendable {
  let data: JSONValue
  let code: String?
  let message: String
  let isSuccess: Bool

  init(_ response: HTTPResponse) throws(NebulaError) {
    let value: JSONValue
    do { value = try JSONValue(parsing: response.body) } catch {
      throw NebulaError(
        .badAnswer, "The answer (HTTP \(response.status)) is not Snowflake's: \(error.message)",
        remedy: "Check account and host, and that no proxy is in between.", disposition: .retry(after: nil),
        exit: .environment)
    }
    data = value["data"] ?? .null
    code = value["code"]?.stringOrNumber.flatMap { $0.isEmpty ? nil : $0 }
    message = value["message"]?.string ?? ""
    isSuccess = value["success"]?.bool ?? false
  }

  /// What the server says of a failure.
  var serverError: ServerError {
    ServerError(
      number: code ?? data["errorCode"]?.stringOrNumber ?? "", sqlState: data["sqlState"]?.string,
      queryID: data["queryId"]?.string, message: message.isEmpty ? "no reason given" : message)
  }
}

/// A random UUID in its usual text.
func newUUID() throws(NebulaError) -> String {
  var bytes = try Crypto.randomBytes(16)
  bytes[6] = bytes[6] & 0x0F | 0x40
  bytes[8] = bytes[8] & 0x3F | 0x80
  let hex = Crypto.hex(bytes)
  var text = ""
  for (index, digit) in hex.enumerated() {
    if [8, 12, 16, 20].contains(index) { text.append("-") }
    text.append(digit)
  }
  return text
}

/// A text for a URL's query.
func percentEncoded(_ text: String) -> String {
  var out: [UInt8] = []
  for byte in text.utf8 {
    if isPathSafe(byte) || byte == UInt8(ascii: "~") {
      out.append(byte)
    } else {
      out += "%".utf8
      out += Crypto.hex([byte]).uppercased().utf8
    }
  }
  return String(decoding: out, as: UTF8.self)
}
