"""`make mutants`: breaks one rule at a time in a copy of the real sources, and prints which test caught it.

Ends with 1 when a mutant survives: then a rule stands in the design that no test needs.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIPELINE = "Sources/Runtime/Pipeline"
SNOWFLAKE, MONGO = "Sources/Connectors/Snowflake", "Sources/Connectors/Mongo"
SIMULATION = "SimulationTests|EpochLedgerTests|BackoffTests"


@dataclass
class Mutant:
    rule: str
    file: str
    old: str
    new: str
    tests: str = SIMULATION


MUTANTS = [
    Mutant("position before its data: the receipt is stored before the commit", f"{PIPELINE}/Committing.swift",
           "      guard case .receipt(let receipt, let settled) = try await settle(",
           "      try await finish(intent, intent.prepared.map { CommitReceipt($0.id, counts: $0.counts, rows: 0) } ?? intent.emptyReceipt, lease)\n"
           "      guard case .receipt(let receipt, let settled) = try await settle("),
    Mutant("intent after the commit: it is stored only by its receipt", f"{PIPELINE}/Writing.swift",
           "    try await parts.store.store(intent, under: lease)\n", ""),
    Mutant("ids reused: the sequence starts again in every session", f"{PIPELINE}/Writing.swift",
           "    try await parts.destination.open(lease)\n", "    try await parts.destination.open(lease)\n    lastSequence = 0\n"),
    Mutant("later intents left behind a gone one", f"{PIPELINE}/Recovery.swift",
           "    for intent in intents.dropFirst() { try await destroy(intent, behind: first) }\n", ""),
    Mutant("a gone epoch is skipped and the next one recovered", f"{PIPELINE}/Recovery.swift",
           "?? start.pin\n        break\n", "?? start.pin\n        continue\n"),
    Mutant("recovery before the fence is up", f"{PIPELINE}/Writing.swift",
           "    try await parts.destination.open(lease)\n    // Only with the fence up: what recovery finds out must not be changed by an older writer afterwards.\n"
           "    let start = try await recover(try await parts.store.load(lease), lease)\n",
           "    let start = try await recover(try await parts.store.load(lease), lease)\n    try await parts.destination.open(lease)\n"),
    Mutant("the destination is not asked after an unknown outcome at start", f"{PIPELINE}/Recovery.swift",
           "try await settle(intent, askingFirst: true, lease)", "try await settle(intent, askingFirst: false, lease)"),
    Mutant("an epoch is cut where no safe boundary lies", f"{PIPELINE}/EpochLedger.swift",
           "    epoch.through = batch.position\n", "    epoch.through = batch.position ?? epoch.through\n"),
    Mutant("a pin's units are written again", f"{PIPELINE}/Writing.swift",
           "begin(id, pin: ledger.currentPin)", "begin(id, pin: nil)"),
    Mutant("a pinned epoch ends wherever it is full", f"{PIPELINE}/EpochLedger.swift",
           "    if let pin { return through == pin.through }\n", ""),
    Mutant("a partly visible epoch is read again as a whole", f"{PIPELINE}/Recovery.swift",
           "    if case .partial(let units) = settlement { done.merge(units) { old, _ in old } }\n", ""),
    Mutant("dead letters visible before the receipt", f"{PIPELINE}/Committing.swift",
           "    parts.crash.pass(\"before-receipt\")\n",
           "    parts.crash.pass(\"before-receipt\")\n    if let file = intent.deadLetters { try await parts.deadLetters.publish(file) }\n"
           "    if intent.deadLetters != nil { try await parts.deadLetters.discard(intent.id) }\n"),
    Mutant("dead letters not told again at start", f"{PIPELINE}/Recovery.swift",
           "    if let file = last.intent.deadLetters { try await parts.deadLetters.publishAgain(file) }\n    try await parts.source", "    try await parts.source"),
    Mutant("a stalled writer's sweep takes newer files", f"{PIPELINE}/Recovery.swift",
           "      through: lease.generation)", "      through: .max - 1)"),
    Mutant("an unknown error is final at once", f"{PIPELINE}/Backoff.swift",
           "    if let known, !known.isRetryable { return .giveUp }", "    if !(known?.isRetryable ?? false) { return .giveUp }"),
    Mutant("records without a fate are let through", f"{PIPELINE}/EpochLedger.swift",
           "    guard destination.total == epoch.written, counts.total == epoch.read,\n", "    guard counts.total >= 0,\n"),
    Mutant("Snowflake: LOAD_SKIPPED is taken for success", f"{SNOWFLAKE}/CopyResult.swift",
           "      let status = result[row, \"status\"] ?? \"\"\n",
           "      let status = result[row, \"status\"] ?? \"\"\n      if status == \"LOAD_SKIPPED\" { continue }\n", "SnowflakeConnectorTests"),
    Mutant("Snowflake: the fence is not asked whose it is", f"{SNOWFLAKE}/Fence.swift",
           "    \"\\(mine) AND \\\"GENERATION\\\" = \\(generation) AND \\\"WRITER\\\" = \\(literal(writer))\"", "    mine",
           "SnowflakeConnectorTests"),
    Mutant("Snowflake: the ledger is not read under the fence's lock", f"{SNOWFLAKE}/Committer.swift",
           "      if let known = try await receipt(of: prepared.id, session) {\n        await session.rollBack()\n        return known\n"
           "      }\n      let queries", "      let queries", "SnowflakeConnectorTests"),
    Mutant("MongoDB: the answer's token is stored while fragments of a split event are pending", f"{MONGO}/EventReader.swift",
           "    if let end, !assembler.isPending { settle(at: end, &runs) }", "    if let end { settle(at: end, &runs) }",
           "MongoConnectorTests"),
    Mutant("MongoDB: a resume inside one cluster time counts from 0 again", f"{MONGO}/SequenceState.swift",
           "    if let time, time > clusterTime {", "    if let time, time >= clusterTime, next > 1 || time > clusterTime {",
           "MongoConnectorTests"),
    Mutant("file: a name that exists is ours whatever it holds", "Sources/Connectors/File/FilePublisher.swift",
           "    return try digest(of: path) == file.sha256", "    return true", "FileConnectorTests"),
]


def copy_sources() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="nebula-mutants-"))
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in filter(None, files):
        source, target = ROOT / os.fsdecode(name), folder / os.fsdecode(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.exists():
            shutil.copy2(source, target)
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1800, errors="replace")


def verdict(folder: Path, mutant: Mutant) -> str:
    build = run(folder, "swift", "build", "--build-tests")
    if build.returncode != 0:
        errors = [line for line in (build.stdout + build.stderr).splitlines() if "error:" in line]
        return f"DOES NOT COMPILE {errors[:1]}"
    result = run(folder, "swift", "test", "--skip-build", "--filter", mutant.tests)
    if result.returncode == 0:
        return "SURVIVED"
    caught = re.findall(r"✘ Test (\w+)\(", result.stdout + result.stderr)
    return "caught by " + ", ".join(dict.fromkeys(caught) or ["a crash of the test run"])


def main() -> int:
    chosen = [m for m in MUTANTS if not sys.argv[1:] or any(word in m.rule for word in sys.argv[1:])]
    folder = copy_sources()
    (folder / ".venv").symlink_to(ROOT / ".venv")
    failed = 0
    try:
        for mutant in chosen:
            path = folder / mutant.file
            original = path.read_text()
            if original.count(mutant.old) != 1:
                print(f"STALE      {mutant.rule}: its place in {mutant.file} was not found once", flush=True)
                failed += 1
                continue
            path.write_text(original.replace(mutant.old, mutant.new))
            answer = verdict(folder, mutant)
            failed += not answer.startswith("caught")
            print(f"{mutant.rule}: {answer}", flush=True)
            path.write_text(original)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(chosen)} mutants, {len(chosen) - failed} caught")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
