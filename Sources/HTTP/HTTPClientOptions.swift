/// How a client connects. There is no switch to turn off the verification of certificates.
public struct HTTPClientOptions: Sendable {
  /// Certificates to trust, in PEM, instead of the system's.
  public var caFile: String?
  /// For the name, the connection and TLS together.
  public var connectTimeout: Duration
  /// How long nothing may move in either direction.
  public var stallTimeout: Duration
  /// Obey `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy`. Loopback addresses are never asked through a proxy.
  public var usesProxyFromEnvironment: Bool
  /// Sent with every request.
  public var userAgent: String
  /// More requests to one host wait for their turn.
  public var maxConnectionsPerHost: Int
  /// A kept connection that was idle for longer is not used again.
  public var maxIdle: Duration

  /// Makes options.
  public init(
    caFile: String? = nil, connectTimeout: Duration = .seconds(20), stallTimeout: Duration = .seconds(120),
    usesProxyFromEnvironment: Bool = true, userAgent: String = "nebula-swift", maxConnectionsPerHost: Int = 16,
    maxIdle: Duration = .seconds(50)
  ) {
    self.caFile = caFile
    self.connectTimeout = connectTimeout
    self.stallTimeout = stallTimeout
    self.usesProxyFromEnvironment = usesProxyFromEnvironment
    self.userAgent = userAgent
    self.maxConnectionsPerHost = max(1, maxConnectionsPerHost)
    self.maxIdle = maxIdle
  }
}
