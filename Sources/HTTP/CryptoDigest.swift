internal import COpenSSL

extension Crypto {
  /// A digest made piece by piece. For one thread at a time.
  final class Digest {
    private let context: OpaquePointer
    private let size: Int

    init(_ algorithm: OpaquePointer) {
      guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, algorithm, nil) == 1 else {
        preconditionFailure("OpenSSL has no memory for a digest: \(Crypto.lastReason())")
      }
      self.context = context
      size = Int(EVP_MD_get_size(algorithm))
    }
    deinit { EVP_MD_CTX_free(context) }

    func update(_ bytes: UnsafeRawBufferPointer) {
      guard let base = bytes.baseAddress else { return }
      precondition(EVP_DigestUpdate(context, base, bytes.count) == 1, "a digest was used after its end")
    }

    func finish() -> [UInt8] {
      var digest = [UInt8](repeating: 0, count: size)
      precondition(EVP_DigestFinal_ex(context, &digest, nil) == 1, "a digest was used after its end")
      return digest
    }
  }

  /// SHA-256 piece by piece. For one thread at a time; not used after `finish`.
  public final class SHA256 {
    private let digest = Digest(EVP_sha256())
    /// Makes an empty one.
    public init() {}
    /// Adds bytes.
    public func update(_ bytes: UnsafeRawBufferPointer) { digest.update(bytes) }
    /// Adds bytes.
    public func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { digest.update($0) } }
    /// The 32 bytes.
    public func finish() -> [UInt8] { digest.finish() }
  }

  /// MD5 piece by piece: only for checksums that a protocol asks for. For one thread at a time.
  public final class MD5 {
    private let digest = Digest(EVP_md5())
    /// Makes an empty one.
    public init() {}
    /// Adds bytes.
    public func update(_ bytes: UnsafeRawBufferPointer) { digest.update(bytes) }
    /// Adds bytes.
    public func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { digest.update($0) } }
    /// The 16 bytes.
    public func finish() -> [UInt8] { digest.finish() }
  }

  /// SHA-256 of bytes.
  public static func sha256(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    let digest = Digest(EVP_sha256())
    digest.update(bytes)
    return digest.finish()
  }
  /// SHA-256 of bytes.
  public static func sha256(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { sha256($0) } }
  /// SHA-256 of a text's UTF-8.
  public static func sha256(_ text: String) -> [UInt8] { sha256(Array(text.utf8)) }

  /// MD5 of bytes: only for checksums that a protocol asks for.
  public static func md5(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    let digest = Digest(EVP_md5())
    digest.update(bytes)
    return digest.finish()
  }
  /// MD5 of bytes: only for checksums that a protocol asks for.
  public static func md5(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { md5($0) } }

  /// HMAC-SHA-256.
  public static func hmacSHA256(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
    var code = [UInt8](repeating: 0, count: 32)
    // a null key pointer would mean "the key of before" to OpenSSL
    let usedKey = key.isEmpty ? [0] : key
    var length: UInt32 = 0
    let result = HMAC(EVP_sha256(), usedKey, Int32(key.count), message, message.count, &code, &length)
    precondition(result != nil && length == 32, "HMAC failed: \(lastReason())")
    return code
  }
}
