import Foundation
import NebulaCore
import NebulaHTTP
import Testing

@Suite struct CryptoTests {
  @Test func digestsOfKnownTexts() {
    #expect(Crypto.hex(Crypto.sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(Crypto.hex(Crypto.sha256([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(Crypto.hex(Crypto.md5(Array("abc".utf8))) == "900150983cd24fb0d6963f7d28e17f72")
    // RFC 4231, case 2
    #expect(
      Crypto.hex(Crypto.hmacSHA256(key: Array("Jefe".utf8), Array("what do ya want for nothing?".utf8)))
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    #expect(
      Crypto.hex(Crypto.hmacSHA256(key: [], []))
        == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
    let digest = Crypto.SHA256()
    digest.update(Array("a".utf8))
    digest.update([])
    digest.update(Array("bc".utf8))
    #expect(digest.finish() == Crypto.sha256("abc"))
  }

  @Test func hexAndBase64() throws {
    for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
      #expect(Crypto.base64(Array(plain.utf8)) == text)
      #expect(Crypto.bytes(base64: text) == Array(plain.utf8))
    }
    #expect(Crypto.base64URL([0xFB, 0xFF]) == "-_8")
    for wrong in ["Z", "Zg=", "Zh==", "Z===", "====", "Zg==Zg==", "Zm9v\n", "Zm-v"] {
      #expect(Crypto.bytes(base64: wrong) == nil, "\(wrong)")
    }
    #expect(Crypto.bytes(hex: "00fFA1") == [0, 255, 161])
    #expect(Crypto.bytes(hex: "0") == nil && Crypto.bytes(hex: "0g") == nil)
    for count in 0..<100 {
      let bytes = try Crypto.randomBytes(count)
      #expect(Crypto.base64(bytes) == Data(bytes).base64EncodedString())
      #expect(Crypto.bytes(base64: Crypto.base64(bytes)) == bytes)
      #expect(Crypto.bytes(hex: Crypto.hex(bytes)) == bytes)
    }
    #expect(try Crypto.randomBytes(16) != Crypto.randomBytes(16))
  }

  // MARK: Encryption

  static func vectors() throws -> [JSONValue] {
    let path = PythonHelper.root.appendingPathComponent("Tests/HTTPTests/Fixtures/encryption_vectors.json")
    return try JSONValue(parsing: Array(Data(contentsOf: path))).array ?? []
  }

  @Test func equalToTheOfficialClient() throws {
    let vectors = try Self.vectors()
    #expect(vectors.count == 8)
    for vector in vectors {
      func hex(_ name: String) throws -> [UInt8] {
        try #require(vector[name]?.string.flatMap { Crypto.bytes(hex: $0) })
      }
      let master = try #require(vector["queryStageMasterKey"]?.string.flatMap { Crypto.bytes(base64: $0) })
      let key = try hex("fileKey_hex")
      let iv = try hex("iv_hex")
      let plain = try hex("plaintext_hex")
      let secret = try hex("ciphertext_hex")
      #expect(try Crypto.aesCBCEncrypt(plain, key: key, iv: iv) == secret)
      #expect(try Crypto.aesCBCDecrypt(secret, key: key, iv: iv) == plain)
      #expect(Crypto.aesCBCLength(of: plain.count) == secret.count)
      #expect(Crypto.base64(try Crypto.aesECBWrap(key, with: master)) == vector["x-amz-key"]?.string)
      #expect(try Crypto.aesECBUnwrap(try Crypto.aesECBWrap(key, with: master), with: master) == key)
      #expect(Crypto.base64(iv) == vector["x-amz-iv"]?.string)
    }
  }

  @Test func piecesAreEqualToTheWhole() throws {
    let (key, iv) = (try Crypto.randomBytes(32), try Crypto.randomBytes(16))
    let plain = try Crypto.randomBytes(1_300_017)
    let whole = try Crypto.aesCBCEncrypt(plain, key: key, iv: iv)
    for size in [1_000, 15, 16, 1 << 20, 1_299_999] {
      let cipher = try Crypto.AESCBC.encryptor(key: key, iv: iv)
      var output: [UInt8] = []
      for start in stride(from: 0, to: size == 15 ? 3000 : plain.count, by: size) {
        try plain[start..<min(start + size, plain.count)].withUnsafeBytes { try cipher.update($0, into: &output) }
      }
      if size == 15 {
        #expect(output.elementsEqual(whole.prefix(output.count)) && output.count > 2900)
      } else {
        try cipher.finish(into: &output)
        #expect(output == whole)
      }
    }
  }

  @Test func filesAreEncryptedEqual() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("nebula-\(UUID())").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let (key, iv) = (try Crypto.randomBytes(16), try Crypto.randomBytes(16))
    for count in [0, 1, 16, (1 << 20) - 1, 1 << 20, 1_333_333] {
      let plain = try Crypto.randomBytes(count)
      try Data(plain).write(to: URL(fileURLWithPath: folder + "/in"))
      let written = try Crypto.aesCBCEncryptFile(from: folder + "/in", to: folder + "/out", key: key, iv: iv)
      let secret = try Data(contentsOf: URL(fileURLWithPath: folder + "/out"))
      #expect(written == secret.count && written == Crypto.aesCBCLength(of: count))
      #expect(try Crypto.aesCBCDecrypt(Array(secret), key: key, iv: iv) == plain)
      let mode = try FileManager.default.attributesOfItem(atPath: folder + "/out")[.posixPermissions] as? Int
      #expect(mode == 0o600)
    }
    #expect(throws: NebulaError.self) {
      try Crypto.aesCBCEncryptFile(from: folder + "/none", to: folder + "/out", key: key, iv: iv)
    }
  }

  @Test func badKeysAndTexts() throws {
    let iv = [UInt8](repeating: 0, count: 16)
    for count in [0, 15, 24, 33] {
      let key = [UInt8](repeating: 0, count: count)
      #expect(throws: NebulaError.self) { try Crypto.aesCBCEncrypt([], key: key, iv: iv) }
      #expect(throws: NebulaError.self) { try Crypto.aesECBWrap([], with: key) }
    }
    #expect(throws: NebulaError.self) { try Crypto.aesCBCEncrypt([], key: iv, iv: [0]) }
    #expect(throws: NebulaError.self) { try Crypto.aesCBCDecrypt([1, 2, 3], key: iv, iv: iv) }
  }

  // MARK: Keys

  static let passphrase = "pässword with 'quotes'"
  static let keys = Result { try PythonHelper.ask("keys.py", ["do": "make", "passphrase": .string(passphrase)]) }

  func key(_ name: String) throws -> [UInt8] {
    try #require(Self.keys.get()[name]?.string.flatMap { Crypto.bytes(base64: $0) })
  }

  @Test(arguments: ["pkcs8.pem", "pkcs8.der", "pkcs1.pem", "pkcs1.der"])
  func plainKeys(name: String) throws {
    let key = try RSAPrivateKey(key(name))
    #expect(key.bits == 2048)
    #expect(try key.publicKeyDER() == self.key("public"))
  }

  @Test(arguments: ["encrypted-pkcs8.pem", "encrypted-pkcs8.der", "encrypted-pkcs1.pem"])
  func encryptedKeys(name: String) throws {
    let bytes = try key(name)
    #expect(try RSAPrivateKey(bytes, passphrase: Self.passphrase).publicKeyDER() == key("public"))
    for wrong in ["wrong", nil] {
      do {
        _ = try RSAPrivateKey(bytes, passphrase: wrong)
        Issue.record("a wrong passphrase was accepted")
      } catch {
        #expect(error.code == .cryptoBadKey && error.exit == .configuration)
        if name.hasSuffix("pem") { #expect(error.message.contains("passphrase")) }
      }
    }
  }

  @Test func otherThingsAreNoKeys() throws {
    for bytes in [[], Array("-----BEGIN PRIVATE KEY-----".utf8), try key("public"), try Crypto.randomBytes(2000)] {
      #expect(throws: NebulaError.self) { try RSAPrivateKey(bytes) }
      #expect(throws: NebulaError.self) { try RSAPrivateKey(bytes, passphrase: "x") }
    }
    #expect { try RSAPrivateKey(key("elliptic")) } throws: { "\($0)".contains("not an RSA key") }
  }

  @Test func tokensAreVerifiedByPyJWT() throws {
    let key = try RSAPrivateKey(key("pkcs8.pem"))
    let header: JSONValue = ["alg": "RS256", "typ": "JWT"]
    let claims: JSONValue = ["iss": "ACME.LOADER.SHA256:x", "exp": 4_102_444_800]
    let unsigned = "\(Crypto.base64URL(header.bytes)).\(Crypto.base64URL(claims.bytes))"
    let signature = try key.signRS256(Array(unsigned.utf8))
    let answer = try PythonHelper.ask(
      "keys.py",
      [
        "do": "verify", "public": .string(Crypto.base64(try key.publicKeyDER())),
        "message": .string(Crypto.base64(Array(unsigned.utf8))), "signature": .string(Crypto.base64(signature)),
        "token": .string("\(unsigned).\(Crypto.base64URL(signature))"),
      ])
    #expect(answer["claims"] == claims)
  }

  @Test func keysMadeByTheOpenSSLCommand() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("nebula-\(UUID())").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    func openssl(_ arguments: String) throws {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
      process.arguments = arguments.split(separator: " ").map(String.init)
      process.standardError = FileHandle.nullDevice
      try process.run()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
    }
    // as Snowflake's documentation says
    try openssl("genrsa -out \(folder)/key 2048")
    try openssl("pkcs8 -topk8 -in \(folder)/key -v2 aes-256-cbc -passout pass:abc -out \(folder)/key.p8")
    try openssl("rsa -in \(folder)/key -pubout -outform DER -out \(folder)/pub.der")
    let key = try RSAPrivateKey(Array(Data(contentsOf: URL(fileURLWithPath: folder + "/key.p8"))), passphrase: "abc")
    #expect(try key.publicKeyDER() == Array(Data(contentsOf: URL(fileURLWithPath: folder + "/pub.der"))))
  }
}
