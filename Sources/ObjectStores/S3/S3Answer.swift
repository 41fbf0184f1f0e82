internal import NebulaCore
internal import NebulaHTTP

/// What S3 says in an answer that is not what was hoped for.
struct S3Answer {
  let status: Int
  /// `NoSuchKey` …; also found in answers of status 200.
  let code: String
  let words: String
  /// Where the bucket really is.
  let region: String?
  /// Seconds since 1970 by the store's clock.
  let serverTime: Int?

  init(_ response: HTTPResponse) {
    status = response.status
    let text = response.text
    let isError = text.contains("<Error>")
    code = isError ? XMLText.first("Code", in: text) ?? "" : ""
    words = isError ? XMLText.first("Message", in: text) ?? "" : ""
    region = response.headers["x-amz-bucket-region"] ?? (isError ? XMLText.first("Region", in: text) : nil)
    serverTime = response.headers["Date"].flatMap { HTTPDate($0)?.seconds }
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
    case 401, 403: return (refusal.denied, .permanent)
    default:
      let failure = RetryPolicy.Failure(status: status) ?? .permanent
      return (failure == .permanent ? refusal.refused : refusal.unavailable, failure)
    }
  }
}
