internal import NebulaCore
internal import NebulaHTTP

/// A file system of Azure Data Lake Storage Gen2: whole objects by the Blob API, growing files by the DFS API. A file
/// written by one of them is never written by the other: the service refuses that.
public final class AzureDataLakeStore: ConditionalObjectStore {
  let session: AzureSession
  private let blobs: AzureBlobStore
  /// Where it is.
  public let location: AzureLakeLocation

  /// Opens a file system; nothing is sent.
  public init(_ location: AzureLakeLocation, credential: AzureCredential, context: ObjectStoreContext) {
    session = AzureSession(AzureEndPoints(location), credential, context)
    blobs = AzureBlobStore(session)
    self.location = location
  }

  /// The most bytes of one append.
  public static let maxAppendBytes = 100 << 20

  /// Uses other credentials from now on, also for requests that are tried again.
  public func replaceCredentials(_ new: AzureCredential) { session.replaceCredentials(new) }

  /// Which way requests prove who asks: `shared key` …
  public var credentialName: String { session.credentialName }

  // MARK: Whole objects

  /// Writes an object at once, or in blocks above `partThreshold`.
  public func put(_ object: ObjectUpload) async throws -> StoredObject {
    try Self.check(object.key)
    return try await blobs.put(object)
  }

  /// Writes a small object if `condition` holds.
  public func put(_ object: ObjectUpload, if condition: WriteCondition) async throws -> ConditionalWrite {
    try Self.check(object.key)
    return try await blobs.put(object, if: condition)
  }

  /// What lies under `key`; its metadata are the file's properties. A folder is no object.
  public func head(_ key: String) async throws -> StoredObject? {
    guard let file = try await file(key), !file.isFolder else { return nil }
    return StoredObject(key: key, size: file.length, etag: file.etag, metadata: file.properties)
  }

  /// Removes it.
  public func delete(_ key: String) async throws { try await deleteFile(key, leaseID: nil, ifMatch: nil) }

  // MARK: The file system

  /// Whether it is there and may be listed: its properties are not for shared access signatures of the file system.
  public func exists() async throws -> Bool {
    do {
      _ = try await list("", recursive: false, continuation: nil, limit: 1)
      return true
    } catch let error as NebulaError where error.code == .objectsNoContainer {
      return false
    }
  }

  /// Whether the account has a hierarchical namespace; nil when who asks may not know.
  public func hasHierarchy() async throws -> Bool? {
    let call = AzureCall(
      operation: "Looking at the account", service: .blob, method: "GET",
      query: [("restype", "account"), ("comp", "properties")])
    let answer = try await session.send(call) { $0.status == 200 || (400..<404).contains($0.status) }
    return answer.headers["x-ms-is-hns-enabled"].map { $0.lowercased() == "true" }
  }

  /// Makes it; one that is there is no error.
  public func createFileSystem() async throws {
    let call = AzureCall(
      operation: "Making the file system", service: .dfs, method: "PUT", query: [("resource", "filesystem")])
    _ = try await session.send(call) {
      $0.status == 201 || ["FilesystemAlreadyExists", "ContainerAlreadyExists"].contains($0.code)
    }
  }

  /// A file system has folders: a name with `..` in it would be another's.
  static func check(_ key: String) throws(NebulaError) {
    let isGood = key.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
      !$0.isEmpty && $0 != "." && $0 != ".."
    }
    guard isGood else {
      throw NebulaError(
        .objectsBadName, "\(key) can't be a file's name.", remedy: "Use names without empty parts, `.` and `..`.",
        at: .init(path: key))
    }
  }
}
