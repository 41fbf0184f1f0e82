internal import CMongoc
internal import NebulaCore

/// What went wrong with one command, as the driver or the server said it.
struct MongoFailure: Error, Sendable, Hashable {
  enum Origin: Sendable, Hashable {
    /// No server could be chosen: unknown host, refused, TLS, wrong set name.
    case selection
    /// The connection broke or timed out; whether the server saw the command is unknown.
    case network
    /// User or password were refused.
    case authentication
    /// The login failed although it has succeeded before. The driver says so of a connection that breaks during a
    /// login too, as one to a server that is going down does.
    case relogin
    /// The server answered with an error.
    case server
    /// The server's answer makes no sense.
    case reply
  }
  var origin: Origin
  var code: Int32 = 0
  var name = ""
  var message: String
  var labels: Set<String> = []

  /// From before labels (wire version < 9), and kept for servers and proxies that drop labels: trying again from a
  /// token can't lose anything. 134, ReadConcernMajorityNotAvailableYet, comes from a server that has just started.
  static let resumableCodes: Set<Int32> = [
    6, 7, 63, 89, 91, 133, 134, 150, 189, 234, 262, 9001, 10107, 11600, 11602, 13388, 13435, 13436,
  ]
  /// ChangeStreamHistoryLost, ChangeStreamFatalError, InvalidResumeToken.
  static let positionCodes: Set<Int32> = [286, 280, 260]
  static let cursorNotFound: Int32 = 43
  static let tooLarge: Int32 = 10334

  var isPositionLost: Bool { origin == .server && Self.positionCodes.contains(code) }
  var isTooLarge: Bool { origin == .server && code == Self.tooLarge }
  var isCursorGone: Bool { origin == .server && code == Self.cursorNotFound }

  /// True when the same read may be tried again from the same token.
  var isResumable: Bool {
    switch origin {
    case .network, .reply, .relogin: true
    case .selection: !isCertificate
    case .authentication: false
    case .server:
      !isPositionLost && !isTooLarge && !labels.contains("NonResumableChangeStreamError")
        && (isCursorGone || labels.contains("ResumableChangeStreamError") || Self.resumableCodes.contains(code))
    }
  }

  /// A certificate does not become good by trying again.
  var isCertificate: Bool {
    let text = message.lowercased()
    return origin != .server && (text.contains("certificate") || text.contains("hostname mismatch"))
  }
}

extension MongoFailure {
  /// From the driver's error and the server's reply (labels, code name).
  init(_ error: bson_error_t, reply: Reply?, _ connection: ConnectionString) {
    let fromServer = error.domain == MONGOC_ERROR_SERVER.rawValue
    let code = Int32(bitPattern: error.code)
    let isLogin =
      (error.domain == MONGOC_ERROR_CLIENT.rawValue && error.code == MONGOC_ERROR_CLIENT_AUTHENTICATE.rawValue)
      || error.domain == MONGOC_ERROR_SCRAM.rawValue || error.domain == MONGOC_ERROR_SASL.rawValue
      || (fromServer && code == 18)
    origin =
      isLogin
      ? connection.login.hasSucceeded ? .relogin : .authentication
      : fromServer ? .server : error.domain == MONGOC_ERROR_SERVER_SELECTION.rawValue ? .selection : .network
    self.code = fromServer ? code : 0
    message = connection.redacted(error.text)
    name = reply?.text("codeName") ?? ""
    labels = Set(reply?.texts("errorLabels") ?? [])
  }
}
