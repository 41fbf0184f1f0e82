internal import CCurl
internal import NebulaCore

/// Turns what curl says about a failed transfer into an error that says what to do.
struct TransferFailure {
  let code: CURLcode
  let reason: String
  let url: CheckedURL
  let wasSent: Bool
  let isTooLarge: Bool
  let limit: Int

  var error: NebulaError {
    if isTooLarge || code == CURLE_FILESIZE_EXCEEDED { return tooLarge }
    switch code {
    case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: return notResolved
    case CURLE_COULDNT_CONNECT: return refused
    case CURLE_OPERATION_TIMEDOUT: return wasSent ? timeout : connectTimeout
    case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CERTPROBLEM,
      CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_PINNEDPUBKEYNOTMATCH:
      return untrusted
    case CURLE_SSL_CONNECT_ERROR: return wasSent ? lost : handshake
    case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE, CURLE_SEND_FAIL_REWIND,
      CURLE_ABORTED_BY_CALLBACK, CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL:
      return wasSent ? lost : refused
    default: return other
    }
  }

  /// curl's own words, without any address that has a query.
  private var detail: String {
    let text = reason.isEmpty ? String(cString: curl_easy_strerror(code)) : reason
    return text.contains("?") ? String(cString: curl_easy_strerror(code)) : text
  }
  private var native: String { "curl \(code.rawValue)" }

  private var notResolved: NebulaError {
    NebulaError(
      .httpNotResolved, "The name \(url.host) can't be resolved: \(detail).",
      remedy: "Check the name, the DNS of this machine and the proxy variables.", native: native,
      disposition: .retry(after: nil), exit: .environment)
  }
  private var refused: NebulaError {
    NebulaError(
      .httpRefused, "No connection to \(url.origin): \(detail).",
      remedy: "Check host and port, the firewall, and that the service runs.", native: native,
      disposition: .retry(after: nil), exit: .environment)
  }
  private var connectTimeout: NebulaError {
    NebulaError(
      .httpConnectTimeout, "No connection to \(url.origin) in time: \(detail).",
      remedy: "Check the firewall and the proxy variables.", native: native, disposition: .retry(after: nil),
      exit: .environment)
  }
  private var untrusted: NebulaError {
    NebulaError(
      .httpTLS, "The certificate of \(url.host) is not accepted: \(detail).",
      remedy: "Check the host's name. If a proxy or a private authority signs it, install that authority's "
        + "certificate in the system (update-ca-certificates) or name it as CA file.",
      native: native, exit: .environment)
  }
  private var handshake: NebulaError {
    NebulaError(
      .httpTLS, "TLS with \(url.origin) failed: \(detail).",
      remedy: "Check that the port speaks TLS 1.2 or newer, and that no proxy is in between.", native: native,
      disposition: .retry(after: nil), exit: .environment)
  }
  private var timeout: NebulaError {
    NebulaError(
      .httpTimeout, "No complete answer from \(url.redacted) in time: \(detail).",
      remedy: "Look at the network and at the load of the other side.", native: native,
      disposition: .retry(after: nil), exit: .environment)
  }
  private var lost: NebulaError {
    NebulaError(
      .httpConnectionLost, "The connection to \(url.redacted) ended before the answer was complete: \(detail).",
      remedy: "Look at the network and at the other side's log.", native: native, disposition: .retry(after: nil),
      exit: .environment)
  }
  private var tooLarge: NebulaError {
    NebulaError(
      .httpTooLarge, "The answer of \(url.redacted) is larger than \(limit) bytes.",
      remedy: "Check that the address is the right service.", native: native)
  }
  private var other: NebulaError {
    NebulaError(
      .httpFailed, "The request to \(url.redacted) failed: \(detail).", remedy: "See the reason.", native: native,
      disposition: .retry(after: nil))
  }
}
