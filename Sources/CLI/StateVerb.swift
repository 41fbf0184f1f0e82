import FoundationEssentials
import NebulaCore
import NebulaRuntime

extension Verb {
  static var state: Verb {
    Verb(
      name: "state", summary: "Shows or resets what is stored of a pipeline.",
      usage: "state show|reset [CONFIG] [OPTIONS]",
      options: Assembly.pipelineOptions + [.init("--yes", nil, "With reset: do it.")],
      details: """
        Without CONFIG, --source and --state, all pipelines below the standard folder are shown.
        A reset forgets the position: the next run starts from the beginning. What was stored goes into the file's history.
        """, maxWords: 2
    ) { arguments, console in
      guard let action = arguments.words.first, ["show", "reset"].contains(action) else {
        throw Arguments.error("Say `state show` or `state reset`.", "state")
      }
      let files = try stateFiles(arguments, console)
      let found = try files.flatMap { file in try SQLiteStateStore.inspect(path: file).map { (file, $0) } }
        .filter { arguments["--name"] == nil || $0.1.pipeline == arguments["--name"] }
      guard !found.isEmpty else {
        throw NebulaError(
          .stateMissing, "There is no state\(files.count == 1 ? " at \(files[0])" : "").",
          remedy: "Check the configuration, --name and --state.", exit: .configuration)
      }
      if action == "show" {
        for (file, snapshot) in found { show(snapshot, file, console) }
        return 0
      }
      return try await reset(found, arguments.has("--yes"), console)
    }
  }

  /// The files that the arguments speak of.
  private static func stateFiles(_ arguments: Arguments, _ console: Console) throws -> [String] {
    var words = arguments.words.dropFirst()
    if let path = words.popFirst() {
      var request = Assembly.request(arguments)
      request.path = path
      let configuration = try ConfigurationLoader.load(request, try ConnectorRegistry(builtinConnectors))
      console.hide(configuration.redactor)
      return [configuration.stateFile]
    }
    if arguments.has("--source") || arguments.has("--dest") {
      var request = Assembly.request(arguments)
      request.path = nil
      let configuration = try ConfigurationLoader.load(request, try ConnectorRegistry(builtinConnectors))
      console.hide(configuration.redactor)
      return [configuration.stateFile]
    }
    let explicit = arguments["--state"] ?? Environment.all["NEBULA_STATE_DIR"].flatMap { $0.isEmpty ? nil : $0 }
    if let explicit { return ["\(explicit)/\(SQLiteStateStore.fileName)"] }
    let base = StateDirectory.base(Environment.all)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: base)) ?? []
    return names.sorted().map { "\(base)/\($0)/\(SQLiteStateStore.fileName)" }
  }

  private static func show(_ snapshot: StateSnapshot, _ file: String, _ console: Console) {
    let state = snapshot.state
    console.line("pipeline    \(snapshot.pipeline)")
    console.line("file        \(file)")
    console.line("generation  \(snapshot.generation)")
    console.line("lease       \(lease(snapshot))")
    if let identity = snapshot.identity {
      console.line("source      \(identity.source) \(written(identity.sourceIdentity))")
      console.line("destination \(identity.destination) \(written(identity.destinationIdentity))")
    }
    if let last = state.last {
      console.line(
        "last epoch  \(last.receipt.id): \(last.intent.read) read, \(last.intent.counts.committed) committed, \(last.intent.counts.rejected) rejected"
      )
      console.line("position    \(readable(last.position))")
    } else {
      console.line("last epoch  none")
    }
    for intent in state.intents {
      console.line("pending     \(intent.id): \(intent.read) read, through \(readable(intent.through))")
    }
    if let pin = state.pin {
      console.line(
        "pin         through \(readable(pin.through)), done: \(pin.done.keys.sorted().joined(separator: ", "))")
    }
    for event in snapshot.history { console.line("history     \(timestamp(event.at)) \(event.kind) \(event.epoch)") }
    console.line()
    console.json(json(snapshot, file))
  }

  private static func lease(_ snapshot: StateSnapshot) -> String {
    guard let holder = snapshot.holder else { return "nobody" }
    let since = snapshot.acquired.map { " since \(timestamp($0))" } ?? ""
    return
      "\(holder)\(since)\(snapshot.isHolderGone ? ", which is gone" : "")\(snapshot.expires.map { ", ends \(timestamp($0))" } ?? "")"
  }

  private static func written(_ identity: [String: String]) -> String {
    identity.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
  }

  /// A position is its source's own; shown as text when it is one.
  private static func readable(_ position: Position) -> String {
    let text = String(validating: position.bytes, as: UTF8.self)
    if let text, text.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 }) { return text }
    return "0x" + SHA256.hex(position.bytes)
  }

  private static func json(_ snapshot: StateSnapshot, _ file: String) -> JSON {
    let state = snapshot.state
    return .object([
      "type": .text("state"), "pipeline": .text(snapshot.pipeline), "file": .text(file),
      "generation": .number(snapshot.generation), "holder": .text(snapshot.holder?.description),
      "holder_gone": .bool(snapshot.isHolderGone), "expires": .number(snapshot.expires),
      "identity": snapshot.identity.flatMap { try? JSON($0) } ?? .null,
      "last_epoch": .text(state.last?.receipt.id.description),
      "position": .text(state.last.map { readable($0.position) }),
      "counts": state.last.flatMap { try? JSON($0.intent.counts) } ?? .null,
      "intents": .list(
        state.intents.map {
          .object(["epoch": .text($0.id.description), "read": .number($0.read), "through": .text(readable($0.through))])
        }),
      "pin": state.pin.map { .text(readable($0.through)) } ?? .null,
      "history": .list(
        snapshot.history.map {
          .object(["at": .number($0.at), "kind": .text($0.kind), "epoch": .text($0.epoch.description)])
        }),
    ])
  }

  private static func reset(
    _ found: [(String, StateSnapshot)], _ isConfirmed: Bool, _ console: Console
  ) async throws -> Int32 {
    guard found.count == 1, let (file, snapshot) = found.first else {
      throw Arguments.error(
        "That is more than one pipeline: \(found.map(\.1.pipeline).joined(separator: ", ")).", "state")
    }
    guard isConfirmed else {
      throw NebulaError(
        .usage,
        "This would forget the position of '\(snapshot.pipeline)' (\(snapshot.state.last.map { "epoch \($0.receipt.id)" } ?? "no epoch yet"), \(snapshot.state.intents.count) pending).",
        remedy: "The next run would start from the beginning. Add --yes to do it.", exit: .configuration)
    }
    let store = SQLiteStateStore(path: file, clock: .system, renews: false)
    try await store.reset(snapshot.pipeline)
    console.line("The position of '\(snapshot.pipeline)' is forgotten; the next run starts from the beginning.")
    console.json(.object(["type": .text("reset"), "pipeline": .text(snapshot.pipeline)]))
    return 0
  }
}
