public import NebulaCore
internal import NebulaHTTP

/// A folder in a bucket or container, as a URL names it: `s3://bucket/prefix`, `gcs://bucket/prefix`,
/// `azure://account.blob.core.windows.net/container/prefix`.
public struct ExternalLocation: Sendable, Hashable {
  /// Whose store it is.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    case s3 = "S3"
    case azure = "AZURE"
    case gcs = "GCS"
  }
  /// Whose store it is.
  public let kind: Kind
  /// As written in small letters; `gs` is `gcs`. S3 has several: `s3`, `s3gov`, `s3china`, and `s3compat` for other
  /// services that speak the same.
  public let scheme: String
  /// Azure's host, `account.blob.core.windows.net`; empty elsewhere.
  public let host: String
  /// The bucket, or Azure's container.
  public let bucket: String
  /// The folder, without slashes around it; may be empty.
  public let prefix: String

  /// Azure's account.
  public var account: String { String(host.prefix { $0 != "." }) }

  /// The address in one form: with a slash at its end.
  public var url: String {
    let parts = [host, bucket, prefix].filter { !$0.isEmpty }
    return "\(scheme)://\(parts.joined(separator: "/"))/"
  }

  /// Reads an address; errors name `property`.
  public init(_ text: String, property: String) throws(NebulaError) {
    func bad(_ problem: String) -> NebulaError {
      NebulaError(
        .badProperty, "\(property): the address \(problem).",
        remedy:
          "Write s3://BUCKET/PREFIX, gcs://BUCKET/PREFIX or azure://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX, "
          + "the prefix of letters, digits and -._~=, without a query.", at: .init(path: property), exit: .configuration
      )
    }
    guard let mark = text.firstRange(of: "://") else { throw bad("has no scheme") }
    let scheme = text[..<mark.lowerBound].lowercased()
    guard let kind = Self.kinds[scheme] else { throw bad("has a scheme that is not known") }
    let rest = text[mark.upperBound...]
    // what is refused is not repeated: it may be a signature
    guard !rest.contains(where: { $0 == "?" || $0 == "#" }) else { throw bad("has a query or fragment") }
    guard !rest.contains("@") else { throw bad("has a user") }
    var parts = rest.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    if parts.last?.isEmpty == true { parts.removeLast() }
    guard parts.allSatisfy({ !$0.isEmpty }), !parts.isEmpty else { throw bad("has an empty part") }
    guard parts.allSatisfy({ $0 != "." && $0 != ".." && $0.utf8.allSatisfy(Self.isSafe) }) else {
      throw bad("has a part that is only dots, or a character that does not belong there")
    }
    self.kind = kind
    self.scheme = scheme == "gs" ? "gcs" : scheme
    host = kind == .azure ? parts.removeFirst().lowercased() : ""
    guard let bucket = parts.first else { throw bad("has no container") }
    self.bucket = bucket
    prefix = parts.dropFirst().joined(separator: "/")
    if let problem { throw bad(problem) }
  }

  private static let kinds: [String: Kind] = [
    "s3": .s3, "s3gov": .s3, "s3china": .s3, "s3compat": .s3, "gcs": .gcs, "gs": .gcs, "azure": .azure,
  ]

  private static func isSafe(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "-._~=".utf8.contains(byte)
    }
  }

  private var problem: String? {
    if kind == .azure {
      let labels = host.split(separator: ".", omittingEmptySubsequences: false)
      let isHost = labels.count >= 3 && labels[1] == "blob" && labels.allSatisfy { !$0.isEmpty }
      guard isHost, (3...24).contains(account.count), account.allSatisfy({ $0.isLowercase || $0.isNumber }) else {
        return "does not begin with ACCOUNT.blob.core.windows.net"
      }
      return AzureLakeLocation.isName(bucket) ? nil : "has no container's name behind the host"
    }
    // Google allows underscores, and longer names with dots in them
    let extra = kind == .gcs ? "-._" : "-."
    let isName = bucket.allSatisfy { $0.isLowercase || $0.isNumber || extra.contains($0) }
    let isGood =
      isName && (3...(kind == .gcs ? 222 : 63)).contains(bucket.count) && bucket.first?.isPunctuation == false
    return isGood ? nil : "has no bucket's name"
  }
}
