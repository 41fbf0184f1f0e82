import NebulaCore
import Testing

private struct SampleOptions: ConnectorOptions {
  enum Mode: String, PropertyChoice { case fast, safe }
  var uri = ""
  var count = 5
  var size: ByteCount = .mebibytes(64)
  var wait: Duration = .seconds(5)
  var mode = Mode.safe
  var columns: [String: String] = [:]
  static let fields: [Field<SampleOptions>] = [
    Field("uri", \.uri, required: true, environment: ["SAMPLE_URI"], secret: true, identity: true, "Where it is."),
    Field("count", \.count, range: 1...10, "How many."),
    Field("size", \.size, range: 1...ByteCount(1 << 30), "How large."),
    Field("wait", \.wait, "How long."),
    Field("mode", \.mode, "How."),
    Field("columns", \.columns, "Which."),
  ]
}

@Suite struct OptionsTests {
  private func error(_ properties: Properties) -> NebulaError? {
    do throws(NebulaError) {
      _ = try SampleOptions(decoding: properties)
      return nil
    } catch { return error }
  }

  @Test func decodesEveryKind() throws {
    let options = try SampleOptions(decoding: [
      "uri": "x", "count": "1_0", "size": "512KiB", "wait": "250ms", "mode": "FAST",
    ])
    #expect(options.count == 10 && options.size.bytes == 512 << 10 && options.wait == .milliseconds(250))
    #expect(options.mode == .fast)
  }

  @Test func namesWhatIsWrongAndWhatToDo() {
    let unknown = error(["uri": "x", "conut": "1"])
    #expect(unknown?.code == .unknownProperty && unknown?.remedy.contains("Did you mean 'count'?") == true)
    #expect(unknown?.place?.path == "conut" && unknown?.exit == .configuration)
    #expect(error([:])?.remedy.contains("SAMPLE_URI") == true)
    #expect(error(["uri": "x", "count": "11"])?.message.contains("out of range (1 to 10)") == true)
    #expect(error(["uri": "x", "count": "1.5"])?.code == .badProperty)
    #expect(error(["uri": "x", "count": "99999999999999999999"])?.code == .badProperty)
    #expect(error(["uri": "x", "size": "9999999999GiB"])?.code == .badProperty)
    #expect(error(["uri": "x", "wait": "5 parsecs"])?.code == .badProperty)
    #expect(error(["uri": "x", "mode": "slow"])?.message.contains("fast, safe") == true)
    #expect(error(["uri": "x", "columns": "a"])?.code == .badProperty)
  }

  @Test func secretsAndIdentityComeFromTheSpecification() {
    let connector = Connector.source("sample", "A sample.") { (_: SampleOptions, _) -> NoSource in NoSource() }
    let given: Properties = ["uri": "mongodb://u:secret@h", "count": "3"]
    #expect(connector.specification.secrets(in: given) == ["mongodb://u:secret@h"])
    #expect(connector.specification.identity(of: given) == ["uri": "mongodb://u:secret@h"])
  }

  @Test func anErrorNeverRepeatsASecret() {
    let place = NebulaError.Place(path: "uri")
    var properties = Properties()
    properties["uri"] = .list([.scalar("hunter2", at: place)], at: place)
    let text = error(properties).map { "\($0)" } ?? ""
    #expect(text.contains("config.bad_property") && !text.contains("hunter2"))
  }

  @Test func theClosestNameIsFoundOnlyWhenClose() {
    #expect(closest(to: "micro_batch_sise", among: ["micro_batch_size", "max_file_size"]) == "micro_batch_size")
    #expect(closest(to: "zzz", among: ["account", "user"]) == nil)
  }
}

private struct NoSource: Source {
  var traits: SourceTraits { SourceTraits() }
  func check() async throws -> [Finding] { [] }
  func open(from position: Position?, through: Position?) async throws -> sending any RecordStream { Empty() }
  func acknowledge(through position: DurablePosition) async throws {}
  func close() async {}
  struct Empty: RecordStream { mutating func next() async throws -> RecordBatch? { nil } }
}
