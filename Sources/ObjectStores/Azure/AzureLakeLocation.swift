public import NebulaCore
internal import NebulaHTTP

/// Where a file system of Azure Data Lake Storage is: its two end points, DFS and Blob, and its name.
public struct AzureLakeLocation: Sendable, Hashable {
  /// `https://account.dfs.core.windows.net`, or `http://127.0.0.1:port/account`; no slash at its end.
  public let dfsEndPoint: String
  /// `https://account.blob.core.windows.net`, or the same as `dfsEndPoint`.
  public let blobEndPoint: String
  /// The account's name.
  public let account: String
  /// The file system, which the Blob side calls container.
  public let fileSystem: String
  /// The signature that stood in the address.
  public let sas: AzureSAS?

  /// Reads an address: of the account or of the file system, DFS or Blob, with or without a signature behind `?`. Other
  /// hosts than Azure's have the account as first part of their path; plain `http` is for loopback addresses.
  public init(accountURL: String, fileSystem: String = "") throws(NebulaError) {
    let address = try AzureAddress(accountURL)
    let named = address.folders.first ?? ""
    guard fileSystem.isEmpty || named.isEmpty || named == fileSystem, address.folders.count <= 1 else {
      throw AzureAddress.bad(
        "\(address.shown) is not the address of the file system \(fileSystem)", "Write the account's address.")
    }
    let name = fileSystem.isEmpty ? named : fileSystem
    guard AzureLakeLocation.isName(name) else {
      throw NebulaError(
        .objectsBadName, "\(name.isEmpty ? "No name" : name) can't be a file system's name.",
        remedy: "Use 3 to 63 lower-case letters, digits and single hyphens.", exit: .configuration)
    }
    (dfsEndPoint, blobEndPoint, account) = (address.base("dfs"), address.base("blob"), address.account)
    self.fileSystem = name
    sas = address.query.isEmpty ? nil : AzureSAS(address.query)
  }

  /// For tests that keep the two services apart.
  init(dfsEndPoint: String, blobEndPoint: String, account: String, fileSystem: String) {
    (self.dfsEndPoint, self.blobEndPoint, self.account) = (dfsEndPoint, blobEndPoint, account)
    self.fileSystem = fileSystem
    sas = nil
  }

  /// `$web` and `$root` are containers too.
  static func isName(_ name: String) -> Bool {
    if name == "$root" || name == "$web" { return true }
    let isGood = name.utf8.allSatisfy {
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
        || $0 == UInt8(ascii: "-")
    }
    return isGood && (3...63).contains(name.utf8.count) && !name.hasPrefix("-") && !name.hasSuffix("-")
      && !name.contains("--")
  }
}

/// The parts of an account's address.
struct AzureAddress {
  let scheme: String
  let host: String
  let account: String
  /// What follows the account.
  let folders: [String]
  let query: String
  private let isPathStyle: Bool

  var shown: String { "\(scheme)://\(host)" }

  init(_ text: String) throws(NebulaError) {
    // a bare account's name is meant for the public cloud
    let whole =
      text.contains("://") ? text : text.contains(".") ? "https://\(text)" : "https://\(text).dfs.core.windows.net"
    guard text.contains("://") || !text.contains("?") else {
      // what hides secrets finds them in whole addresses
      throw Self.bad("An account's address with a signature has to begin with https://", Self.form)
    }
    let halves = whole.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    query = halves.count > 1 ? String(halves[1]) : ""
    guard let mark = halves[0].firstRange(of: "://") else {
      throw Self.bad("The account's address is empty", Self.form)
    }
    scheme = halves[0][..<mark.lowerBound].lowercased()
    var parts = halves[0][mark.upperBound...].split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    host = parts.removeFirst().lowercased()
    while parts.last?.isEmpty == true { parts.removeLast() }
    let labels = host.split(separator: ".").map(String.init)
    isPathStyle = !labels.dropFirst().contains { $0 == "dfs" || $0 == "blob" }
    if isPathStyle, !parts.isEmpty { account = parts.removeFirst() } else { account = isPathStyle ? "" : labels[0] }
    folders = parts
    guard scheme == "https" || scheme == "http", !host.isEmpty, !account.isEmpty, !host.contains("@") else {
      throw Self.bad("\(shown) is not an account's address", Self.form)
    }
    guard scheme == "https" || isLoopback(host: host) else {
      throw NebulaError(
        .httpInsecure, "Plain http to \(host) is refused: it would show keys and data to the network.",
        remedy: "Write https://; plain http is accepted to 127.0.0.0/8, ::1 and localhost only.", exit: .configuration)
    }
  }

  /// The end point of one of the two services.
  func base(_ service: String) -> String {
    if isPathStyle { return "\(scheme)://\(host)/\(account)" }
    let labels = host.split(separator: ".").map { $0 == "dfs" || $0 == "blob" ? service : String($0) }
    return "\(scheme)://\(labels.joined(separator: "."))"
  }

  static let form = "Write https://ACCOUNT.dfs.core.windows.net, or http://127.0.0.1:PORT/ACCOUNT for a stand-in."

  static func bad(_ message: String, _ remedy: String) -> NebulaError {
    NebulaError(.badProperty, "\(message).", remedy: remedy, exit: .configuration)
  }
}
