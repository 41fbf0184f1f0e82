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
}
