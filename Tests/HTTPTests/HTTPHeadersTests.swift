import NebulaHTTP
import Testing

@Suite struct HTTPHeadersTests {
  @Test func namesAreLookedUpWithoutCase() {
    var headers: HTTPHeaders = ["Content-Type": "a", "X": "1"]
    headers.add("x", " 2\t")
    #expect(headers["CONTENT-type"] == "a" && headers["X"] == "1" && headers.all("X") == ["1", "2"])
    headers["content-TYPE"] = "b"
    #expect(headers.fields.map(\.name) == ["content-TYPE", "X", "x"])
    headers["x"] = nil
    #expect(headers.fields.count == 1 && headers["x"] == nil)
    headers["Ä"] = "no token"
    #expect(headers["ä"] == nil)  // only ASCII letters have case here
  }
}
