import NebulaCore
import NebulaRuntime

/// As written after `--progress`.
enum ProgressStyle: String, CaseIterable { case auto, line, log, never }

extension Verb {
  static var runPipeline: Verb {
    Verb(
      name: "run", summary: "Runs a pipeline until it ends or is stopped.", usage: "run [CONFIG] [OPTIONS]",
      options: Assembly.pipelineOptions + [
        .init("--until-caught-up", nil, "End once everything that is there now has been moved."),
        .init("--progress", "STYLE", "auto, line (redrawn), log (a line every 10 s) or never (default: auto)."),
      ],
      details: """
        Without CONFIG, the options and the environment say everything: each property may name a variable that fills it.
        SIGTERM or SIGINT ends the run cleanly within `pipeline.shutdown_deadline`, with exit code 0 and a state that can be
        resumed; a second one ends it at once.
        """, maxWords: 1
    ) { arguments, console in
      let progress = try arguments.choice("--progress", ProgressStyle.auto, verb: "run")
      let configuration = try Assembly.configuration(arguments, console, verb: "run")
      let crash = try CrashPoints.fromEnvironment(Environment.all)
      let assembly = try Assembly(
        configuration, mode: arguments.has("--until-caught-up") ? .untilCaughtUp : .continuous, log: console.logger,
        crash: crash)
      return try await PipelineRun(assembly, console, progress).run()
    }
  }
}

/// One run of a pipeline, with what a user sees of it.
struct PipelineRun {
  private let assembly: Assembly
  private let console: Console
  private let style: ProgressStyle
  private let clock = Timekeeper.system

  init(_ assembly: Assembly, _ console: Console, _ style: ProgressStyle) {
    self.assembly = assembly
    self.console = console
    self.style =
      switch style {
      case .auto: console.isTerminal && !console.isJSON ? .line : .log
      default: style
      }
  }

  func run() async throws -> Int32 {
    let configuration = assembly.configuration
    try prepareFolders()
    console.line("pipeline   \(configuration.name)")
    console.line("guarantee  \(assembly.guarantee)")
    console.line("state      \(configuration.stateFile)")
    console.json(
      .object([
        "type": .text("start"), "pipeline": .text(configuration.name), "guarantee": .text("\(assembly.guarantee)"),
        "state": .text(configuration.stateFile),
      ]))
    let pipeline = Pipeline(
      Pipeline.Parts(
        name: configuration.name, identity: configuration.identity, source: assembly.source,
        destination: assembly.destination,
        store: SQLiteStateStore(
          path: configuration.stateFile, clock: clock, leaseDuration: configuration.settings.leaseDuration),
        deadLetters: assembly.deadLetters, settings: configuration.settings, clock: clock, log: console.logger,
        health: assembly.context.health, crash: assembly.context.crash))
    let (stops, stop) = AsyncStream.makeStream(of: Void.self)
    Signals.onFirst {
      pipeline.stop()
      stop.yield()
    }
    let announced = Task {
      for await _ in stops {
        console.log(.info, "Stopping: what is open is finished or left to the next run. A second signal stops at once.")
      }
    }
    let started = clock.monotonic()
    let shown = Task { await show(pipeline, since: started) }
    let result: Result<Void, any Error>
    do {
      try await pipeline.run()
      result = .success(())
    } catch { result = .failure(error) }
    shown.cancel()
    await shown.value
    stop.finish()
    await announced.value
    console.endProgress()
    let health = health(after: result)
    summarize(await pipeline.progress, clock.monotonic() - started, await assembly.destination.report(), health)
    try result.get()
    return 0
  }

  private func prepareFolders() throws(NebulaError) {
    try makePrivateFolder(assembly.context.paths.state)
    try makePrivateFolder(assembly.context.paths.spool)
  }

  // MARK: - Progress

  private func show(_ pipeline: Pipeline, since started: Duration) async {
    guard style != .never else { return }
    let interval: Duration = style == .line ? .seconds(1) : .seconds(10)
    var before = PipelineProgress()
    var last = started
    while (try? await clock.sleep(interval)) != nil {
      let (now, progress) = (clock.monotonic(), await pipeline.progress)
      let line = ProgressLine(progress, before, now: now, over: now - last, assembly.context)
      if console.isJSON {
        console.json(line.json)
      } else if style == .line {
        console.progress(line.text)
      } else {
        console.log(.info, line.text)
      }
      (before, last) = (progress, now)
    }
  }

  // MARK: - The end

  /// A run that failed is not well, whatever was last heard of its parts.
  private func health(after result: Result<Void, any Error>) -> Health {
    var health = assembly.context.health.verdict(at: clock.monotonic())
    guard case .failure(let error) = result else { return health }
    health.state = .unhealthy
    health.reasons.insert("the run ended with \((error as? NebulaError)?.code.rawValue ?? "an error")", at: 0)
    return health
  }

  private func summarize(_ progress: PipelineProgress, _ time: Duration, _ report: RunReport, _ health: Health) {
    let counts = progress.counts
    let folder = "\(assembly.configuration.stateDirectory)/dead-letters"
    let seconds = max(time.seconds, 0.001)
    console.json(
      .object([
        "type": .text("summary"), "pipeline": .text(assembly.configuration.name), "read": .number(progress.read),
        "pulled": .number(progress.pulled), "committed": .number(counts.committed),
        "superseded": .number(counts.superseded), "rejected": .number(counts.rejected),
        "filtered": .number(counts.filtered), "rows": .number(progress.rows), "bytes_read": .number(progress.bytesRead),
        "bytes_written": .number(progress.bytesWritten), "files": .number(progress.files),
        "epochs": .number(progress.epochs), "seconds": .real(seconds), "guarantee": .text("\(assembly.guarantee)"),
        "dead_letters": .text(counts.rejected > 0 ? folder : nil), "health": .health(health),
        "metrics": .metrics(assembly.context.metrics), "computed": .object(report.values.mapValues { .real($0) }),
      ]))
    console.line("read       \(progress.read) records in \(decimal(seconds)) s")
    console.line("committed  \(counts.committed)\(counts.superseded > 0 ? " (\(counts.superseded) superseded)" : "")")
    console.line("rejected   \(counts.rejected)")
    console.line("filtered   \(counts.filtered)")
    console.line("bytes      \(progress.bytesRead) read, \(progress.bytesWritten) written")
    console.line("files      \(progress.files) in \(progress.epochs) epochs, \(progress.rows) rows")
    for line in report.lines {
      console.line("\(line.label)\(String(repeating: " ", count: max(1, 11 - line.label.count)))\(line.text)")
    }
    console.line("health     \(health)")
    console.line("guarantee  \(assembly.guarantee)")
    if counts.rejected > 0 {
      console.line("Rejected records: \(counts.rejected), kept in \(folder)")
    } else {
      console.line("No records were rejected.")
    }
  }
}
