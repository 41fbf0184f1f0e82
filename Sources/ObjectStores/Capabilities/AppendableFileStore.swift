public import NebulaHTTP

/// A store whose files grow: bytes are appended at a stated offset, and become visible by a flush to a stated length.
///
/// Every call may be repeated with the same arguments. What an answer that was lost has done is found out inside.
public protocol AppendableFileStore: ObjectStore {
  /// Makes an empty file, and the folders on the way to it.
  func createFile(_ file: NewFile) async throws -> FileCreation
  /// Stores bytes at `offset`, not yet visible. The same offset again replaces them. A wrong offset may only be told by
  /// the flush.
  func append(_ append: FileAppend) async throws
  /// Makes the bytes before `length` visible and drops what was appended behind it. A length that does not fit what was
  /// appended is the error `objects.bad_position`; another writer's lease `objects.lease_lost`.
  func flush(_ flush: FileFlush) async throws -> FlushedFile
  /// Both in one request: `append`, then a flush right behind its bytes.
  func appendAndFlush(_ append: FileAppend, closes: Bool) async throws -> FlushedFile
  /// What the file is; nil when nothing lies under `key`.
  func file(_ key: String) async throws -> FileState?
  /// Replaces all of a file's properties; the new ETag. With `ifMatch`, a file of another ETag is `objects.changed`.
  func setProperties(
    _ properties: [String: String], of key: String, leaseID: String?, ifMatch: String?
  ) async throws -> String?
  /// Removes a file; one that is not there is no error. With `ifMatch`, another ETag is `objects.changed`.
  func deleteFile(_ key: String, leaseID: String?, ifMatch: String?) async throws
}

/// A file to be made.
public struct NewFile: Sendable, Hashable {
  /// Its name.
  public var key: String
  /// Properties kept with it, any text.
  public var properties: [String: String]
  /// Its type.
  public var contentType: String
  /// `gzip` …; nil for none.
  public var contentEncoding: String?
  /// Never empty a file of this name that is there.
  public var createOnly: Bool
  /// The lease held on a file that is to be replaced.
  public var leaseID: String?
  /// Describes a file.
  public init(
    key: String, properties: [String: String] = [:], contentType: String = "application/octet-stream",
    contentEncoding: String? = nil, createOnly: Bool = true, leaseID: String? = nil
  ) {
    self.key = key
    self.properties = properties
    self.contentType = contentType
    self.contentEncoding = contentEncoding
    self.createOnly = createOnly
    self.leaseID = leaseID
  }
}

/// What making a file came to.
public enum FileCreation: Sendable, Hashable {
  /// It is there and empty, by this call or an attempt of it whose answer was lost.
  case created(etag: String?)
  /// A file of that name was there before, and is as it was. Whose it is, its properties tell.
  case exists(FileState)
}

/// Bytes for a file.
public struct FileAppend: Sendable {
  /// The file.
  public var key: String
  /// Where the bytes belong: the file's length before them, appended ones included.
  public var offset: Int
  /// The bytes, 1 to `maxAppendBytes` of the store.
  public var body: HTTPBody
  /// The lease held on the file.
  public var leaseID: String?
  /// MD5 of the bytes, which the store then verifies.
  public var contentMD5: [UInt8]?
  /// Describes bytes.
  public init(_ body: HTTPBody, to key: String, at offset: Int, leaseID: String? = nil, contentMD5: [UInt8]? = nil) {
    self.key = key
    self.offset = offset
    self.body = body
    self.leaseID = leaseID
    self.contentMD5 = contentMD5
  }
}

/// An order to make appended bytes visible.
public struct FileFlush: Sendable, Hashable {
  /// The file.
  public var key: String
  /// Its length from now on.
  public var length: Int
  /// Whether nothing follows: who listens for finished files is told.
  public var closes: Bool
  /// The lease held on the file.
  public var leaseID: String?
  /// The ETag that the file must have; another one is the error `objects.changed`.
  public var ifMatch: String?
  /// Describes a flush.
  public init(_ key: String, length: Int, closes: Bool = false, leaseID: String? = nil, ifMatch: String? = nil) {
    self.key = key
    self.length = length
    self.closes = closes
    self.leaseID = leaseID
    self.ifMatch = ifMatch
  }
}

/// A file after a flush.
public struct FlushedFile: Sendable, Hashable {
  /// Its length.
  public let length: Int
  /// Its ETag.
  public let etag: String?
  /// Makes one.
  public init(length: Int, etag: String?) {
    self.length = length
    self.etag = etag
  }
}

/// What a file is.
public struct FileState: Sendable, Hashable {
  /// Its name.
  public var key: String
  /// How many bytes are visible.
  public var length: Int
  /// What changes with its content and properties.
  public var etag: String?
  /// Its properties, without the one that a store keeps for itself.
  public var properties: [String: String]
  /// Its lease.
  public var lease: LeaseState
  /// True when the name is a folder's.
  public var isFolder: Bool
  /// Makes one.
  public init(
    key: String, length: Int, etag: String? = nil, properties: [String: String] = [:], lease: LeaseState = .available,
    isFolder: Bool = false
  ) {
    self.key = key
    self.length = length
    self.etag = etag
    self.properties = properties
    self.lease = lease
    self.isFolder = isFolder
  }
}
