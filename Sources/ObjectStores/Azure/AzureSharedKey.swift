public import NebulaCore
internal import NebulaHTTP

/// The key of a storage account. Not printable.
public struct AzureSharedKey: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
  let account: String
  private let key: [UInt8]

  /// Reads the key as the portal shows it: in base64.
  public init(account: String, base64 text: String) throws(NebulaError) {
    guard let key = Crypto.bytes(base64: text), key.count >= 16 else {
      throw NebulaError(
        .credentialsRefused, "The shared key of the account \(account) is no key in base64.",
        remedy: "Copy it whole from the account's access keys: 88 characters that end in ==.", exit: .configuration)
    }
    self.account = account
    self.key = key
  }
  /// Says nothing.
  public var description: String { "AzureSharedKey(…)" }
  /// Says nothing.
  public var debugDescription: String { description }

  /// The value of `Authorization`. `path` is the URL's, encoded; `query` is not encoded.
  func authorization(
    method: String, path: String, query: [(String, String)], headers: HTTPHeaders, contentLength: Int
  ) -> String {
    let text = Self.stringToSign(
      account: account, method: method, path: path, query: query, headers: headers, contentLength: contentLength)
    return "SharedKey \(account):\(Crypto.base64(Crypto.hmacSHA256(key: key, Array(text.utf8))))"
  }

  /// What is signed: the standard headers in their fixed places, those of `x-ms-` sorted, the resource, the query.
  static func stringToSign(
    account: String, method: String, path: String, query: [(String, String)], headers: HTTPHeaders, contentLength: Int
  ) -> String {
    let length = contentLength == 0 ? "" : String(contentLength)
    let date = headers["x-ms-date"] == nil ? headers["Date"] ?? "" : ""
    let standard =
      [method, headers["Content-Encoding"] ?? "", headers["Content-Language"] ?? "", length]
      + [headers["Content-MD5"] ?? "", headers["Content-Type"] ?? "", date]
      + ["If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range"].map { headers[$0] ?? "" }
    let own = headers.fields.map { (name: $0.name.lowercased(), value: $0.value) }
      .filter { $0.name.hasPrefix("x-ms-") }.sorted { $0.name < $1.name }.map { "\($0.name):\($0.value)" }
    return (standard + own + ["/\(account)\(path)"] + parameters(query)).joined(separator: "\n")
  }

  /// Names in lower case, sorted; several values of one name sorted, with commas between.
  private static func parameters(_ query: [(String, String)]) -> [String] {
    var values: [String: [String]] = [:]
    for (name, value) in query { values[name.lowercased(), default: []].append(value) }
    return values.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value.sorted().joined(separator: ","))" }
  }
}
