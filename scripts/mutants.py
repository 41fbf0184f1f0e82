"""`make mutants`: breaks one rule at a time in a copy of the real sources, and prints which test caught it.

Ends with 1 when a mutant survives: then a rule stands in the design that no test needs. The tests that judge a mutant
have to pass without it, in the same copy; and a test has to fail by name, or be the one that was running when the test
process died or did not end.
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIPELINE = "Sources/Runtime/Pipeline"
SNOWFLAKE, MONGO = "Sources/Connectors/Snowflake", "Sources/Connectors/Mongo"
STATE = "Sources/Runtime/State"
SIMULATION = "SimulationTests|EpochLedgerTests|BackoffTests|PipelineTests"
STORE = "StateStoreTests"
BUILD_SECONDS, TEST_SECONDS = 1800, 600


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
    Mutant("upstream told before the receipt", f"{PIPELINE}/Committing.swift",
           "    parts.crash.pass(\"before-receipt\")\n",
           "    parts.crash.pass(\"before-receipt\")\n    try await parts.source.acknowledge(through: DurablePosition(storing: checkpoint))\n"),
    Mutant("a token that moved while nothing came is not stored", f"{PIPELINE}/EpochLedger.swift",
           "    guard open.read > 0 else { return through != position && (ending || now - lastClosed >= idleInterval) }\n",
           "    guard open.read > 0 else { return false }\n"),
    Mutant("a token is stored as often as it moves", f"{PIPELINE}/EpochLedger.swift",
           "(ending || now - lastClosed >= idleInterval)", "(ending || now >= lastClosed)"),
    Mutant("an empty batch ends the open epoch's wait for its boundary", f"{PIPELINE}/EpochLedger.swift",
           "    if let pin { return through == pin.through }\n    guard open.read > 0 else",
           "    if let pin { return through == pin.through || open.read == 0 }\n    guard open.read > 0 else"),
    Mutant("columns may change inside an epoch", f"{PIPELINE}/EpochLedger.swift",
           "open.schema != batch.schema else { return false }", "open.schema != batch.schema, open.read == 0 else { return false }"),
    Mutant("dead letters of an intent whose answer was lost are discarded", f"{PIPELINE}/Session.swift",
           "      if !epoch.hasIntentSent { try await parts.deadLetters.discard(epoch.id) }", "      try await parts.deadLetters.discard(epoch.id)"),
    Mutant("the lease is released while a commit's end is not known", f"{PIPELINE}/Pipeline.swift",
           "    guard !commitInDoubt else {\n", "    guard !commitInDoubt || commitInDoubt else {\n"),
    Mutant("dead letters are published whatever they hold", f"{STATE}/FileDeadLetterStore.swift",
           "length == file.bytes && SHA256.hex(hash.finish()) == file.sha256", "length >= 0", "FileDeadLetterStoreTests"),
    Mutant("store: a superseded generation writes", f"{STATE}/StateTable.swift",
           "    guard row.generation == Int64(clamping: lease.generation) else {", "    guard row.generation >= 0 else {", STORE),
    Mutant("store: an intent need not follow the tail", f"{STATE}/SQLiteStateStore.swift",
           "      guard intent.predecessor == tail else {", "      guard intent.predecessor == tail || intent.read >= 0 else {", STORE),
    Mutant("store: an id may come again", f"{STATE}/SQLiteStateStore.swift",
           "      guard intent.id.generation == lease.generation, intent.id > row.highest else {",
           "      guard intent.id.generation == lease.generation else {", STORE),
    Mutant("store: a receipt need not be the oldest intent's", f"{STATE}/SQLiteStateStore.swift",
           "      guard let oldest, oldest == checkpoint.intent, oldest.predecessor == row.checkpoint?.receipt.id else {",
           "      guard let oldest else {", STORE),
    Mutant("store: a receipt leaves its intent", f"{STATE}/SQLiteStateStore.swift",
           "      try table.remove(oldest.id, from: lease.pipeline)\n", "", STORE),
    Mutant("store: a drop takes one intent only", f"{STATE}/SQLiteStateStore.swift",
           "      for intent in intents[place...] {", "      for intent in intents[place...place] {", STORE),
    Mutant("store: a drop stores no pin", f"{STATE}/SQLiteStateStore.swift",
           "        try table.set(pin, of: lease.pipeline)\n", "", STORE),
    Mutant("store: an intent leaves the pin that it replaces", f"{STATE}/StateTable.swift",
           "UPDATE pipelines SET pin = NULL, highest_generation", "UPDATE pipelines SET highest_generation", STORE),
    Mutant("store: a corrected intent may have another extent", f"{STATE}/SQLiteStateStore.swift",
           "        stored.through == intent.through, stored.read == intent.read\n", "        stored.read == intent.read\n", STORE),
    Mutant("store: another identity resumes", f"{STATE}/SQLiteStateStore.swift",
           "        if let stored = row.identity, stored != identity { throw different(stored, identity, pipeline) }\n", "", STORE),
    Mutant("store: a live holder is not asked", f"{STATE}/SQLiteStateStore.swift",
           "        try refuse(row, pipeline)\n        if let stored", "        if let stored", STORE),
    Mutant("store: two holders get one generation", f"{STATE}/SQLiteStateStore.swift",
           "(row?.generation ?? 0) + 1", "max(row?.generation ?? 0, 1)", STORE),
    Mutant("store: a reset starts again below what a fence has seen", f"{STATE}/SQLiteStateStore.swift",
           "generation: max(row.generation, now / 1000 - 1))", "generation: 0)", STORE),
    Mutant("store: commits are not synced", f"{STATE}/StateSchema.swift",
           "    try database.run(\"PRAGMA synchronous = FULL\")\n", "    try database.run(\"PRAGMA synchronous = OFF\")\n", STORE),
    Mutant("Snowflake: LOAD_SKIPPED is taken for success", f"{SNOWFLAKE}/CopyResult.swift",
           "      let status = result[row, \"status\"] ?? \"\"\n",
           "      let status = result[row, \"status\"] ?? \"\"\n      if status == \"LOAD_SKIPPED\" { continue }\n", "SnowflakeConnectorTests"),
    Mutant("Snowflake: the fence is not asked whose it is", f"{SNOWFLAKE}/Fence.swift",
           "    \"\\(mine) AND \\\"GENERATION\\\" = \\(generation) AND \\\"WRITER\\\" = \\(literal(writer))\"", "    mine",
           "SnowflakeConnectorTests"),
    Mutant("Snowflake: the ledger is not read under the fence's lock", f"{SNOWFLAKE}/Committer.swift",
           "      if let known = try await receipt(of: prepared.id, session) {\n        await session.rollBack()\n        return known\n"
           "      }\n      let queries", "      let queries", "SnowflakeConnectorTests"),
    Mutant("Snowflake: a file that was loaded in part is taken for success", f"{SNOWFLAKE}/CopyResult.swift",
           "      guard loaded == file.rows else {", "      guard loaded <= file.rows else {", "SnowflakeConnectorTests"),
    Mutant("Snowflake: an older writer takes the fence back", f"{SNOWFLAKE}/Fence.swift",
           "(\\\"GENERATION\\\" < \\(generation) OR", "(\\\"GENERATION\\\" <> \\(generation) OR", "SnowflakeConnectorTests"),
    Mutant("MongoDB: the answer's token is stored while fragments of a split event are pending", f"{MONGO}/EventReader.swift",
           "    if let end, !assembler.isPending { settle(at: end, &runs) }", "    if let end { settle(at: end, &runs) }",
           "MongoConnectorTests"),
    Mutant("MongoDB: a resume inside one cluster time counts from 0 again", f"{MONGO}/SequenceState.swift",
           "    if let time, time > clusterTime {", "    if let time, time >= clusterTime, next > 1 || time > clusterTime {",
           "MongoConnectorTests"),
    Mutant("file: a name that exists is ours whatever it holds", "Sources/Connectors/File/FilePublisher.swift",
           "    return try digest(of: path) == file.sha256", "    return true", "FileConnectorTests"),
]


def copy_sources(folder: Path) -> None:
    """Brings the copy up to date; what did not change keeps its time, so that little is built again."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    files = {name for name in map(os.fsdecode, filter(None, listed)) if (ROOT / name).is_file()}
    for name in files:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_bytes() != source.read_bytes():
            shutil.copy(source, target)
    for room in ("Sources", "Tests"):
        for path in (folder / room).rglob("*"):
            if path.is_file() and str(path.relative_to(folder)) not in files and "__pycache__" not in path.parts:
                path.unlink()
    if not (folder / ".venv").exists():
        (folder / ".venv").symlink_to(ROOT / ".venv")


@dataclass
class Ended:
    code: int | None  # None: it did not end in time
    output: str


def run(folder: Path, seconds: float, *command: str) -> Ended:
    """Runs a command; when its time is over, it is killed with all its children."""
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True)
    try:
        output, _ = process.communicate(timeout=seconds)
        return Ended(process.returncode, output)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return Ended(None, process.communicate()[0])


def build(folder: Path) -> str | None:
    """Nil when it was built, else the first error."""
    ended = run(folder, BUILD_SECONDS, "swift", "build", "--build-tests")
    if ended.code == 0:
        return None
    errors = [line for line in ended.output.splitlines() if "error:" in line]
    return errors[0] if errors else f"the build ended with {ended.code}"


def test(folder: Path, tests: str) -> Ended:
    return run(folder, TEST_SECONDS, "swift", "test", "--skip-build", "--filter", tests)


NAME = r'("(?:[^"\\]|\\.)*"|\w+\([^)]*\))'


def failed_tests(output: str) -> list[str]:
    found = re.findall(rf"^. Test {NAME} (?:recorded an issue|(?:with \d+ test cases )?failed)", output, re.MULTILINE)
    return list(dict.fromkeys(name.split("(")[0] if name[0] != '"' else name for name in found))


def running_tests(output: str) -> list[str]:
    """Those that had begun and not ended."""
    begun = re.findall(rf"^. Test {NAME} started", output, re.MULTILINE)
    ended = re.findall(rf"^. Test {NAME} (?:with \d+ test cases )?(?:passed|failed|skipped)", output, re.MULTILINE)
    return [name for name in dict.fromkeys(begun) if name not in ended]


def baseline(folder: Path, tests: str) -> str | None:
    """What keeps the tests of a filter from saying anything about a mutant: without one they have to pass, and to run."""
    ended = test(folder, tests)
    if ended.code != 0:
        return f"fails without any mutant ({', '.join(failed_tests(ended.output)) or ended.output[-500:]})"
    passed = re.findall(rf"^. Test {NAME} (?:with \d+ test cases )?passed", ended.output, re.MULTILINE)
    skipped = re.findall(rf"^. (?:Test|Suite) (\S+) skipped", ended.output, re.MULTILINE)
    if skipped:
        return f"skips tests: {', '.join(skipped)}"
    return None if passed else "runs no test"


def verdict(folder: Path, mutant: Mutant) -> str:
    problem = build(folder)
    if problem:
        return f"DOES NOT COMPILE {problem}"
    ended = test(folder, mutant.tests)
    if ended.code == 0:
        return "SURVIVED"
    names, running = failed_tests(ended.output), running_tests(ended.output)
    if names:
        return "caught by " + ", ".join(names)
    how = "no end" if ended.code is None else f"the test run's death ({ended.code})"
    return f"caught by {how} in {', '.join(running)}" if running else f"UNCLEAR: {how}, and no test was running"


def judge(folder: Path, mutant: Mutant, unusable: str | None) -> str:
    if unusable:
        return f"NO BASELINE: {mutant.tests} {unusable}"
    path = folder / mutant.file
    original = path.read_text()
    if original.count(mutant.old) != 1:
        return f"STALE: its place in {mutant.file} was not found once"
    path.write_text(original.replace(mutant.old, mutant.new))
    try:
        return verdict(folder, mutant)
    finally:
        path.write_text(original)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutants whose rule has one of these words")
    parser.add_argument("--part", default="1/1", help="2/3: the second third of the list, in a copy of its own")
    given = parser.parse_args()
    part, parts = map(int, given.part.split("/"))
    chosen = [m for m in MUTANTS if not given.words or any(word in m.rule for word in given.words)]
    chosen = chosen[len(chosen) * (part - 1) // parts:len(chosen) * part // parts]
    folder = ROOT / ".build" / f"mutants-{part}"
    copy_sources(folder)
    problem = build(folder)
    if problem:
        print(f"The sources do not compile without any mutant: {problem}")
        return 1
    unusable: dict[str, str | None] = {}
    caught = 0
    for mutant in chosen:
        if mutant.tests not in unusable:
            build(folder)  # without the mutant before
            unusable[mutant.tests] = baseline(folder, mutant.tests)
            print(f"without a mutant, {mutant.tests}: {unusable[mutant.tests] or 'passes'}", flush=True)
        answer = judge(folder, mutant, unusable[mutant.tests])
        caught += answer.startswith("caught")
        print(f"{mutant.rule}: {answer}", flush=True)
    print(f"{len(chosen)} mutants, {caught} caught")
    return 0 if caught == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
