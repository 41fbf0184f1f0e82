import Foundation
import NebulaCore
import Testing

/// One rule left out: the runs that show why it is there, and controls that stay green without it.
struct Variant: Sendable, CustomTestStringConvertible {
  let name: String
  let kinds: [ModelWorld.Kind]
  /// True when leaving the rule out loses or doubles data, or stops a pipeline for good.
  let isRed: Bool
  let rules: Rules
  init(_ name: String, _ kinds: [ModelWorld.Kind], red: Bool, _ change: (inout Rules) -> Void) {
    (self.name, self.kinds, isRed, rules) = (name, kinds, red, Rules.designed.with(change))
  }
  var testDescription: String { name }

  static let all: [Variant] = [
    .init("state store writes are not conditional", [.snowflake, .objects, .append], red: true) {
      $0.storeIsConditional = false
    },
    .init("names from the sequence alone, put skips existing", [.snowflake, .objects], red: true) {
      $0.naming = .sequence
    },
    .init("names from the sequence alone, put overwrites", [.snowflake, .objects], red: true) {
      ($0.naming, $0.putSkipsExisting) = (.sequence, false)
    },
    .init("names from the sequence alone, no zombie", [.snowflake, .objects], red: true) {
      ($0.naming, $0.zombies) = (.sequence, false)
    },
    .init("names from the sequence alone, files have none", [.append], red: false) { $0.naming = .sequence },
    .init("names from the start position", [.snowflake, .objects], red: true) { $0.naming = .startPosition },
    .init("names from the start position, no zombie", [.snowflake, .objects], red: true) {
      ($0.naming, $0.zombies) = (.startPosition, false)
    },
    .init("ledger without a fence", [.snowflake], red: true) { ($0.fence, $0.fenceAtOpen) = (false, false) },
    .init("ledger without a fence, no zombie", [.snowflake], red: true) {
      ($0.fence, $0.fenceAtOpen, $0.zombies) = (false, false, false)
    },
    .init("a skipped load counts as success, no fence", [.snowflake], red: true) {
      ($0.skippedLoadIsError, $0.fence, $0.fenceAtOpen, $0.naming) = (false, false, false, .sequence)
    },
    .init("fence at commit, not at open", [.snowflake], red: false) { $0.fenceAtOpen = false },
    .init("a transaction for each table", [.snowflake], red: false) { $0.oneTransaction = false },
    .init("a transaction for each table, staged files lost, partial as gone", [.snowflake], red: true) {
      ($0.oneTransaction, $0.losesStagedFiles, $0.reportsPartial) = (false, true, false)
    },
    .init("staged files lost, partial as gone", [.objects], red: true) {
      ($0.losesStagedFiles, $0.reportsPartial) = (true, false)
    },
    .init("staged files lost", [.objects, .snowflake], red: false) { $0.losesStagedFiles = true },
    .init("later intents stay when one is gone", [.snowflake, .objects, .append], red: true) {
      ($0.goneDropsLater, $0.losesStagedFiles) = (false, true)
    },
    .init("one intent a session, and none is gone", [.snowflake, .objects], red: false) { $0.goneDropsLater = false },
    .init("append: n+1 at the visible length before n is flushed", [.append], red: true) {
      $0.appending = .atVisibleLength
    },
    .init("append: n+1 behind n before n is flushed", [.append], red: false) { $0.appending = .behindAppended },
    .init("append: n+1 behind n before n is flushed, flush retains", [.append], red: false) {
      ($0.appending, $0.flushRetains) = (.behindAppended, true)
    },
    .init("append: partial as gone", [.append], red: true) { $0.reportsPartial = false },
    .init("append: partial as gone, one file", [.append], red: false) { ($0.reportsPartial, $0.units) = (false, 1) },
    .init("append: one lease id a generation, one file, late requests, no zombie", [.append], red: true) {
      ($0.leaseChangesByAttempt, $0.units, $0.manyArriveLate, $0.zombies) = (false, 1, true, false)
    },
    .init("late requests", [.snowflake, .objects, .append], red: false) { $0.manyArriveLate = true },
    .init("append: pins in memory only", [.append], red: true) { $0.pinsAreDurable = false },
    .init("recovery looks at final, then at staged", [.objects], red: true) { $0.destroysBeforeLooking = false },
    .init("n+1 commits before receipt n is stored", [.snowflake, .objects, .append], red: false) {
      $0.commitsAfterReceipt = false
    },
    .init("idle token stored while an epoch is open", [.snowflake, .objects, .append], red: true) {
      $0.idleTokensQueue = false
    },
    .init("dead letters visible before the receipt", [.snowflake, .objects, .append], red: false) {
      $0.deadLettersFollowReceipt = false
    },
    .init("rejects visible as they are met", [.snowflake, .objects, .append], red: true) {
      $0.deadLettersByEpoch = false
    },
  ]
}

@Suite struct VariantTests {
  /// Some rules are missed only in a rare order of events; a search for one ends with the first that shows it.
  private static let mostSeeds = 6000
  private static let controlSeeds = 200

  /// A simulation that can't go red proves nothing: each rule left out must show, each control must not.
  @Test(arguments: Variant.all) func leavingARuleOutShows(_ variant: Variant) async {
    for kind in variant.kinds {
      let seeds = variant.isRed ? Self.mostSeeds : Self.controlSeeds
      let red = await Self.firstFailure(kind, variant.rules, seeds: seeds)
      #expect((red != nil) == variant.isRed, "\(variant.name), \(kind): \(seeds) seeds, \(red?.verdict ?? "all green")")
      print("\(kind): \(variant.name): \(red.map { "red at seed \($0.seed), \($0.verdict)" } ?? "green")")
    }
  }

  @Test func thePageListsEveryVariant() throws {
    let root = URL(filePath: #filePath).appending(path: "../../../..").standardized
    let page = try String(contentsOf: root.appending(path: "docs/simulation.md"), encoding: .utf8)
    for isRed in [true, false] {
      let section = try #require(page.split(separator: "\n## ").first { $0.hasPrefix(isRed ? "Red" : "Green") })
      let rows = Variant.all.filter { $0.isRed == isRed }.map { variant in
        "| \(variant.name) | \(variant.kinds.map(\.rawValue).joined(separator: ", ")) |"
      }
      #expect(section.split(separator: "\n").filter { $0.hasPrefix("| ") }.dropFirst().map(String.init) == rows)
    }
  }

  static func firstFailure(
    _ kind: ModelWorld.Kind, _ rules: Rules, seeds: Int
  ) async -> (seed: UInt64, verdict: String)? {
    for seed in 0..<UInt64(seeds) {
      await Task.yield()
      var run = ChaosRun(kind, rules, seed: seed)
      if let verdict = run.verdict() { return (seed, verdict) }
    }
    return nil
  }
}
