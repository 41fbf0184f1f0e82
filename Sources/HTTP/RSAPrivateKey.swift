internal import COpenSSL
public import NebulaCore

// OpenSSL's key is not changed after init; what it caches inside has OpenSSL's own lock.
/// An RSA key that signs. Never shown: it has no description of its own content.
public final class RSAPrivateKey: @unchecked Sendable {
  private let key: OpaquePointer

  /// Reads a key in PEM or DER: PKCS#8, also encrypted with `passphrase`, or PKCS#1.
  public init(_ bytes: [UInt8], passphrase: String? = nil) throws(NebulaError) {
    ERR_clear_error()
    let found = RSAKeyReader(bytes: bytes, passphrase: passphrase).read()
    guard let found else {
      let reason = Crypto.lastReason()
      throw Self.unreadable(bytes, passphrase, reason)
    }
    guard EVP_PKEY_is_a(found, "RSA") == 1 else {
      EVP_PKEY_free(found)
      throw NebulaError(
        .cryptoBadKey, "The private key is not an RSA key.", remedy: "Make one: openssl genrsa 2048.",
        exit: .configuration)
    }
    key = found
  }
  deinit { EVP_PKEY_free(key) }

  /// Its length in bits.
  public var bits: Int { Int(EVP_PKEY_get_bits(key)) }

  /// The RS256 signature (RSASSA-PKCS1-v1_5 with SHA-256), as JSON Web Tokens want it.
  public func signRS256(_ message: [UInt8]) throws(NebulaError) -> [UInt8] {
    guard let context = EVP_MD_CTX_new() else { throw Crypto.failed("Signing") }
    defer { EVP_MD_CTX_free(context) }
    var length = Int(EVP_PKEY_get_size(key))
    var signature = [UInt8](repeating: 0, count: length)
    guard EVP_DigestSignInit(context, nil, EVP_sha256(), nil, key) == 1,
      EVP_DigestSign(context, &signature, &length, message, message.count) == 1
    else { throw Crypto.failed("Signing") }
    return Array(signature.prefix(length))
  }

  /// The public key as DER of SubjectPublicKeyInfo: what fingerprints are made of.
  public func publicKeyDER() throws(NebulaError) -> [UInt8] {
    var bytes: UnsafeMutablePointer<UInt8>?
    let length = i2d_PUBKEY(key, &bytes)
    guard length > 0, let bytes else { throw Crypto.failed("Writing a public key") }
    defer { CRYPTO_free(bytes, nil, 0) }
    return Array(UnsafeBufferPointer(start: bytes, count: Int(length)))
  }

  private static func unreadable(_ bytes: [UInt8], _ passphrase: String?, _ reason: String) -> NebulaError {
    let isEncrypted = String(decoding: bytes, as: UTF8.self).contains("ENCRYPTED")
    let message: String
    switch (isEncrypted, passphrase) {
    case (true, nil): message = "The private key is encrypted and no passphrase is given."
    case (true, _): message = "The private key can't be decrypted: the passphrase is wrong, or \(reason)."
    case (false, _): message = "The private key can't be read: \(reason)."
    }
    return NebulaError(
      .cryptoBadKey, message,
      remedy: "Give the PKCS#8 file that holds the private key (-----BEGIN PRIVATE KEY----- or "
        + "-----BEGIN ENCRYPTED PRIVATE KEY-----) and its passphrase.",
      exit: .configuration)
  }
}

/// Tries the forms in which a private key may lie in a file.
private struct RSAKeyReader {
  let bytes: [UInt8]
  let passphrase: String?

  func read() -> OpaquePointer? {
    let isPEM = String(decoding: bytes.prefix(4096), as: UTF8.self).contains("-----BEGIN")
    if isPEM {
      return withBIO { bio in withPassphrase { nebula_openssl_read_pem_key(bio, $0) } }
    }
    if let key = withBIO({ d2i_PrivateKey_bio($0, nil) }) {
      ERR_clear_error()
      return key
    }
    guard passphrase != nil else { return nil }
    return withBIO { bio in withPassphrase { nebula_openssl_read_encrypted_der_key(bio, $0) } }
  }

  private func withBIO(_ body: (OpaquePointer) -> OpaquePointer?) -> OpaquePointer? {
    bytes.withUnsafeBytes { bytes in  // the BIO reads the bytes where they lie
      guard let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else { return nil }
      defer { BIO_free(bio) }
      return body(bio)
    }
  }

  private func withPassphrase(_ body: (UnsafePointer<CChar>?) -> OpaquePointer?) -> OpaquePointer? {
    guard let passphrase else { return body(nil) }
    return passphrase.withCString { body($0) }
  }
}
