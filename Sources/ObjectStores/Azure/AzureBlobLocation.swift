internal import NebulaCore

/// Where a container of Azure Blob Storage is.
public struct AzureBlobLocation: Sendable, Hashable {
  /// `https://account.blob.core.windows.net`, or `http://127.0.0.1:port/account`.
  public var endPoint: String
  /// The container.
  public var container: String

  /// A container at an address.
  public init(endPoint: String, container: String) {
    self.endPoint = endPoint
    self.container = container
  }
  /// A container of an account; `suffix` is `core.windows.net` or `blob.core.windows.net`, of this or another cloud.
  public init(account: String, suffix: String = "blob.core.windows.net", container: String) {
    let host = suffix.hasPrefix("blob.") ? suffix : "blob.\(suffix)"
    self.init(endPoint: "https://\(account).\(host)", container: container)
  }

  func url(_ key: String, query: [(String, String)], sas: String) throws(NebulaError) -> String {
    guard !key.isEmpty, key.count <= 1024, !key.hasSuffix("/"), !key.hasSuffix("."),
      !key.unicodeScalars.contains(where: { $0.value < 0x20 || $0 == "\\" })
    else {
      throw NebulaError(
        .objectsBadName, "\(key) can't be a blob's name.",
        remedy: "Use 1 to 1024 characters without backslashes, not ending in a dot or slash.", at: .init(path: key))
    }
    let base = endPoint.hasSuffix("/") ? String(endPoint.dropLast()) : endPoint
    let own = query.map { "\($0.0)=\(PercentEncoding.encode($0.1))" }
    let all = (own + [sas]).filter { !$0.isEmpty }.joined(separator: "&")
    let path = "\(base)/\(PercentEncoding.encodePath(container))/\(PercentEncoding.encodePath(key))"
    return all.isEmpty ? path : "\(path)?\(all)"
  }
}

/// A shared access signature: the query that grants access. Not printable.
public struct AzureSAS: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
  let query: String
  /// Makes one from the token, with or without its leading `?`.
  public init(_ token: String) { query = token.hasPrefix("?") ? String(token.dropFirst()) : token }
  /// Says nothing.
  public var description: String { "AzureSAS(…)" }
  /// Says nothing.
  public var debugDescription: String { description }
}
