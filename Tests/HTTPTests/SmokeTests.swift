import NebulaCore
import NebulaHTTP
import Testing

@Suite struct SmokeTests {
  @Test func plainHTTPIsRefusedBeyondLoopback() async throws {
    let client = HTTPClient()
    defer { client.shutdown() }
    await #expect { try await client.perform(HTTPRequest(url: "http://127.0.0.1.example.com/?sig=SECRET")) } throws: {
      ($0 as? NebulaError)?.code == .httpInsecure && !"\($0)".contains("SECRET")
    }
  }
  @Test func refused() async throws {
    let client = HTTPClient()
    defer { client.shutdown() }
    await #expect { try await client.perform(HTTPRequest(url: "http://127.0.0.1:1/?sig=SECRET")) } throws: {
      ($0 as? NebulaError)?.code == .httpRefused && !"\($0)".contains("SECRET")
    }
  }
}
