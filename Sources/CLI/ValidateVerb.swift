import NebulaCore
import NebulaRuntime

extension Verb {
  static var validate: Verb {
    Verb(
      name: "validate", summary: "Checks a configuration, and whether both ends are reachable and permitted.",
      usage: "validate [CONFIG] [OPTIONS]",
      options: Assembly.pipelineOptions + [
        .init("--offline", nil, "Check the configuration only; connect to nothing.")
      ],
      details:
        "Nothing is changed anywhere. Exit codes: 0 all well, 2 the configuration is wrong, 3 an end is not reachable or not permitted.",
      maxWords: 1
    ) { arguments, console in
      let configuration = try Assembly.configuration(arguments, console, verb: "validate")
      let assembly = try Assembly(configuration, mode: .continuous, log: console.logger)
      var findings = [("configuration", Finding.passed("The configuration is valid."))]
      if !arguments.has("--offline") {
        findings += await look("source") { try await assembly.source.check() }
        findings += await look("destination") { try await assembly.destination.check() }
      }
      await assembly.source.close()
      await assembly.destination.close()
      for (place, finding) in findings {
        console.line("\(finding.passed ? "ok    " : "FAILED")  \(place): \(finding.summary)")
        if let error = finding.error { console.line("        \(error.remedy) (\(error.code.rawValue))") }
      }
      console.line("pipeline   \(configuration.name)")
      console.line("state      \(configuration.stateFile)")
      console.line("guarantee  \(assembly.guarantee)")
      let failures = findings.compactMap(\.1.error)
      console.json(
        .object([
          "type": .text("validation"), "pipeline": .text(configuration.name), "passed": .bool(failures.isEmpty),
          "guarantee": .text("\(assembly.guarantee)"), "state": .text(configuration.stateFile),
          "findings": .list(
            findings.map { place, finding in
              .object([
                "place": .text(place), "passed": .bool(finding.passed), "summary": .text(finding.summary),
                "error": finding.error.map(\.json) ?? .null,
              ])
            }),
        ]))
      return failures.isEmpty ? 0 : NebulaError.Exit.environment.rawValue
    }
  }

  /// What a check found; one that throws has found something too.
  private static func look(_ place: String, _ check: () async throws -> [Finding]) async -> [(String, Finding)] {
    do { return try await check().map { (place, $0) } } catch let error as NebulaError {
      return [(place, .failed(error))]
    } catch {
      return [(place, .failed(NebulaError(.unexpected, "\(error)", remedy: "Report this defect.")))]
    }
  }
}
