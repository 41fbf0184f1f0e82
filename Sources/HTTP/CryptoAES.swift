internal import COpenSSL
public import NebulaCore

extension Crypto {
  /// AES-CBC with PKCS#7 padding, piece by piece, keys of 16 or 32 bytes. For one thread at a time.
  public final class AESCBC {
    private let context: OpaquePointer

    /// Encrypts.
    public static func encryptor(key: [UInt8], iv: [UInt8]) throws(NebulaError) -> AESCBC {
      try AESCBC(key: key, iv: iv, encrypts: true)
    }
    /// Decrypts.
    public static func decryptor(key: [UInt8], iv: [UInt8]) throws(NebulaError) -> AESCBC {
      try AESCBC(key: key, iv: iv, encrypts: false)
    }

    private init(key: [UInt8], iv: [UInt8], encrypts: Bool) throws(NebulaError) {
      guard iv.count == 16 else { throw Crypto.badKey("An initial vector has \(iv.count) bytes instead of 16.") }
      context = try Crypto.cipher(
        key.count == 16 ? EVP_aes_128_cbc() : EVP_aes_256_cbc(), key: key, iv: iv, encrypts: encrypts)
    }
    deinit { EVP_CIPHER_CTX_free(context) }

    /// Adds bytes and writes what is ready to `room`, which has at least 16 bytes more than they have; returns how many it
    /// wrote.
    public func update(_ bytes: UnsafeRawBufferPointer, to room: UnsafeMutableRawBufferPointer) throws(NebulaError)
      -> Int
    {
      precondition(room.count >= bytes.count + 16)
      var (rest, total) = (bytes[...], 0)
      while !rest.isEmpty {
        // OpenSSL counts in Int32.
        let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
        rest = rest.dropFirst(piece.count)
        var written: Int32 = 0
        let status = EVP_CipherUpdate(
          context, room.baseAddress.map { ($0 + total).assumingMemoryBound(to: UInt8.self) }, &written,
          piece.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(piece.count))
        guard status == 1 else { throw Crypto.failed("Encrypting") }
        total += Int(written)
      }
      return total
    }

    /// Adds bytes and appends what is ready to `output`.
    public func update(_ bytes: UnsafeRawBufferPointer, into output: inout [UInt8]) throws(NebulaError) {
      let ready = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count + 16, alignment: 16)
      defer { ready.deallocate() }
      let written = try update(bytes, to: ready)
      output.append(contentsOf: UnsafeRawBufferPointer(rebasing: ready[..<written]))
    }

    /// Appends the last block. Throws when what was decrypted does not end in a valid padding.
    public func finish(into output: inout [UInt8]) throws(NebulaError) {
      var block = [UInt8](repeating: 0, count: 32)
      var written: Int32 = 0
      guard EVP_CipherFinal_ex(context, &block, &written) == 1 else { throw Crypto.failed("Ending a cipher") }
      output.append(contentsOf: block.prefix(Int(written)))
    }
  }

  /// How many bytes AES-CBC makes of `count`: a whole block of padding when it is even.
  public static func aesCBCLength(of count: Int) -> Int { (count / 16 + 1) * 16 }

  /// AES-CBC of bytes at once.
  public static func aesCBCEncrypt(_ plain: [UInt8], key: [UInt8], iv: [UInt8]) throws(NebulaError) -> [UInt8] {
    try run(try .encryptor(key: key, iv: iv), plain)
  }

  /// The reverse.
  public static func aesCBCDecrypt(_ secret: [UInt8], key: [UInt8], iv: [UInt8]) throws(NebulaError) -> [UInt8] {
    try run(try .decryptor(key: key, iv: iv), secret)
  }

  private static func run(_ cipher: AESCBC, _ input: [UInt8]) throws(NebulaError) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(input.count + 32)
    try input.withUnsafeBufferPointer { (bytes) throws(NebulaError) in
      try cipher.update(UnsafeRawBufferPointer(bytes), into: &output)
    }
    try cipher.finish(into: &output)
    return output
  }

  /// AES-ECB with PKCS#7 padding: how Snowflake wraps a file's key in the stage's master key.
  public static func aesECBWrap(_ key: [UInt8], with master: [UInt8]) throws(NebulaError) -> [UInt8] {
    try ecb(key, key: master, encrypts: true)
  }

  /// The reverse.
  public static func aesECBUnwrap(_ wrapped: [UInt8], with master: [UInt8]) throws(NebulaError) -> [UInt8] {
    try ecb(wrapped, key: master, encrypts: false)
  }

  private static func ecb(_ input: [UInt8], key: [UInt8], encrypts: Bool) throws(NebulaError) -> [UInt8] {
    let context = try cipher(
      key.count == 16 ? EVP_aes_128_ecb() : EVP_aes_256_ecb(), key: key, iv: [], encrypts: encrypts)
    defer { EVP_CIPHER_CTX_free(context) }
    var output = [UInt8](repeating: 0, count: input.count + 32)
    var first: Int32 = 0
    var last: Int32 = 0
    guard EVP_CipherUpdate(context, &output, &first, input, Int32(input.count)) == 1 else {
      throw failed("Wrapping a key")
    }
    let status = output.withUnsafeMutableBufferPointer {
      EVP_CipherFinal_ex(context, $0.baseAddress.map { $0 + Int(first) }, &last)
    }
    guard status == 1 else { throw failed("Wrapping a key") }
    return Array(output.prefix(Int(first + last)))
  }

  fileprivate static func cipher(
    _ algorithm: OpaquePointer?, key: [UInt8], iv: [UInt8], encrypts: Bool
  ) throws(NebulaError) -> OpaquePointer {
    guard key.count == 16 || key.count == 32 else {
      throw badKey("An AES key has \(key.count) bytes instead of 16 or 32.")
    }
    guard let context = EVP_CIPHER_CTX_new() else { throw failed("Making a cipher") }
    guard EVP_CipherInit_ex(context, algorithm, nil, key, iv.isEmpty ? nil : iv, encrypts ? 1 : 0) == 1 else {
      EVP_CIPHER_CTX_free(context)
      throw failed("Making a cipher")
    }
    return context
  }

  static func badKey(_ message: String) -> NebulaError {
    NebulaError(.cryptoBadKey, message, remedy: "Check where the key comes from.")
  }
}
