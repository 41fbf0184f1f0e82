internal import NebulaCore
internal import NebulaHTTP

/// What S3 says in an answer that is not what was hoped for.
struct S3Answer {
  let status: Int
  private let method: String
  /// `NoSuchKey` …; also found in answers of status 200.
  let code: String
  let words: String
  /// Where the bucket really is.
  let region: String?
  /// Seconds since 1970 by the store's clock.
  let serverTime: Int?

  init(_ response: HTTPResponse, of call: S3Session.Call) {
    status = response.status
    method = call.method
    // what is read may be any text; only answers of other kinds are looked into
    let text = status < 300 && call.method == "GET" ? "" : response.text
    let isError = text.contains("<Error>")
    code = isError ? XMLText.first("Code", in: text) ?? "" : ""
    words = isError ? XMLText.first("Message", in: text) ?? "" : ""
    region = response.headers["x-amz-bucket-region"] ?? (isError ? XMLText.first("Region", in: text) : nil)
    serverTime = response.headers["Date"].flatMap { HTTPDate($0)?.seconds }
  }

  /// The signature's date may be what is refused: a HEAD has no body to say so.
  var mayBeSkewed: Bool {
    code == "RequestTimeTooSkewed" || (method == "HEAD" && status == 403)
  }

  func refusal(_ operation: String, bucket: String) -> Refusal {
    Refusal(store: "the bucket \(bucket)", operation: operation, status: status, code: code, words: words)
  }

  /// The error and what kind of failure it is.
  func failure(_ operation: String, bucket: String) -> (NebulaError, RetryPolicy.Failure) {
    let refusal = refusal(operation, bucket: bucket)
    switch code {
    case "ExpiredToken", "TokenRefreshRequired", "InvalidToken": return (refusal.expired, .permanent)
    case "SlowDown", "Throttling", "ServiceUnavailable": return (refusal.unavailable, .throttled)
    case "RequestTimeout", "InternalError", "ConditionalRequestConflict", "OperationAborted":
      return (refusal.unavailable, .server)
    case "NoSuchBucket": return (refusal.noContainer, .permanent)
    case "BadDigest": return (refusal.error(.objectsCorrupt, "It is sent again."), .server)
    default: break
    }
    switch status {
    case 401, 403: return (method == "HEAD" || method == "GET" ? mayNotLook(refusal) : refusal.denied, .permanent)
    default:
      let failure = RetryPolicy.Failure(status: status) ?? .permanent
      return (failure == .permanent ? refusal.refused : refusal.unavailable, failure)
    }
  }

  /// Without the right to list, S3 says of an object that is not there that it must not be looked at.
  private func mayNotLook(_ refusal: Refusal) -> NebulaError {
    refusal.error(
      .objectsDenied,
      "Check the credentials, and grant them s3:GetObject on the objects and s3:ListBucket on the bucket.")
  }
}
