import Foundation
import NebulaCore
import NebulaHTTP
import Testing

@Suite struct JSONValueTests {
  @Test func reads() throws {
    let value = try JSONValue(
      parsing:
        #" {"b":[1,-0,9223372036854775807,9223372036854775808,1.50,1e3,null,true,false],"a":"\u00e9\ud83d\ude00\n\/","a":2} "#
    )
    #expect(value.object?.map(\.name) == ["b", "a", "a"])
    #expect(
      value["b"]?.array == [
        1, 0, 9_223_372_036_854_775_807, .decimal("9223372036854775808"), .decimal("1.50"), .decimal("1e3"), nil, true,
        false,
      ])
    #expect(value["a"] == 2)
    #expect(value.object?[1].value == "é😀\n/")
    #expect(value["b"]?[6]?.isNull == true && value["b"]?[99] == nil && value["c"] == nil && value[0] == nil)
    #expect(try JSONValue(parsing: "92019681909886")["x"] == nil)
    #expect(try JSONValue(parsing: "-9223372036854775808").integer == .min)
    #expect(JSONValue.decimal("1.5").stringOrNumber == "1.5" && JSONValue.integer(3).stringOrNumber == "3")
  }

  @Test(arguments: [
    "", " ", "{", "[", "[1", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "\"", "\"\\x\"", "\"\\u12\"",
    "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "01", "-", "1.", ".5", "1e", "+1", "tru", "nul", "1 2", "{}{}",
    "\"\n\"", "NaN", "'a'", "[1]]", "\"\\u+123\"",
  ]) func refuses(text: String) {
    #expect(throws: NebulaError.self) { try JSONValue(parsing: text) }
  }

  @Test func refusesWhatIsNotUTF8AndTooDeepAndTooLarge() throws {
    #expect(throws: NebulaError.self) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
    #expect(throws: NebulaError.self) { try JSONValue(parsing: [0x22, 0xC0, 0x80, 0x22]) }
    let deep = String(repeating: "[", count: 128) + String(repeating: "]", count: 128)
    #expect(throws: Never.self) { try JSONValue(parsing: deep) }
    #expect(throws: NebulaError.self) { try JSONValue(parsing: "[\(deep)]") }
    #expect(throws: NebulaError.self) { try JSONValue(parsing: String(repeating: "[", count: 1_000_000)) }
    #expect(throws: NebulaError.self) { try JSONValue(parsing: "[1,2]", limits: .init(bytes: 4)) }
    let wide = "[" + Array(repeating: "[]", count: 1000).joined(separator: ",") + "]"
    #expect(throws: Never.self) { try JSONValue(parsing: wide) }  // depth is given back
  }

  @Test func writesWhatItReads() throws {
    let text = #"{"b":[1,-7,12345678901234567890,1.50,null,true],"a":"é😀\n\"\\\u0001","":{}}"#
    let value = try JSONValue(parsing: text)
    #expect(value.text == text)
    #expect(try JSONValue(parsing: value.bytes) == value)
    let foundation = try JSONSerialization.jsonObject(with: Data(value.bytes)) as? [String: Any]
    #expect(foundation?["a"] as? String == "é😀\n\"\\\u{1}")
  }

  /// Every text one byte away from a valid one is read or refused like Foundation does, and never traps.
  @Test func hostileNeighbours() {
    let seed = Array(#"{"a":[1.5e3,"\u00e9\ud83d\ude00",null,{"b":-0}],"c":true}"#.utf8)
    var agreed = 0
    for index in seed.indices {
      for byte: UInt8 in [0, 0x22, 0x5C, 0x7B, 0x7D, 0x5B, 0x5D, 0x2C, 0x30, 0x39, 0x65, 0xC3, 0xFF, 0x2D] {
        var text = seed
        text[index] = byte
        _ = try? JSONValue(parsing: text)
        _ = try? JSONValue(parsing: Array(text[..<index]))
        agreed += 1
      }
    }
    #expect(agreed == seed.count * 14)
  }
}
