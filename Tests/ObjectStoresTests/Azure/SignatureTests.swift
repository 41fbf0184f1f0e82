import Foundation
import NebulaCore
import NebulaHTTP
import Testing

@testable import NebulaObjectStores

/// What Microsoft's own client signs (Tests/RefereeTests/test_azure_signatures.py makes the fixture).
@Suite struct AzureSignatureTests {
  static let vectors = Result { try fixture("azure_signatures.json") }

  static func fixture(_ name: String) throws -> JSONValue {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures/\(name)")
    return try JSONValue(parsing: Array(Data(contentsOf: file)))
  }

  @Test func signsAsMicrosoftsClient() throws {
    let vectors = try Self.vectors.get()
    let key = try AzureSharedKey(account: vectors["account"]?.string ?? "", base64: vectors["key"]?.string ?? "")
    let requests = try #require(vectors["requests"]?.array)
    #expect(requests.count == 30)
    for request in requests {
      let target = try #require(request["target"]?.string)
      let halves = target.split(separator: "?", maxSplits: 1)
      let query = (halves.count > 1 ? halves[1] : "").split(separator: "&").map { pair in
        let words = pair.split(separator: "=", maxSplits: 1)
        return (String(words[0]), words.count > 1 ? PercentEncoding.decode(words[1]) : "")
      }
      var headers = HTTPHeaders()
      for field in request["headers"]?.object ?? [] { headers.add(field.name, field.value.string ?? "") }
      let length = headers["Content-Length"].flatMap { Int($0) } ?? 0
      headers["Content-Length"] = nil
      let made = key.authorization(
        method: request["method"]?.string ?? "", path: String(halves[0]), query: query, headers: headers,
        contentLength: length)
      #expect(made == request["authorization"]?.string, "\(target)")
    }
  }

  @Test(arguments: ["", "abc", "not base64!", "QUJD"]) func badKeys(_ text: String) throws {
    let error = #expect(throws: NebulaError.self) { try AzureSharedKey(account: "acct", base64: text) }
    #expect(error?.code == .credentialsRefused && error?.exit == .configuration)
    #expect(text.count < 4 || error?.description.contains(text) == false)
  }

  @Test func secretsAreNotPrinted() throws {
    let key = try AzureSharedKey(account: "acct", base64: Scripted.key)
    for value in [key, AzureSAS("sig=SECRET"), AccessToken(value: "SECRET", lifetime: .zero)] as [Any] {
      for text in ["\(value)", String(reflecting: value)] {
        #expect(!text.contains("SECRET") && !text.contains("Eby8"))
      }
    }
    #expect(!"\(AzureCredential.sas(AzureSAS("sig=SECRET")))".contains("SECRET"))
  }
}
