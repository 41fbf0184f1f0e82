public import NebulaHTTP

/// A place for whole objects under names: S3, Azure Blob, Google Cloud Storage, a local folder.
///
/// What not every store has (listing, ranged reads, appending, renaming) is a protocol of its own beside this one.
public protocol ObjectStore: Sendable {
  /// Writes an object: visible whole or not at all; in parts when it is large. Repeating it is safe: see `createOnly`.
  func put(_ object: ObjectUpload) async throws -> StoredObject
  /// What lies under `key`; nil when nothing does.
  func head(_ key: String) async throws -> StoredObject?
  /// Removes what lies under `key`; it is no error when nothing does.
  func delete(_ key: String) async throws
}

/// An object to be written.
public struct ObjectUpload: Sendable {
  /// Its name, `/` between parts, not encoded.
  public var key: String
  /// Its content.
  public var body: HTTPBody
  /// Its content's length.
  public var size: Int { body.count }
  /// Metadata, names without the store's prefix (`x-amz-meta-` …). ASCII only.
  public var metadata: [String: String]
  /// Its type.
  public var contentType: String
  /// `gzip` …; nil for none.
  public var contentEncoding: String?
  /// MD5 of the content, which the store then verifies.
  public var contentMD5: [UInt8]?
  /// Never replace an object of this name. One that is there already is accepted if it is proven to be the same: equal
  /// size, and the checksum in `checksumMetadata`, or `contentMD5`, equal. Else the error is `objects.exists`.
  public var createOnly: Bool
  /// The name of the metadata that holds a checksum of the content.
  public var checksumMetadata: String?

  /// Describes an object.
  public init(
    key: String, body: HTTPBody, metadata: [String: String] = [:],
    contentType: String = "application/octet-stream", contentEncoding: String? = nil, contentMD5: [UInt8]? = nil,
    createOnly: Bool = true, checksumMetadata: String? = nil
  ) {
    self.key = key
    self.body = body
    self.metadata = metadata
    self.contentType = contentType
    self.contentEncoding = contentEncoding
    self.contentMD5 = contentMD5
    self.createOnly = createOnly
    self.checksumMetadata = checksumMetadata
  }
}

/// An object that lies in a store.
public struct StoredObject: Sendable, Hashable {
  /// Its name.
  public let key: String
  /// Its length in bytes.
  public let size: Int
  /// What changes with its content; stores differ in what it means.
  public let etag: String?
  /// Its metadata, names in lower case.
  public let metadata: [String: String]
  /// MD5 of its content, if the store knows it.
  public let contentMD5: [UInt8]?
  /// True when `put` found it there, proven to be the same.
  public var wasThere: Bool

  /// Makes a description.
  public init(
    key: String, size: Int, etag: String? = nil, metadata: [String: String] = [:], contentMD5: [UInt8]? = nil,
    wasThere: Bool = false
  ) {
    self.key = key
    self.size = size
    self.etag = etag
    self.metadata = metadata
    self.contentMD5 = contentMD5
    self.wasThere = wasThere
  }

  /// Whether it is proven to be what `upload` would have written. `etag` is what the store would call the content.
  func isProvenEqual(to upload: ObjectUpload, etag expected: String? = nil) -> Bool {
    guard size == upload.size else { return false }
    if let name = upload.checksumMetadata, let ours = upload.metadata[name] {
      return metadata[name.lowercased()] == ours
    }
    if let ours = upload.contentMD5, let theirs = contentMD5 { return ours == theirs }
    if let expected, let etag { return expected == etag }
    return false
  }
}
