internal import NebulaCore
internal import NebulaHTTP

/// What Google Cloud Storage says in an answer that is not what was hoped for.
struct GCSAnswer {
  private let refusal: Refusal
  private let isPresigned: Bool

  init(_ response: HTTPResponse, operation: String, bucket: String, isPresigned: Bool) {
    let text = response.status >= 400 ? response.text : ""
    refusal = Refusal(
      store: "the bucket \(bucket)", operation: operation, status: response.status,
      code: XMLText.first("Code", in: text) ?? "", words: XMLText.first("Message", in: text) ?? "")
    self.isPresigned = isPresigned
  }

  var lacksBucket: Bool { refusal.status == 404 && refusal.code == "NoSuchBucket" }

  /// The error and what kind of failure it is.
  func failure(attempt: Int) -> (NebulaError, RetryPolicy.Failure) {
    switch refusal.status {
    case 401: return (refusal.expired, .permanent)
    case 400 where isPresigned || refusal.code == "ExpiredToken": return (refusal.expired, .permanent)
    // fresh tokens are refused for a moment at times: the drivers try again
    case 403: return (refusal.denied, attempt < 3 ? .server : .permanent)
    case 400 where refusal.code == "BadDigest": return (refusal.error(.objectsCorrupt, "It is sent again."), .server)
    case 404: return (refusal.noContainer, .permanent)
    default:
      let failure = RetryPolicy.Failure(status: refusal.status) ?? .permanent
      return (failure == .permanent ? refusal.refused : refusal.unavailable, failure)
    }
  }
}
