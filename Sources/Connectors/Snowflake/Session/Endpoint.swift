internal import NebulaCore

/// Where the account answers, and what it is called in a login.
struct Endpoint: Sendable, Hashable {
  /// `https://host[:port]`, without a slash at the end.
  let base: String
  /// The account's name as a login has it: in capitals, cut at the first '.'.
  let account: String

  init(_ options: SnowflakeOptions) throws(NebulaError) {
    let written = options.host ?? options.accountURL ?? options.account.map { "\($0).snowflakecomputing.com" }
    guard let written, !written.isEmpty else {
      throw NebulaError(
        .missingProperty, "The property 'account' is missing.", remedy: "Write it, or set SNOWFLAKE_ACCOUNT.",
        at: .init(path: "account"), exit: .configuration)
    }
    var base = written.contains("://") ? written : "https://\(written)"
    while base.hasSuffix("/") { base.removeLast() }
    let host = try Self.host(of: base, written)
    self.base = base
    account = Self.loginName(options.account ?? host)
  }

  private static func host(of base: String, _ written: String) throws(NebulaError) -> String {
    func bad(_ problem: String, _ remedy: String) -> NebulaError {
      NebulaError(
        .badProperty, "host: \(shortened(written)) \(problem).", remedy: remedy, at: .init(path: "host"),
        exit: .configuration)
    }
    guard let mark = base.firstRange(of: "://") else { throw bad("is no address", "Write https://host.") }
    let scheme = base[..<mark.lowerBound].lowercased()
    let authority = base[mark.upperBound...]
    guard !authority.isEmpty, !authority.contains(where: { "/?#@ ".contains($0) }) else {
      throw bad("is more than a host", "Write https://host, without a path.")
    }
    var host = String(authority)
    if let colon = host.lastIndex(of: ":"), !host.hasSuffix("]") {
      guard UInt16(host[host.index(after: colon)...]) != nil else {
        throw bad("has a bad port", "Write https://host:port.")
      }
      host = String(host[..<colon])
    }
    guard scheme == "https" || (scheme == "http" && isLoopback(host)) else {
      throw bad("would send secrets unencrypted", "Write https://; http:// is accepted to loopback addresses only.")
    }
    return host
  }

  private static func isLoopback(_ host: String) -> Bool {
    let name = host.lowercased()
    if name == "localhost" || name == "[::1]" { return true }
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }

  /// Cut at the first '.'; accounts of the global kind (`acme-123.global`) at their first '-'.
  static func loginName(_ account: String) -> String {
    let name = account.split(separator: ".", omittingEmptySubsequences: false)
    var first = String(name.first ?? "")
    if name.dropFirst().contains("global"), let dash = first.firstIndex(of: "-") { first = String(first[..<dash]) }
    return first.uppercased()
  }
}
