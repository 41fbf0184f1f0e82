import FoundationEssentials
import NebulaCore
import Testing

@Suite("Prepared epochs in the state")
struct EpochCodingTests {
  static let id = EpochID(generation: 2, sequence: 7)

  @Test(arguments: [[], Array("{\"tables\":[\"é\\u0000\"]}".utf8), [0, 0xFF, 0x80], Array("[1,2]".utf8)])
  func manifestsComeBack(_ manifest: [UInt8]) throws {
    let epoch = PreparedEpoch(Self.id, counts: RecordCounts(committed: 3), version: 4, manifest: manifest)
    let text = try JSONEncoder().encode(epoch)
    #expect(try JSONDecoder().decode(PreparedEpoch.self, from: text) == epoch)
  }

  /// What a state file of version 0.1 holds.
  @Test func listsOfNumbersAreRead() throws {
    let epoch = PreparedEpoch(Self.id, counts: RecordCounts(), version: 1, manifest: Array("{}".utf8), isEmpty: true)
    let text = String(decoding: try JSONEncoder().encode(epoch), as: UTF8.self)
    let old = text.replacing("\"{}\"", with: "[123,125]")
    #expect(old != text)
    #expect(try JSONDecoder().decode(PreparedEpoch.self, from: Data(old.utf8)) == epoch)
  }

  /// Five thousand tables make megabytes: as text they take about as much room as they are.
  @Test func textStaysText() throws {
    let manifest = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
    let epoch = PreparedEpoch(Self.id, counts: RecordCounts(), version: 1, manifest: manifest)
    #expect(try JSONEncoder().encode(epoch).count < 1_001_000)
  }
}
