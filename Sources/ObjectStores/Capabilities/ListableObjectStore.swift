/// A store whose names can be listed, page by page.
public protocol ListableObjectStore: ObjectStore {
  /// One page of what lies in `folder` (without a slash at its end; empty for all of the store), sorted by name. A folder
  /// that is not there is empty.
  ///
  /// `recursive` lists what lies below as well; else the folders in it are listed themselves. `continuation` is `next` of
  /// the page before; `limit` is the most entries of a page, the store may give fewer.
  func list(_ folder: String, recursive: Bool, continuation: String?, limit: Int?) async throws -> ObjectListing
}

/// One page of a listing.
public struct ObjectListing: Sendable, Hashable {
  /// What lies there. A page may be empty although more pages follow.
  public var entries: [ListedObject]
  /// Asks for the next page; nil at the end.
  public var next: String?
  /// Makes a page.
  public init(entries: [ListedObject], next: String? = nil) {
    self.entries = entries
    self.next = next
  }
}

/// One line of a listing.
public struct ListedObject: Sendable, Hashable {
  /// The whole name, folders included.
  public let key: String
  /// Its length in bytes; 0 for folders.
  public let size: Int
  /// Its ETag, if the listing tells it.
  public let etag: String?
  /// True for a folder. Stores without folders never list any when `recursive`.
  public let isFolder: Bool
  /// Makes a line.
  public init(key: String, size: Int, etag: String? = nil, isFolder: Bool = false) {
    self.key = key
    self.size = size
    self.etag = etag
    self.isFolder = isFolder
  }
}

extension ListableObjectStore {
  /// Hands out every page of a listing.
  public func forEachPage(
    of folder: String, recursive: Bool = true, limit: Int? = nil, _ use: ([ListedObject]) async throws -> Void
  ) async throws {
    var continuation: String?
    repeat {
      let page = try await list(folder, recursive: recursive, continuation: continuation, limit: limit)
      try await use(page.entries)
      continuation = page.next
    } while continuation != nil
  }

  /// All of a listing, for folders that are known to be small.
  public func listAll(_ folder: String, recursive: Bool = true) async throws -> [ListedObject] {
    var all: [ListedObject] = []
    try await forEachPage(of: folder, recursive: recursive) { all += $0 }
    return all
  }
}
