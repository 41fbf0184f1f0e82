import CNebulaKernels
import Glibc
import Testing

@Suite("Kernels equal their scalar references")
struct KernelTests {
  /// Texts that reach every branch: block edges, escapes, control characters, good and bad UTF-8, at every offset.
  static func hostile(_ seed: UInt64, _ count: Int) -> [[UInt8]] {
    var random = Seeded(seed)
    let alphabets: [[UInt8]] = [
      Array("abcdefgh"), Array("ab\"\\,\n\r\u{1}"), Array(0...255), Array("é☆😀a"), [0x61, 0xE2, 0x98, 0x86, 0x22],
    ]
    return (0..<count).map { index in
      var text = random.bytes(index % 150, from: Array("abcdefgh"))
      let noise = random.bytes(Int.random(in: 0...4, using: &random), from: alphabets[index % alphabets.count])
      for byte in noise where !text.isEmpty { text[Int.random(in: 0..<text.count, using: &random)] = byte }
      return index % 3 == 0 ? random.bytes(index % 150, from: alphabets[index % alphabets.count]) : text
    }
  }

  @Test func finders() {
    for text in Self.hostile(1, 6000) {
      let count = text.count
      #expect(nebula_find_byte(text, count, 0x61) == text.firstIndex(of: 0x61) ?? count)
      #expect(nebula_find_either(text, count, 0x2C, 0x0A) == nebula_find_either_scalar(text, count, 0x2C, 0x0A))
      #expect(
        nebula_find_any4(text, count, 0x2C, 0x0A, 0x0D, 0x22)
          == nebula_find_any4_scalar(text, count, 0x2C, 0x0A, 0x0D, 0x22))
      #expect(nebula_json_plain_prefix(text, count) == nebula_json_plain_prefix_scalar(text, count))
      #expect(nebula_utf8_valid_prefix(text, count) == nebula_utf8_valid_prefix_scalar(text, count))
    }
  }

  /// Rows of two fields, mostly right, and with a few bytes changed; at every length, so across the edges of blocks.
  @Test func rowsOfCSV() {
    var random = Seeded(6)
    let fields = [
      "", "a", "a b", " a", "a\t", "\"\"", "\"a,b\"", "\"say \"\"so\"\"\"", "\" x \"", "é☆", "\"é\"",
      String(repeating: "x", count: 70),
    ]
    let faults: [UInt8] = [0x22, 0x0A, 0x0D, 0x2C, 0x20, 0xFF, 0x61]
    var found = 0
    for number in 0..<12_000 {
      let delimiter: UInt8 = number % 5 == 0 ? 0x20 : 0x2C
      var text: [UInt8] = []
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        for field in 0..<2 {
          text += Array((fields.randomElement(using: &random) ?? "").utf8).map { $0 == 0x2C ? delimiter : $0 }
          text += field == 0 ? [delimiter] : number % 3 == 0 ? [0x0D, 0x0A] : [0x0A]
        }
      }
      for _ in 0..<number % 4 / 2 {
        text[Int.random(in: 0..<text.count, using: &random)] = faults.randomElement(using: &random) ?? 0
      }
      let capacity = number % 7 == 0 ? 3 : 16
      for blanks in [false, true] {
        var slow = [UInt32](repeating: 0, count: 49)
        let one = nebula_csv_rows_variant(0, text, text.count, delimiter, 0x22, blanks, 2, &slow, capacity)
        for variant in [Int32(1), 2] {
          var fast = [UInt32](repeating: 0, count: 49)
          let other = nebula_csv_rows_variant(variant, text, text.count, delimiter, 0x22, blanks, 2, &fast, capacity)
          #expect(one.rows == other.rows && one.bytes == other.bytes && (other.has_high || !one.has_high), "\(text)")
          #expect(fast.prefix(one.rows * 3) == slow.prefix(one.rows * 3), "\(text)")
        }
        found += one.rows
      }
    }
    #expect(found > 20_000)
  }

  @Test func escapes() {
    for text in Self.hostile(2, 6000) {
      var fast = [UInt8](repeating: 0, count: text.count * 6 + 32)
      var slow = fast
      var (badFast, badSlow) = (0, 0)
      let countFast = nebula_json_escape(&fast, text, text.count, &badFast)
      let countSlow = nebula_json_escape_scalar(&slow, text, text.count, &badSlow)
      #expect(badFast == badSlow && fast.prefix(countFast) == slow.prefix(countSlow), "\(text)")
    }
  }

  @Test func copies() {
    for text in Self.hostile(4, 6000) {
      var fast = [UInt8](repeating: 0, count: text.count * 2 + 16)
      var slow = fast
      let countFast = nebula_double_quotes(&fast, text, text.count, 0x22)
      let countSlow = nebula_double_quotes_scalar(&slow, text, text.count, 0x22)
      #expect(fast.prefix(countFast) == slow.prefix(countSlow), "\(text)")
      let short = Array(text.prefix(16))
      nebula_copy_short(&fast, short, short.count)
      #expect(Array(fast.prefix(short.count)) == short)
    }
  }

  /// Texts that end where a page ends, behind which nothing may be read: a kernel that did would end the process.
  @Test func nothingIsReadBehindTheLastPage() throws {
    let page = 4096
    let two = try #require(mmap(nil, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
    defer { munmap(two, 2 * page) }
    #expect(mprotect(two + page, page, PROT_NONE) == 0)
    let end = two.assumingMemoryBound(to: UInt8.self) + page
    var out = [UInt8](repeating: 0, count: 1024)
    for filling in [UInt8(ascii: "a"), 0xC3] {
      for count in 0...80 {
        let text = end - count
        for at in 0..<count { text[at] = filling == 0xC3 && (count - at) % 2 == 1 ? 0xA9 : filling }
        let isWhole = filling != 0xC3 || count % 2 == 0
        #expect((nebula_utf8_valid_prefix(text, count) == count) == isWhole)
        #expect(nebula_find_byte(text, count, 0) == count)
        #expect(nebula_find_either(text, count, 0, 1) == count)
        #expect(nebula_find_any4(text, count, 0, 1, 2, 3) == count)
        #expect(nebula_json_plain_prefix(text, count) == count)
        var good = 0
        #expect(nebula_json_escape(&out, text, count, &good) == (isWhole ? count : 0))
        #expect(nebula_double_quotes(&out, text, count, 0x22) == count)
        var places = [UInt32](repeating: 0, count: 2)
        #expect(nebula_csv_rows(text, count, 0x2C, 0x22, true, 1, &places, 1).rows == 0)
        if count <= 16 { nebula_copy_short(&out, text, count) }
        nebula_hex(&out, text, count)
        var offset = 0
        #expect(nebula_json_validate(text, count, 500, &offset) != 0)
        #expect(!nebula_bson_is_valid(text, count, 250))
      }
    }
  }

  /// JSON that is right, and the same with a few bytes changed.
  static func jsonTexts() -> [[UInt8]] {
    var random = Seeded(3)
    func value(_ depth: Int) -> String {
      switch Int.random(in: 0..<(depth < 4 ? 8 : 6), using: &random) {
      case 0: ["true", "false", "null"].randomElement(using: &random) ?? ""
      case 1: ["0", "-0.5e+10", "12345678901234567890", "1E-2"].randomElement(using: &random) ?? ""
      case 2, 3, 4:
        "\""
          + String(
            repeating: ["a", "é", "\\n", "\\u00e9", " "].randomElement(using: &random) ?? "",
            count: Int.random(in: 0..<70, using: &random)) + "\""
      case 5: "\"\""
      case 6:
        "[" + (0..<Int.random(in: 0..<5, using: &random)).map { _ in value(depth + 1) }.joined(separator: " , ") + "]"
      default:
        "{"
          + (0..<Int.random(in: 0..<5, using: &random)).map { "\"k\($0)\":" + value(depth + 1) }.joined(separator: ",")
          + "}"
      }
    }
    return (0..<4000).map { index in
      var text = Array(value(0).utf8)
      if index % 4 > 0 {
        for _ in 0..<index % 4 where !text.isEmpty {
          let at = Int.random(in: 0..<text.count, using: &random)
          text[at] = random.bytes(1, from: index % 2 == 0 ? Array("{}[]\",:\\0e-. tfn\n") : Array(0...255))[0]
        }
      }
      return text
    }
  }

  @Test(arguments: [Int32(1), 2]) func jsonVariants(_ variant: Int32) {
    var verdicts = Set<Int32>()
    for text in Self.jsonTexts() + Self.hostile(4, 2000) {
      var (offset, reference) = (0, 0)
      let fault = nebula_json_validate_variant(variant, text, text.count, 500, &offset)
      if fault == -1 { return }  // not on this machine
      let expected = nebula_json_validate_scalar(text, text.count, 500, &reference)
      #expect(fault == expected && offset == reference, "\(text.text)")
      verdicts.insert(fault)
    }
    #expect(verdicts.count > 6)
  }

  @Test func membersOfEveryVariant() {
    for text in Self.jsonTexts() {
      var fast = [nebula_json_member](repeating: nebula_json_member(), count: 3)
      var slow = fast
      var (found, offset, foundSlow, offsetSlow) = (0, 0, 0, 0)
      let fault = nebula_json_members(text, text.count, 500, &fast, 3, &found, &offset)
      let slowFault = nebula_json_members_scalar(text, text.count, 500, &slow, 3, &foundSlow, &offsetSlow)
      #expect(fault == slowFault && offset == offsetSlow && found == foundSlow)
      guard fault == 0 else { continue }
      for (a, b) in zip(fast, slow).prefix(found) {
        #expect(a.key == b.key && a.key_end == b.key_end && a.value == b.value && a.value_end == b.value_end)
        #expect(a.kind == b.kind && a.key_escaped == b.key_escaped && a.value_escaped == b.value_escaped)
      }
    }
  }

  @Test func shortestDigitsReadBack() throws {
    var random = Seeded(5)
    var digits = [CChar](repeating: 0, count: 24)
    for _ in 0..<20_000 {
      let number = Double(bitPattern: random.next() & 0x7FFF_FFFF_FFFF_FFFF)
      guard number.isFinite, number > 0 else { continue }
      var exponent: Int32 = 0
      let count = Int(nebula_double_digits(number, &digits, &exponent))
      let text = String(decoding: digits.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
      #expect(Double("\(text)e\(Int(exponent) - count + 1)") == number)
      // As few digits as Swift's own shortest form needs.
      let own = number.description.split(separator: "e")[0].filter(\.isNumber).drop { $0 == "0" }
      #expect(count <= own.reversed().drop { $0 == "0" }.count)
    }
  }
}
