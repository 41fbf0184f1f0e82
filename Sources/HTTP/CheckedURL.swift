internal import CCurl
internal import NebulaCore

/// An address that may be asked: https, or http to a loopback address; read by the same parser that will use it.
struct CheckedURL: Sendable {
  /// As given.
  let text: String
  let scheme: String
  let host: String
  /// `scheme://host:port`: what connections are counted by.
  let origin: String
  /// Without query: a query may be a signature.
  let redacted: String
  /// Connections to it never leave this machine, or its link where that was allowed: no proxy is asked.
  let isLocal: Bool

  init(_ text: String, allowsLinkLocal: Bool = false) throws(NebulaError) {
    redacted = Self.redact(text)
    guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      throw Self.bad("The address \(redacted) holds a blank, a control character or a character outside ASCII.")
    }
    // curl would take the path's first part for the host
    guard !text.contains(":///") else { throw Self.bad("The address \(redacted) has no host.") }
    guard let parser = curl_url() else { throw Self.bad("The address \(redacted) can't be read.") }
    defer { curl_url_cleanup(parser) }
    guard curl_url_set(parser, CURLUPART_URL, text, UInt32(CURLU_PATH_AS_IS)) == CURLUE_OK,
      let scheme = Self.part(parser, CURLUPART_SCHEME), let host = Self.part(parser, CURLUPART_HOST)
    else { throw Self.bad("The address \(redacted) is not of the form https://host/path.") }
    guard Self.part(parser, CURLUPART_USER) == nil, Self.part(parser, CURLUPART_PASSWORD) == nil else {
      throw Self.bad("The address holds a user name or password.")
    }
    guard scheme == "https" || scheme == "http" else { throw Self.bad("The address \(redacted) is not https.") }
    isLocal = isLoopback(host) || (allowsLinkLocal && isLinkLocal(host))
    guard scheme == "https" || isLocal else {
      throw NebulaError(
        .httpInsecure, "Plain http to \(host) is refused: it would show keys and data to the network.",
        remedy: "Write https://; plain http is accepted to 127.0.0.0/8, ::1 and localhost only.", exit: .configuration)
    }
    self.text = text
    self.scheme = scheme
    self.host = host
    let port = Self.part(parser, CURLUPART_PORT) ?? (scheme == "https" ? "443" : "80")
    origin = "\(scheme)://\(host):\(port)"
  }

  /// The address without what may be secret: user, query and fragment.
  static func redact(_ text: String) -> String {
    var shown = String(text.prefix { $0 != "?" && $0 != "#" })
    if let scheme = shown.firstRange(of: "://") {
      let rest = shown[scheme.upperBound...]
      let authority = rest.prefix { $0 != "/" }
      if let at = authority.lastIndex(of: "@") { shown.removeSubrange(scheme.upperBound...at) }
    }
    return String(shown.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "?" : Character($0) })
  }

  private static func bad(_ message: String) -> NebulaError {
    NebulaError(
      .httpBadRequest, message, remedy: "Write https://host/path, percent-encoded, without user or password.",
      exit: .configuration)
  }

  private static func part(_ parser: OpaquePointer, _ part: CURLUPart) -> String? {
    var value: UnsafeMutablePointer<CChar>?
    guard curl_url_get(parser, part, &value, 0) == CURLUE_OK, let value else { return nil }
    defer { curl_free(value) }
    return String(cString: value)
  }
}

/// Whether `host`, with or without a port, is 127.0.0.0/8, ::1 or localhost, as written: a name is never looked up.
public func isLoopback(host: String) -> Bool {
  guard let colon = host.lastIndex(of: ":"), !host.hasSuffix("]"), UInt16(host[host.index(after: colon)...]) != nil,
    !host[..<colon].contains(":") || host[..<colon].hasSuffix("]")
  else { return isLoopback(host) }
  return isLoopback(String(host[..<colon]))
}

func isLoopback(_ host: String) -> Bool {
  let name = host.lowercased()
  if name == "localhost" || name == "[::1]" || name == "::1" { return true }
  return octets(name)?.first == "127"
}

/// True for 169.254.0.0/16, as written, and for the two addresses that Amazon's metadata services have beside them.
func isLinkLocal(_ host: String) -> Bool {
  if ["[fd00:ec2::254]", "[fd00:ec2::23]"].contains(host.lowercased()) { return true }
  return octets(host).map { $0[0] == "169" && $0[1] == "254" } ?? false
}

/// The four parts of an address of IP version 4; nil when it is something else.
private func octets(_ host: String) -> [Substring]? {
  let parts = host.split(separator: ".", omittingEmptySubsequences: false)
  let isGood = parts.count == 4 && parts.allSatisfy { UInt8($0) != nil && $0.allSatisfy(\.isNumber) }
  return isGood ? parts : nil
}
