internal import NebulaHTTP

/// AWS Signature Version 4 in the `Authorization` header.
struct SigV4: Sendable {
  let credentials: S3Credentials
  let region: String
  let service = "s3"
  /// Seconds since 1970 as the other side counts them.
  let seconds: Int

  /// What stands for the body when TLS protects it.
  static let unsignedPayload = "UNSIGNED-PAYLOAD"

  /// Adds `x-amz-date`, `x-amz-content-sha256`, the token and `Authorization`. `path` is encoded; `query` is not. Every
  /// header that is there is signed.
  func sign(
    method: String, host: String, path: String, query: [(String, String)], headers: inout HTTPHeaders,
    payloadHash: String
  ) {
    headers["x-amz-date"] = timestamp
    headers["x-amz-content-sha256"] = payloadHash
    if let token = credentials.sessionToken { headers["x-amz-security-token"] = token }

    var signed = headers.fields.map { ($0.name.lowercased(), Self.collapsed($0.value)) }
    signed.append(("host", host))
    signed.sort { $0.0 < $1.0 }
    let names = signed.map(\.0).joined(separator: ";")
    let canonical = [
      method, path, Self.canonicalQuery(query), signed.map { "\($0.0):\($0.1)\n" }.joined(), names, payloadHash,
    ].joined(separator: "\n")
    let text = ["AWS4-HMAC-SHA256", timestamp, scope, Crypto.hex(Crypto.sha256(canonical))].joined(separator: "\n")
    let signature = Crypto.hex(Crypto.hmacSHA256(key: signingKey, Array(text.utf8)))
    headers["Authorization"] =
      "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope), SignedHeaders=\(names), Signature=\(signature)"
  }

  /// The query as it is signed and sent: encoded, sorted, `=` also after a name without value.
  static func canonicalQuery(_ query: [(String, String)]) -> String {
    query.map { (PercentEncoding.encode($0.0), PercentEncoding.encode($0.1)) }
      .sorted { $0 < $1 }
      .map { "\($0.0)=\($0.1)" }
      .joined(separator: "&")
  }

  private var scope: String { "\(timestamp.prefix(8))/\(region)/\(service)/aws4_request" }

  private var signingKey: [UInt8] {
    [String(timestamp.prefix(8)), region, service, "aws4_request"]
      .reduce(Array("AWS4\(credentials.secretKey)".utf8)) { Crypto.hmacSHA256(key: $0, Array($1.utf8)) }
  }

  private var timestamp: String { UTCStamp(seconds: seconds).basic }

  private static func collapsed(_ value: String) -> String {
    value.split { $0 == " " || $0 == "\t" }.joined(separator: " ")
  }
}
