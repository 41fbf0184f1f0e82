internal import NebulaCore
internal import NebulaHTTP

/// The key of a stage, as PUT names it. Stages with server-side encryption have none.
struct StageMasterKey: Sendable, Hashable {
  /// 16 or 32 bytes.
  let key: [UInt8]
  let queryID: String
  /// Larger than 2^53 in principle: a text.
  let smkID: String

  init?(_ material: JSONValue?) throws(NebulaError) {
    guard let material, !material.isNull, let text = material["queryStageMasterKey"]?.string else { return nil }
    guard let key = Crypto.bytes(base64: text), key.count == 16 || key.count == 32,
      let queryID = material["queryId"]?.string, let smkID = material["smkId"]?.stringOrNumber
    else {
      throw NebulaError(
        .badAnswer, "PUT gave encryption material that can't be read.", remedy: "Report the defect.")
    }
    self.key = key
    self.queryID = queryID
    self.smkID = smkID
  }
}

/// One file's encryption: a key of its own, wrapped in the stage's, as Snowflake's own clients do it.
///
/// The body is AES-CBC with PKCS#7; the digest is taken before, over the compressed bytes. Made once per file and kept,
/// also when the stage's credentials are renewed before its upload.
struct FileEncryption: Sendable, Hashable {
  let fileKey: [UInt8]
  let iv: [UInt8]
  /// base64 of AES-ECB(master key, file key).
  let wrappedKey: String
  let materialDescription: String

  init(_ master: StageMasterKey) throws(NebulaError) {
    try self.init(
      master, fileKey: try Crypto.randomBytes(master.key.count), iv: try Crypto.randomBytes(16))
  }

  init(_ master: StageMasterKey, fileKey: [UInt8], iv: [UInt8]) throws(NebulaError) {
    self.fileKey = fileKey
    self.iv = iv
    wrappedKey = Crypto.base64(try Crypto.aesECBWrap(fileKey, with: master.key))
    let description: JSONValue = [
      "queryId": .string(master.queryID), "smkId": .string(master.smkID), "keySize": .string("\(master.key.count * 8)"),
    ]
    materialDescription = description.text
  }

  /// The metadata that a store keeps with the file; each store has its own names for it.
  func metadata(for location: StageTicket.LocationType) -> [String: String] {
    switch location {
    case .s3:
      [
        "x-amz-key": wrappedKey, "x-amz-iv": Crypto.base64(iv), "x-amz-matdesc": materialDescription,
      ]
    case .azure: ["encryptiondata": encryptionData("AES_CBC_128"), "matdesc": materialDescription]
    case .gcs: ["encryptiondata": encryptionData("AES_CBC_256"), "matdesc": materialDescription]
    case .local: [:]
    }
  }

  private func encryptionData(_ algorithm: String) -> String {
    let data: JSONValue = [
      "EncryptionMode": "FullBlob",
      "WrappedContentKey": [
        "KeyId": "symmKey1", "EncryptedKey": .string(wrappedKey), "Algorithm": "AES_CBC_256",
      ],
      "EncryptionAgent": ["Protocol": "1.0", "EncryptionAlgorithm": .string(algorithm)],
      "ContentEncryptionIV": .string(Crypto.base64(iv)),
      "KeyWrappingMetadata": ["EncryptionLibrary": "Java 5.3.0"],
    ]
    return data.text
  }
}
