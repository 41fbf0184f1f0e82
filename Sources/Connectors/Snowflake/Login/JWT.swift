internal import NebulaCore
internal import NebulaHTTP

/// The token of a key pair login. It lives a minute, so each attempt makes a new one.
struct JWT: Sendable {
  let account: String
  let user: String
  let key: RSAPrivateKey
  static let lifetimeSeconds: Int64 = 60

  /// The token for an attempt that starts at `now` (seconds since 1970).
  func token(now: Int64) throws(NebulaError) -> String {
    let fingerprint = Crypto.base64(Crypto.sha256(try key.publicKeyDER()))
    let signed = Self.signingInput(account: account, user: user, fingerprint: fingerprint, now: now)
    return signed + "." + Crypto.base64URL(try key.signRS256(Array(signed.utf8)))
  }

  /// Header and claims, as they are signed.
  static func signingInput(account: String, user: String, fingerprint: String, now: Int64) -> String {
    let subject = "\(account.uppercased()).\(user.uppercased())"
    let header: JSONValue = ["alg": "RS256", "typ": "JWT"]
    let claims: JSONValue = [
      "iss": .string("\(subject).SHA256:\(fingerprint)"), "sub": .string(subject), "iat": .integer(now),
      "exp": .integer(now + lifetimeSeconds),
    ]
    return Crypto.base64URL(header.bytes) + "." + Crypto.base64URL(claims.bytes)
  }
}
