import Foundation
import NebulaCore
import Testing

@testable import NebulaRuntime

private struct NoSource: Source {
  var traits: SourceTraits { SourceTraits() }
  func check() async throws -> [Finding] { [] }
  func open(from position: Position?, through: Position?) async throws -> sending any RecordStream {
    throw CancellationError()
  }
  func acknowledge(through position: DurablePosition) async throws {}
  func close() async {}
}

private struct ShopOptions: ConnectorOptions {
  var uri = ""
  var database = ""
  var collections: [String] = []
  var batch = 100
  var wait: Duration = .seconds(1)
  var size: ByteCount = .mebibytes(1)
  var pipeline: PropertyValue = .list([], at: .init(path: ""))
  static let fields: [Field<ShopOptions>] = [
    Field("uri", \.uri, required: true, environment: ["SHOP_URI"], secret: true, "Where the shop is."),
    Field("database", \.database, required: true, environment: ["SHOP_DB"], identity: true, "Which database."),
    Field("collections", \.collections, environment: ["SHOP_COLLECTIONS"], identity: true, "Which collections."),
    Field("batch", \.batch, range: 1...1000, "Records a batch."),
    Field("wait", \.wait, "How long to wait."),
    Field("size", \.size, range: 1...ByteCount(1 << 30), "How large."),
    Field("pipeline", \.pipeline, "Stages."),
  ]
}

private let shop = Connector.source("shop", "A shop.") { (_: ShopOptions, _) in NoSource() }
/// A connector whose settings lie elsewhere too.
private let filed = Connector(
  shop.specification.renamed("filed"), makeSource: nil, makeDestination: nil,
  complete: { written, environment in
    var completion = Completion(written)
    completion.hints = ["uri": "in the file"]
    guard environment["FILED"] != nil else { return completion }
    if environment["FILED"] == "broken" {
      completion.errors = [NebulaError("shop.broken", "hidden-in-file", remedy: "", exit: .configuration)]
    }
    completion.properties["database"] = .scalar("shop", at: .init(path: "file", line: 3))
    completion.closed = ["collections"]
    completion.secrets = ["hidden-in-file"]
    completion.remarks = [Remark(.info, "read")]
    return completion
  })

extension ConnectorSpecification {
  fileprivate func renamed(_ name: String) -> Self {
    var copy = self
    copy.name = name
    return copy
  }
}

private let out = Connector(
  ConnectorSpecification(
    name: "out", role: .destination, summary: "A folder.",
    properties: [Field<ShopOptions>("path", \.database, required: true, identity: true, "Where to.").specification]))

@Suite struct ConfigurationTests {
  let registry: ConnectorRegistry
  init() throws { registry = try ConnectorRegistry([shop, filed, out]) }

  func request(
    _ text: String, _ set: [String] = [], environment: [String: String] = ["HOME": "/home/u"],
    files: [String: String] = [:]
  ) -> ConfigurationRequest {
    var request = ConfigurationRequest(path: "p.yaml", environment: environment) { path in
      path == "p.yaml" ? Array(text.utf8) : files[path].map { Array($0.utf8) }
    }
    request.overrides = set
    return request
  }
  func load(_ request: ConfigurationRequest) throws -> Configuration { try ConfigurationLoader.load(request, registry) }
  func problems(_ request: ConfigurationRequest) -> [String] {
    do {
      _ = try load(request)
      return []
    } catch let problems as ConfigurationProblems { return problems.errors.map(\.description) } catch {
      return ["\(error)"]
    }
  }

  static let good = """
    name: orders
    source:
      type: shop
      properties: { uri: "shop://u:hunter2@host/db", database: shop }
    destination: { type: out, properties: { path: /tmp/out } }

    """

  @Test func whatAConnectorFindsElsewhereCountsAsWritten() throws {
    let text = Self.good.replacing("type: shop", with: "type: filed")
    let without = text.replacing(", database: shop", with: "")
    let environment = ["HOME": "/h", "FILED": "1", "SHOP_DB": "another", "SHOP_COLLECTIONS": "contradicting"]
    let found = try load(request(without, environment: environment))
    #expect(found.identity == (try load(request(text))).identity)
    #expect(found.remarks == [Remark(.info, "read")] && found.redactor("a hidden-in-file b") == "a *** b")
    #expect(found.source.properties["collections"] == nil)
    // Where else a missing property may stand; and nothing is called missing while that place can't be read.
    let missing = problems(request(text.replacing("uri: \"shop://u:hunter2@host/db\", ", with: "")))
    #expect(
      missing.count == 1 && missing[0].contains("Write it or set SHOP_URI in the environment, or give it in the file."))
    let broken = problems(
      request(
        text.replacing("uri: \"shop://u:hunter2@host/db\", ", with: ""),
        environment: ["HOME": "/h", "FILED": "broken"]))
    #expect(broken.count == 1 && broken[0].hasPrefix("shop.broken: ***"))
  }

  /// The identity is stored: a signature or a user in an address belongs to neither the state nor the name of a place.
  @Test(arguments: [
    ("https://acme.dfs.core.windows.net/raw?sv=1&sig=abc%2B", "https://acme.dfs.core.windows.net/raw"),
    ("https://u:p@ss@host:1/a", "https://host:1/a"), ("shop://host#x?y", "shop://host"),
    ("https://host", "https://host"),
    ("data/file-?.jsonl", "data/file-?.jsonl"), ("", ""),
  ])
  func identitiesHoldPlacesOnly(_ text: String, _ place: String) throws {
    #expect(Configuration.Endpoint.place(text) == place)
    let quoted = "{ type: out, properties: { path: '\(text)' } }"
    guard !text.isEmpty else { return }
    let configuration = try load(
      request(Self.good.replacing("{ type: out, properties: { path: /tmp/out } }", with: quoted)))
    #expect(configuration.identity.destinationIdentity == ["path": place])
  }

  @Test func aWholeFile() throws {
    let text =
      Self.good + """
        pipeline: { epoch_records: 5_000, epoch_bytes: 16MiB, epoch_age: 250ms, epoch_idle: 90ms, max_in_flight_bytes: 32MiB, max_rejected: 0,
          retry_for: 2m, idle_checkpoint_interval: 1s, shutdown_deadline: 5s }
        state: /var/lib/orders
        """
    let configuration = try load(request(text))
    #expect(configuration.name == "orders")
    #expect(configuration.source.connector.specification.name == "shop")
    #expect(configuration.destination.properties["path"]?.text == "/tmp/out")
    #expect(configuration.stateFile == "/var/lib/orders/state.sqlite")
    var expected = PipelineSettings()
    expected.epoch = EpochLimits(records: 5000, bytes: 16 << 20, age: .milliseconds(250), idle: .milliseconds(90))
    expected.maxInFlightBytes = 32 << 20
    expected.maxRejected = 0
    expected.retryFor = .seconds(120)
    expected.idleCheckpointInterval = .seconds(1)
    expected.shutdownDeadline = .seconds(5)
    #expect(configuration.settings == expected)
  }

  @Test func theDefaultsOfTheSectionAreThoseOfThePipeline() throws {
    #expect(PipelineOptions().settings == PipelineSettings())
  }

  @Test func jsonIsReadToo() throws {
    let text =
      #"{"name": "o\u0072ders", "source": {"type": "shop", "properties": {"uri": "a\/b", "database": "d", "collections": ["x", "y"]}},"#
      + "\n\t"
      + #""destination": {"type": "out", "properties": {"path": "/tmp"}}}"#
    let configuration = try load(request(text))
    #expect(configuration.name == "orders")
    #expect(configuration.source.properties["uri"]?.text == "a/b")
    #expect(configuration.source.properties["collections"]?.canonical == "[x,y]")
  }

  @Test func typosAreAnsweredWithPlaceAndHintAllAtOnce() {
    let text = """
      nmae: orders
      source:
        type: shop
        properties:
          uri: x
          databse: shop
          batch: 0
          wait: soon
          size: 3 elephants
      destination:
        type: outt
      pipeline:
        epoch_recods: 5
        max_rejected: many
      sinks: []
      """
    #expect(
      problems(request(text)) == [
        "config.missing_property: The property 'database' is missing. [source.properties.database] Write it or set SHOP_DB in the environment. Which database.",
        "config.unknown_property: A configuration has no key 'nmae'. [p.yaml:1:1] Did you mean 'name'? Known: name, source, destination, pipeline, state, plugins.",
        "config.unknown_property: 'shop' has no property 'databse'. [p.yaml:6:5] Did you mean 'database'? Known: uri, database, collections, batch, wait, size, pipeline.",
        "config.bad_property: batch: '0' is out of range (1 to 1000). [p.yaml:7:12] Records a batch.",
        "config.bad_property: wait: 'soon' is not a duration such as 250ms, 30s, 15m or 2h. [p.yaml:8:11] How long to wait.",
        "config.bad_property: size: '3 elephants' is not a size such as 512KiB, 64MiB or a number of bytes. [p.yaml:9:11] How large.",
        "config.unknown_connector: No destination is called 'outt'. [p.yaml:11:9] Did you mean 'out'? Known: out.",
        "config.unknown_property: 'pipeline' has no property 'epoch_recods'. [p.yaml:13:3] Did you mean 'epoch_records'? Known: epoch_records, epoch_bytes, epoch_age, epoch_idle, max_in_flight_bytes, max_rejected, retry_for, idle_checkpoint_interval, shutdown_deadline, lease_duration, spool_directory, max_spool_bytes.",
        "config.bad_property: max_rejected: 'many' is not a integer. [p.yaml:14:17] More rejected records than this stop the run; 0 stops at the first.",
        "config.unknown_property: A configuration has no key 'sinks'. [p.yaml:15:1] Known: name, source, destination, pipeline, state, plugins.",
      ])
  }

  @Test(arguments: [
    ("source: [", "p.yaml:2:1"), ("a: b: c", "p.yaml:1:5"), ("a: 1\na: 2", "p.yaml:2:1"), ("a: *nowhere", "p.yaml:1:4"),
    ("a: 1\n---\nb: 2", "p.yaml:2:1"), ("a: !!binary aGk=", "p.yaml:1:4"), ("a: !custom x", "p.yaml:1:4"),
    ("\"a", "p.yaml:1:3"), ("? [a]\n: b", "p.yaml:1:1"), ("- a", "p.yaml:1:1"), ("a:\n\tb: 1", "p.yaml:2:1"),
  ]) func brokenTextsHaveAPlace(_ text: String, _ place: String) {
    let found = problems(request(text))
    #expect(
      found.count == 1 && found[0].hasPrefix("config.syntax: ") && found[0].contains("[\(place)]"),
      Comment(rawValue: found.joined()))
  }

  @Test func notUTF8IsSaidToBeNotUTF8() {
    let request = ConfigurationRequest(path: "p.yaml") { _ in [0x61, 0x3a, 0x20, 0xff, 0xfe] }
    #expect(problems(request).first?.contains("Not a text in UTF-8") == true)
  }

  @Test func aMissingFileIsAConfigurationError() {
    let request = ConfigurationRequest(path: "gone.yaml") { _ in nil }
    #expect(
      problems(request) == [
        "config.unreadable: The configuration gone.yaml can't be read. [gone.yaml] Check the path and its rights."
      ])
  }

  @Test func bombsAreRefused() {
    var bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1...9 {
      bomb += "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ") + "]\n"
    }
    #expect(problems(request(bomb)).first?.contains("more than 20000 values") == true)
    let deep = "a: " + String(repeating: "[", count: 5000) + String(repeating: "]", count: 5000)
    #expect(problems(request(deep)).first?.contains("nested deeper than 50") == true)
    let long = "a: " + String(repeating: "x", count: 1 << 20)
    #expect(problems(request(long)).first?.contains("longer than") == true)
    // A map that contains itself.
    #expect(problems(request("a: &a { b: *a }")).first?.contains("no anchor before this alias") == true)
  }

  @Test func anchorsAndMergesWork() throws {
    let tree = try YAMLReader.read(
      Array("base: &b { x: 1, y: 2 }\nv: { <<: *b, y: 3 }\nw: { <<: [*b, { z: 9 }] }".utf8), path: "p")
    guard case .map(let entries, _) = tree else { return #expect(Bool(false)) }
    #expect(entries.map(\.value.canonical) == ["{x:1,y:2}", "{x:1,y:3}", "{x:1,y:2,z:9}"])
  }

  @Test func whatHasNoValueIsNotWritten() throws {
    let tree = try YAMLReader.read(Array("a:\nb: ~\nc: null\nd: 'null'\ne: \"\"\nf: no".utf8), path: "p")
    #expect(tree.canonical == "{d:null,e:,f:no}")
    #expect(try YAMLReader.read([], path: "p").canonical == "{}")
    #expect(try YAMLReader.read(Array("# nothing".utf8), path: "p").canonical == "{}")
  }

  // MARK: - The command line and the environment

  @Test func theCommandLineAloneIsEnough() throws {
    var request = ConfigurationRequest(
      environment: ["SHOP_URI": "shop://h", "SHOP_DB": "d", "SHOP_COLLECTIONS": "[a, b]", "HOME": "/home/u"]) { _ in nil
      }
    request.source = "shop"
    request.destination = "out"
    request.overrides = ["destination.path=/tmp/o"]
    let configuration = try load(request)
    #expect(configuration.source.properties["collections"]?.canonical == "[a,b]")
    #expect(configuration.destination.properties["path"]?.text == "/tmp/o")
    #expect(configuration.name.wholeMatch(of: /shop-out-[0-9a-f]{8}/) != nil)
    #expect(configuration.stateDirectory == "/home/u/.local/state/nebula-swift/\(configuration.name)")
    var other = request
    other.overrides = ["dest.properties.path=/tmp/p"]
    #expect(try load(other).name != configuration.name)
    #expect(try load(request).name == configuration.name)
    request.source = nil
    #expect(
      problems(request) == [
        "config.missing_property: The source has no type. [command line] Write `source: { type: … }` or use --source. Run `nebula-swift list` for all."
      ])
  }

  @Test func overridesReachEveryPlace() throws {
    let configuration = try load(
      request(
        Self.good + "pipeline: { epoch_records: 7 }",
        [
          "source.database=other", "source.properties.batch=7", "source.collections=[x, y]", "source.collections.1=z",
          "source.collections.2=w", "pipeline.epoch_records=9", "pipeline.retry_for=1s", "name=renamed", "state=s",
          "source.pipeline.0.match.a=1",
        ]))
    #expect(configuration.source.properties["database"]?.text == "other")
    #expect(configuration.source.properties["batch"]?.text == "7")
    #expect(configuration.source.properties["collections"]?.canonical == "[x,z,w]")
    #expect(configuration.source.properties["pipeline"]?.canonical == "[{match:{a:1}}]")
    #expect(configuration.settings.epoch.records == 9)
    #expect(configuration.settings.retryFor == .seconds(1))
    #expect(configuration.name == "renamed" && configuration.stateDirectory == "s")
  }

  @Test(arguments: [
    ("nothing", "--set", "has no '='"), ("=x", "--set", "has no '='"), ("a..b=1", "--set a..b", "empty part"),
    ("source.collections.5=x", "--set source.collections.5", "no place in a list of 2"),
    ("source.database.x=1", "--set source.database.x", "inside a single value"),
  ]) func badOverridesAreSaidToBe(_ text: String, _ place: String, _ message: String) {
    let found = problems(request(Self.good, ["source.collections=[a, b]", text]))
    #expect(found.count == 1 && found[0].contains("[\(place)]") && found[0].contains(message), "\(found)")
  }

  @Test func aMisspeltOverrideNamesItsFlag() {
    #expect(
      problems(request(Self.good, ["source.databse=x"])).first?.contains(
        "[--set source.databse] Did you mean 'database'?") == true)
    #expect(problems(request(Self.good, ["sorce.database=x"])).first?.contains("Did you mean 'source'?") == true)
  }

  @Test func aFlagForAnotherConnectorDropsTheFilesSettings() {
    var request = request(Self.good)
    request.source = "shpo"
    #expect(problems(request).first?.contains("[--source] Did you mean 'shop'?") == true)
  }

  @Test func variablesAreExpandedInScalarsOnly() throws {
    let text = """
      name: ${NAME}
      source:
        type: shop
        properties:
          uri: "shop://${USER_}:${file:/run/secrets/x}@${HOST:-local}/${EMPTY:-e}$${no} $5"
          database: ${INJECTED}
      destination: { type: out, properties: { path: "/tmp/${NAME}" } }
      """
    let environment = ["NAME": "orders", "USER_": "u", "EMPTY": "", "INJECTED": "x\nbatch: 3\n# {a: b}", "HOME": "/h"]
    let configuration = try load(request(text, environment: environment, files: ["/run/secrets/x": "pass\n"]))
    #expect(configuration.name == "orders")
    #expect(configuration.source.properties["uri"]?.text == "shop://u:pass@local/e${no} $5")
    #expect(configuration.source.properties["database"]?.text == "x\nbatch: 3\n# {a: b}")
    #expect(configuration.source.properties["batch"] == nil)
    #expect(configuration.destination.properties["path"]?.text == "/tmp/orders")
  }

  @Test func whatCanNotBeExpandedHasAPlace() {
    let text = """
      name: ${GONE}
      source: { type: shop, properties: { uri: "${file:/none}", database: "${1x}", batch: "${open" } }
      destination: { type: out, properties: { path: "${ALSO_GONE}" } }
      """
    let found = problems(request(text)).filter {
      $0.hasPrefix("config.unset") || $0.hasPrefix("config.unr") || $0.hasPrefix("config.syntax")
    }
    #expect(
      found.map { $0.split(separator: " ").first { $0.hasPrefix("[") } } == [
        "[p.yaml:1:7]", "[p.yaml:2:42]", "[p.yaml:2:69]", "[p.yaml:2:85]", "[p.yaml:3:47]",
      ])
    #expect(found[0].contains("The variable GONE is not set. ") && found[0].contains("${GONE:-default}"))
  }

  @Test func pluginsAreRefusedClearly() {
    #expect(
      problems(request(Self.good + "plugins: [x.so]")) == [
        "config.not_supported: Plugins are not supported yet. [p.yaml:6:10] Leave `plugins` out."
      ])
  }

  @Test(arguments: ["orders", "a", "A.b_c-9", String(repeating: "x", count: 100)]) func goodNames(_ name: String) {
    #expect(PipelineName.check(name, at: .init(path: "")) == nil)
  }
  @Test(arguments: ["", ".", "..", "-a", "a/b", "a b", "ä", "a\n", String(repeating: "x", count: 101)]) func badNames(
    _ name: String
  ) {
    #expect(PipelineName.check(name, at: .init(path: ""))?.code == .badName)
  }

  @Test func theStateLiesWhereTheDesignSays() {
    func find(_ given: String?, _ environment: [String: String]) -> String {
      StateDirectory.find(given, pipeline: "p", environment: environment)
    }
    #expect(find("/d", ["NEBULA_STATE_DIR": "/e"]) == "/d")
    #expect(find(nil, ["NEBULA_STATE_DIR": "/e", "XDG_STATE_HOME": "/x"]) == "/e")
    #expect(find(nil, ["NEBULA_STATE_DIR": "", "XDG_STATE_HOME": "/x", "HOME": "/h"]) == "/x/nebula-swift/p")
    #expect(find(nil, ["XDG_STATE_HOME": "relative", "HOME": "/h"]) == "/h/.local/state/nebula-swift/p")
  }

  // MARK: - Secrets

  @Test func aSecretIsInNoError() {
    let text = """
      source: { type: shop, properties: { uri: [hunter2hunter2], database: "s3cr3t-in-file${GONE}", batch: hunter2hunter2 } }
      destination: { type: outt, properties: { password: never-show-me, path: never-show-me } }
      """
    let all = problems(request(text, ["source.uri=hunter2hunter2"])).joined(separator: "\n")
    #expect(!all.isEmpty && !all.contains("hunter2hunter2") && !all.contains("never-show-me"), "\(all)")
  }

  @Test(arguments: ["*hunter2hunter2", "!hunter2hunter2", "!hunter2hunter2 x", "\"x${hunter2-hunter2}\""])
  func aSecretWithoutItsQuotesIsInNoError(_ password: String) {
    let all = problems(
      request(
        """
        source: { type: shop, properties: { uri: "shop://h" } }
        destination:
          type: out
          properties:
            password: \(password)
        """)
    ).joined(separator: "\n")
    #expect(!all.isEmpty && !all.contains("hunter2"), "\(all)")
  }

  @Test func theSpoolIsAFolderOfThisPipelinesOwn() throws {
    let standard = try load(request(Self.good))
    #expect(standard.spoolFolder == "\(standard.stateDirectory)/spool")
    let one = try load(request(Self.good, ["pipeline.spool_directory=/big", "pipeline.max_spool_bytes=1GiB"]))
    #expect(one.spoolFolder.hasPrefix("/big/\(one.name)-") && one.settings.maxSpoolBytes == 1 << 30)
    var other = one
    other.stateDirectory += "2"
    #expect(other.spoolFolder != one.spoolFolder)
  }

  @Test func theRedactorKnowsEveryForm() throws {
    let secret = "p@ss/wörd+\"x\"&1"
    let redactor = Redactor(secrets: [
      secret, "shop://user:pl%41in@host/?sig=SiGnAtUrE",
      "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nQQ==\n-----END KEY-----",
    ])
    let encoded = try #require(secret.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
    for form in [
      secret, encoded, encoded.lowercased().replacing("%c3%b6", with: "%c3%b6"), "plAin", "pl%41in", "SiGnAtUrE",
      "MIIEvQIBADANBgkqhkiG9w0B",
    ] {
      #expect(redactor("before \(form) after") == "before *** after", "\(form)")
    }
    for prefix in ["", "u", "us", "use", "user:"] {
      for suffix in ["", "1", "12"] {
        let base64 = Data((prefix + secret + suffix).utf8).base64EncodedString()
        #expect(redactor("x \(base64) y").contains("***"), "\(prefix) \(suffix)")
      }
    }
    let json = try String(decoding: JSONEncoder().encode([secret]), as: UTF8.self)
    #expect(redactor(json) == "[\"***\"]")
    #expect(redactor("nothing to hide") == "nothing to hide")
    // The longer one first: no piece of it is left.
    #expect(Redactor(secrets: ["abc", "abcdef"])("abcdef abc") == "*** ***")
  }

  @Test func thePasswordInAPlainPropertyIsHiddenToo() throws {
    let configuration = try load(request(Self.good, ["destination.path=https://u:open-sesame@host/p"]))
    #expect(configuration.redactor("failed: open-sesame, hunter2") == "failed: ***, ***")
  }
}
