public import NebulaCore

extension NebulaError.Code {
  /// The request itself can't be sent: its address, a header, its body.
  public static let httpBadRequest: Self = "http.bad_request"
  /// Plain `http://` to an address that is not loopback.
  public static let httpInsecure: Self = "http.insecure"
  /// The host's name has no address.
  public static let httpNotResolved: Self = "http.not_resolved"
  /// Nobody accepts the connection.
  public static let httpRefused: Self = "http.refused"
  /// The connection was not made in time.
  public static let httpConnectTimeout: Self = "http.connect_timeout"
  /// The other side's certificate or TLS was not accepted.
  public static let httpTLS: Self = "http.tls_failed"
  /// No complete answer in time; the request may have been carried out.
  public static let httpTimeout: Self = "http.timeout"
  /// The connection ended before the answer was complete; the request may have been carried out.
  public static let httpConnectionLost: Self = "http.connection_lost"
  /// The answer is larger than the request allows.
  public static let httpTooLarge: Self = "http.response_too_large"
  /// The file that is the request's body can't be read, or is shorter than it was said to be.
  public static let httpBodyUnreadable: Self = "http.body_unreadable"
  /// The client was shut down.
  public static let httpClosed: Self = "http.client_closed"
  /// Anything else that libcurl reports; the request may have been carried out.
  public static let httpFailed: Self = "http.failed"
}

extension NebulaError {
  /// False only when it is certain that the other side has not carried out the request: what changes something
  /// without being idempotent must find out first before it is sent again.
  public var httpRequestMayHaveBeenCarriedOut: Bool {
    switch code {
    case .httpBadRequest, .httpInsecure, .httpNotResolved, .httpRefused, .httpConnectTimeout, .httpTLS: false
    default: code.rawValue.hasPrefix("http.")
    }
  }
}

/// The errors of this room, for the docs.
public let httpErrors: [ErrorSpecification] = [
  .init(.httpBadRequest, "A request can't be sent as it is.", remedy: "See the message."),
  .init(.httpInsecure, "Plain http is accepted to loopback addresses only.", remedy: "Write https://."),
  .init(.httpNotResolved, "A host's name has no address.", remedy: "Check the name, the DNS and the proxy variables."),
  .init(
    .httpRefused, "Nobody accepts the connection.", remedy: "Check host, port, firewall and that the service runs."),
  .init(
    .httpConnectTimeout, "A connection was not made in time.", remedy: "Check the firewall and the proxy variables."),
  .init(
    .httpTLS, "The other side's certificate or TLS was not accepted.",
    remedy: "Install its certificate authority, or name a CA file."),
  .init(
    .httpTimeout, "No complete answer came in time.", remedy: "It is tried again; look at the network if it stays."),
  .init(
    .httpConnectionLost, "The connection ended before the answer was complete.",
    remedy: "It is tried again; look at the network if it stays."),
  .init(.httpTooLarge, "An answer is larger than it may be.", remedy: "Check that the address is the right service."),
  .init(.httpBodyUnreadable, "A file to be sent can't be read whole.", remedy: "Check the file and its disk."),
  .init(.httpClosed, "The client was shut down.", remedy: "Nothing: the program is ending."),
  .init(
    .jsonMalformed, "An answer is not the JSON that it should be.",
    remedy: "Check that the address is the right service, and that no proxy changes answers."),
  .init(.cryptoFailed, "OpenSSL or a file refused an encryption.", remedy: "See the message."),
  .init(.cryptoBadKey, "A key can't be read, or is of the wrong kind.", remedy: "See the message."),
  .init(.httpFailed, "A transfer failed for another reason.", remedy: "See the message."),
]
