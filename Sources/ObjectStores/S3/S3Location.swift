internal import NebulaCore
internal import NebulaHTTP

/// Where a bucket is.
public struct S3Location: Sendable, Hashable {
  /// How a bucket's name is written into addresses.
  public enum Style: Sendable, Hashable {
    /// `https://bucket.host/key`
    case virtualHost
    /// `https://host/bucket/key`
    case path
  }
  /// The bucket.
  public var bucket: String
  /// What signatures name.
  public var region: String
  /// Another service than Amazon's: `host`, `host:port` or with scheme. Plain http to loopback only.
  public var endPoint: String?
  /// nil: virtual host, except for names that no certificate covers (with a dot in them) and loopback addresses.
  public var style: Style?
  /// `s3.<region>.amazonaws.com` instead of `s3.amazonaws.com`.
  public var usesRegionalHost: Bool

  /// Makes a location.
  public init(
    bucket: String, region: String, endPoint: String? = nil, style: Style? = nil, usesRegionalHost: Bool = true
  ) {
    self.bucket = bucket
    self.region = region
    self.endPoint = endPoint
    self.style = style
    self.usesRegionalHost = usesRegionalHost
  }

  /// Scheme, host (with port) and the encoded path of `key`, or of the bucket itself.
  func address(_ key: String?) throws(NebulaError) -> S3Address {
    guard !bucket.isEmpty, bucket.utf8.allSatisfy(Self.mayBeInBucket) else {
      throw NebulaError(
        .objectsBadName, "\(bucket) can't be a bucket's name.",
        remedy: "Buckets have small letters, digits, dots and hyphens.", exit: .configuration)
    }
    let (scheme, host) = endPointParts
    let encoded = try key.map { (key) throws(NebulaError) in PercentEncoding.encodePath(try ObjectKey.checked(key)) }
    return effectiveStyle(host) == .path
      ? S3Address(scheme: scheme, host: host, path: "/\(bucket)" + (encoded.map { "/\($0)" } ?? ""))
      : S3Address(scheme: scheme, host: "\(bucket).\(host)", path: "/\(encoded ?? "")")
  }

  private var endPointParts: (scheme: String, host: String) {
    guard let endPoint, !endPoint.isEmpty else {
      let suffix = region.hasPrefix("cn-") ? ".cn" : ""
      let host = usesRegionalHost && !region.isEmpty ? "s3.\(region).amazonaws.com" : "s3.amazonaws.com"
      return ("https", host + suffix)
    }
    var text = Substring(endPoint)
    var scheme = "https"
    for known in ["https", "http"] where text.hasPrefix("\(known)://") {
      scheme = known
      text = text.dropFirst(known.count + 3)
    }
    var host = text.prefix { $0 != "/" }.lowercased()
    let usualPort = scheme == "https" ? ":443" : ":80"
    if host.hasSuffix(usualPort) { host = String(host.dropLast(usualPort.count)) }
    return (scheme, host)
  }

  private func effectiveStyle(_ host: String) -> Style {
    if let style { return style }
    let isLoopback = host.hasPrefix("127.") || host.hasPrefix("[") || host.hasPrefix("localhost")
    return isLoopback || bucket.contains(".") ? .path : .virtualHost
  }

  private static func mayBeInBucket(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }
}

/// The address of an object: what is sent and what is signed.
struct S3Address: Sendable, Hashable {
  let scheme: String
  let host: String
  let path: String
}
