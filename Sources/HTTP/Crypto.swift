internal import COpenSSL
public import NebulaCore

/// Digests, signatures and encryption, by OpenSSL.
public enum Crypto {
  /// What OpenSSL last complained about on this thread; its list is emptied.
  static func lastReason() -> String {
    var reason = "no reason given"
    while true {
      let code = ERR_get_error()
      guard code != 0 else { return reason }
      if let text = ERR_reason_error_string(code) { reason = String(cString: text) }
    }
  }

  static func failed(_ what: String) -> NebulaError {
    NebulaError(
      .cryptoFailed, "\(what) failed: \(lastReason()).", remedy: "Check the OpenSSL library of this machine.")
  }

  /// Random bytes from the system, fit for keys.
  public static func randomBytes(_ count: Int) throws(NebulaError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    guard RAND_bytes(&bytes, Int32(count)) == 1 else { throw failed("Making random bytes") }
    return bytes
  }
}

extension NebulaError.Code {
  /// OpenSSL refused an operation.
  public static let cryptoFailed: Self = "crypto.failed"
  /// A key can't be read, or is of the wrong kind.
  public static let cryptoBadKey: Self = "crypto.bad_key"
}
