internal import NebulaCore
internal import NebulaHTTP

/// What Azure Storage answered, DFS or Blob.
struct AzureAnswer: Sendable {
  let response: HTTPResponse
  /// An attempt before this one had no clear answer: it may have been carried out.
  let mayBeDone: Bool

  init(_ response: HTTPResponse, mayBeDone: Bool = false) {
    self.response = response
    self.mayBeDone = mayBeDone
  }

  var status: Int { response.status }
  var headers: HTTPHeaders { response.headers }
  var etag: String? { headers["ETag"] }
  var length: Int { headers["Content-Length"].flatMap { Int($0) } ?? 0 }

  /// `PathNotFound` …; empty for none.
  var code: String {
    if let code = headers["x-ms-error-code"] { return code }
    guard status >= 400, !response.body.isEmpty else { return "" }
    return json?["code"]?.string ?? XMLText.first("Code", in: response.text) ?? ""
  }

  /// The service's own sentence. What follows its first line may quote the signature.
  var words: String {
    let text = json?["message"]?.string ?? XMLText.first("Message", in: response.text) ?? ""
    return text.split(separator: "\n").first.map(String.init) ?? ""
  }

  private var json: JSONValue? {
    guard response.body.first == UInt8(ascii: "{") else { return nil }
    return (try? JSONValue(parsing: response.body))?["error"]
  }

  /// The file system or container itself is not there.
  var isWithoutContainer: Bool {
    status == 404 && (code == "ContainerNotFound" || code == "FilesystemNotFound")
  }
  /// Nothing lies under the name.
  var isMissing: Bool { status == 404 && !isWithoutContainer }
  /// A condition of ours does not hold: the name is taken, or the ETag is another.
  var isConditionFailed: Bool {
    (status == 409 && ["PathAlreadyExists", "BlobAlreadyExists"].contains(code))
      || (status == 412 && !isLeaseRefusal)
  }
  /// Another lease than the one named is there, or none.
  var isLeaseRefusal: Bool { (status == 412 || status == 409) && code.hasPrefix("Lease") }
  /// The length is not what an append or a flush needs.
  var isBadPosition: Bool {
    status == 400 && ["InvalidFlushPosition", "InvalidQueryParameterValue", "InvalidAppendPosition"].contains(code)
  }
}
