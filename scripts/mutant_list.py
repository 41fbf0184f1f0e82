"""The rules that `mutants.py` breaks, one at a time: what is broken, where, how, and the tests that have to see it."""
from dataclasses import dataclass

PIPELINE, STATE = "Sources/Runtime/Pipeline", "Sources/Runtime/State"
SNOWFLAKE, MONGO, FILE = "Sources/Connectors/Snowflake", "Sources/Connectors/Mongo", "Sources/Connectors/File"

# Filters of `swift test`: suites that always run whole, for a skipped test is no baseline.
SIMULATION = "RuntimeTests.(SimulationTests|EpochLedgerTests|BackoffTests|PipelineTests)"
STORE = "RuntimeTests.StateStoreTests"
LETTERS = "RuntimeTests.FileDeadLetterStoreTests"
STATEMENTS = "SnowflakeConnectorTests.StatementTests"
COMMITS = "SnowflakeConnectorTests.(CommitTests|FenceTests|FaultTests/(aZombie|twoOf|aDeadWriter|missingFiles))"
MONGO_TESTS = "MongoConnectorTests.(StreamMachineTests|PositionTests|FragmentTests|StandinTests/(splitEvents|sequencesOf))"
FILE_TESTS = "FileConnectorTests"
ADLS = "Sources/Connectors/ADLS"
ADLS_TESTS = "ADLSConnectorTests"


@dataclass(frozen=True)
class Mutant:
    rule: str
    file: str
    old: str  # found in the file exactly once
    new: str
    tests: str = SIMULATION


MUTANTS = [
    Mutant(
        "position before its data: the receipt is stored before the commit", f"{PIPELINE}/Committing.swift",
        "guard case .receipt(let receipt, let settled) = try await settle(",
        "try await finish(intent, intent.prepared.map { CommitReceipt($0.id, counts: $0.counts, rows: 0) } ?? intent.emptyReceipt, lease)\n"
        "      guard case .receipt(let receipt, let settled) = try await settle("),
    Mutant(
        "intent after the commit: it is stored only by its receipt", f"{PIPELINE}/Writing.swift",
        "    try await parts.store.store(intent, under: lease)\n",
        ""),
    Mutant(
        "ids reused: the sequence starts again in every session", f"{PIPELINE}/Writing.swift",
        "try await parts.destination.open(lease)",
        "try await parts.destination.open(lease)\n"
        "    lastSequence = 0"),
    Mutant(
        "later intents left behind a gone one", f"{PIPELINE}/Recovery.swift",
        "    for intent in intents.dropFirst() { try await destroy(intent, behind: first) }\n",
        ""),
    Mutant(
        "a gone epoch is skipped and the next one recovered", f"{PIPELINE}/Recovery.swift",
        "?? start.pin\n"
        "        break",
        "?? start.pin\n"
        "        continue"),
    Mutant(
        "recovery before the fence is up", f"{PIPELINE}/Writing.swift",
        "try await parts.destination.open(lease)\n"
        "    // Only with the fence up: what recovery finds out must not be changed by an older writer afterwards.\n"
        "    let start = try await recover(try await parts.store.load(lease), lease)",
        "let start = try await recover(try await parts.store.load(lease), lease)\n"
        "    try await parts.destination.open(lease)"),
    Mutant(
        "the destination is not asked after an unknown outcome at start", f"{PIPELINE}/Recovery.swift",
        "try await settle(intent, askingFirst: true, lease)",
        "try await settle(intent, askingFirst: false, lease)"),
    Mutant(
        "an epoch is cut where no safe boundary lies", f"{PIPELINE}/EpochLedger.swift",
        "epoch.through = batch.position",
        "epoch.through = batch.position ?? epoch.through"),
    Mutant(
        "a pin's units are written again", f"{PIPELINE}/Writing.swift",
        "begin(id, pin: ledger.currentPin)",
        "begin(id, pin: nil)"),
    Mutant(
        "a pinned epoch ends wherever it is full", f"{PIPELINE}/EpochLedger.swift",
        "    if let pin { return through == pin.through }\n",
        ""),
    Mutant(
        "a partly visible epoch is read again as a whole", f"{PIPELINE}/Recovery.swift",
        "    if case .partial(let units) = settlement { done.merge(units) { old, _ in old } }\n",
        ""),
    Mutant(
        "dead letters visible before the commit", f"{PIPELINE}/Committing.swift",
        "guard case .receipt(let receipt, let settled) = try await settle(",
        "if let file = intent.deadLetters { try await parts.deadLetters.publish(file) }\n"
        "      guard case .receipt(let receipt, let settled) = try await settle("),
    Mutant(
        "dead letters visible before the receipt", f"{PIPELINE}/Committing.swift",
        'parts.crash.pass("before-receipt")',
        "if let file = intent.deadLetters { try await parts.deadLetters.publish(file) }"),
    Mutant(
        "dead letters not told again at start", f"{PIPELINE}/Recovery.swift",
        "if let file = last.intent.deadLetters { try await parts.deadLetters.publishAgain(file) }\n"
        "    try await parts.source",
        "try await parts.source"),
    Mutant(
        "a stalled writer's sweep takes newer files", f"{PIPELINE}/Recovery.swift",
        "through: lease.generation)",
        "through: .max - 1)"),
    Mutant(
        "an unknown error is final at once", f"{PIPELINE}/Backoff.swift",
        "if let known, !known.isRetryable { return .giveUp }",
        "if !(known?.isRetryable ?? false) { return .giveUp }"),
    Mutant(
        "records without a fate are let through", f"{PIPELINE}/EpochLedger.swift",
        "guard destination.total == epoch.written, counts.total == epoch.read,",
        "guard counts.total >= 0,"),
    Mutant(
        "upstream told before the receipt", f"{PIPELINE}/Committing.swift",
        'parts.crash.pass("before-receipt")',
        'parts.crash.pass("before-receipt")\n'
        "    try await parts.source.acknowledge(through: DurablePosition(storing: checkpoint))"),
    Mutant(
        "a token that moved while nothing came is not stored", f"{PIPELINE}/EpochLedger.swift",
        "guard open.read > 0 else { return through != position && (ending || now - lastClosed >= idleInterval) }",
        "guard open.read > 0 else { return false }"),
    Mutant(
        "a token is stored as often as it moves", f"{PIPELINE}/EpochLedger.swift",
        "(ending || now - lastClosed >= idleInterval)",
        "(ending || now >= lastClosed)"),
    Mutant(
        "an empty batch ends the open epoch's wait for its boundary", f"{PIPELINE}/EpochLedger.swift",
        "if let pin { return through == pin.through }\n"
        "    guard open.read > 0 else",
        "if let pin { return through == pin.through || open.read == 0 }\n"
        "    guard open.read > 0 else"),
    Mutant(
        "columns may change inside an epoch", f"{PIPELINE}/EpochLedger.swift",
        "open.schema != batch.schema else { return false }",
        "open.schema != batch.schema, open.read == 0 else { return false }"),
    Mutant(
        "dead letters of an intent whose answer was lost are discarded", f"{PIPELINE}/Session.swift",
        "if !epoch.hasIntentSent { try await parts.deadLetters.discard(epoch.id) }",
        "try await parts.deadLetters.discard(epoch.id)"),
    Mutant(
        "the lease is released while a commit's end is not known", f"{PIPELINE}/Pipeline.swift",
        "guard !commitInDoubt else {",
        "guard !commitInDoubt || commitInDoubt else {"),
    Mutant(
        "dead letters are published whatever they hold", f"{STATE}/FileDeadLetterStore.swift",
        "length == file.bytes && SHA256.hex(hash.finish()) == file.sha256",
        "length >= 0", LETTERS),
    Mutant(
        "store: a superseded generation writes", f"{STATE}/StateTable.swift",
        "guard row.generation == Int64(clamping: lease.generation) else {",
        "guard row.generation >= 0 else {", STORE),
    Mutant(
        "store: an intent need not follow the tail", f"{STATE}/SQLiteStateStore.swift",
        "guard intent.predecessor == tail else {",
        "guard intent.predecessor == tail || intent.read >= 0 else {", STORE),
    Mutant(
        "store: an id may come again", f"{STATE}/SQLiteStateStore.swift",
        "guard intent.id.generation == lease.generation, intent.id > row.highest else {",
        "guard intent.id.generation == lease.generation else {", STORE),
    Mutant(
        "store: a receipt need not be the oldest intent's", f"{STATE}/SQLiteStateStore.swift",
        "guard let oldest, oldest == checkpoint.intent, oldest.predecessor == row.checkpoint?.receipt.id else {",
        "guard let oldest else {", STORE),
    Mutant(
        "store: a receipt leaves its intent", f"{STATE}/SQLiteStateStore.swift",
        "      try table.remove(oldest.id, from: lease.pipeline)\n",
        "", STORE),
    Mutant(
        "store: a drop takes one intent only", f"{STATE}/SQLiteStateStore.swift",
        "for intent in intents[place...] {",
        "for intent in intents[place...place] {", STORE),
    Mutant(
        "store: a drop stores no pin", f"{STATE}/SQLiteStateStore.swift",
        "        try table.set(pin, of: lease.pipeline)\n",
        "", STORE),
    Mutant(
        "store: an intent leaves the pin that it replaces", f"{STATE}/StateTable.swift",
        "UPDATE pipelines SET pin = NULL, highest_generation",
        "UPDATE pipelines SET highest_generation", STORE),
    Mutant(
        "store: a corrected intent may have another extent", f"{STATE}/SQLiteStateStore.swift",
        "stored.through == intent.through, stored.read == intent.read",
        "stored.read == intent.read", STORE),
    Mutant(
        "store: another identity resumes", f"{STATE}/SQLiteStateStore.swift",
        "        if let stored = row.identity, stored != identity { throw different(stored, identity, pipeline) }\n",
        "", STORE),
    Mutant(
        "store: a live holder is not asked", f"{STATE}/SQLiteStateStore.swift",
        "try refuse(row, pipeline)\n"
        "        if let stored",
        "if let stored", STORE),
    Mutant(
        "store: two holders get one generation", f"{STATE}/SQLiteStateStore.swift",
        "(row?.generation ?? 0) + 1",
        "max(row?.generation ?? 0, 1)", STORE),
    Mutant(
        "store: a reset starts again below what a fence has seen", f"{STATE}/SQLiteStateStore.swift",
        "generation: max(row.generation, now / 1000 - 1))",
        "generation: 0)", STORE),
    Mutant(
        "store: commits are not synced", f"{STATE}/StateSchema.swift",
        'try database.run("PRAGMA synchronous = FULL")',
        'try database.run("PRAGMA synchronous = OFF")', STORE),
    Mutant(
        "Snowflake: LOAD_SKIPPED is taken for success", f"{SNOWFLAKE}/Commit/CopyResult.swift",
        'let status = result[row, "status"] ?? ""',
        'let status = result[row, "status"] ?? ""\n'
        '      if status == "LOAD_SKIPPED" { continue }', STATEMENTS),
    Mutant(
        "Snowflake: the fence is not asked whose it is", f"{SNOWFLAKE}/Commit/Fence.swift",
        r'"\(mine) AND \"GENERATION\" = \(generation) AND \"WRITER\" = \(literal(writer))"',
        "mine", COMMITS),
    Mutant(
        "Snowflake: the ledger is not read under the fence's lock", f"{SNOWFLAKE}/Commit/Committer.swift",
        "if let known = try await receipt(of: prepared.id, session) {\n"
        "        await session.rollBack()\n"
        "        return known\n"
        "      }\n"
        "      let queries",
        "let queries", COMMITS),
    Mutant(
        "Snowflake: a file that was loaded in part is taken for success", f"{SNOWFLAKE}/Commit/CopyResult.swift",
        "guard loaded == file.rows else {",
        "guard loaded <= file.rows else {", STATEMENTS),
    Mutant(
        "Snowflake: an older writer takes the fence back", f"{SNOWFLAKE}/Commit/Fence.swift",
        r'(\"GENERATION\" < \(generation) OR',
        r'(\"GENERATION\" <> \(generation) OR', COMMITS),
    Mutant(
        "MongoDB: the answer's token is stored while fragments of a split event are pending", f"{MONGO}/EventReader.swift",
        "if let end, !assembler.isPending { settle(at: end, &runs) }",
        "if let end { settle(at: end, &runs) }", MONGO_TESTS),
    Mutant(
        "MongoDB: a resume inside one cluster time counts from 0 again", f"{MONGO}/SequenceState.swift",
        "if let time, time > clusterTime {",
        "if let time, time >= clusterTime, next > 1 || time > clusterTime {", MONGO_TESTS),
    Mutant(
        "file: a name that exists is ours whatever it holds", f"{FILE}/FilePublisher.swift",
        "return try digest(of: path) == file.sha256",
        "return true", FILE_TESTS),
    Mutant(
        "adls: an epoch is appended while the commit before is under way", f"{ADLS}/EpochWriter.swift",
        "      try await gate.wait()\n",
        "", ADLS_TESTS),
    Mutant(
        "adls: what an earlier writer appended is not cleared", f"{ADLS}/GrowingFile.swift",
        "    _ = try await parts.store.flush(FileFlush(key, length: state.length, leaseID: leases.id))\n",
        "", ADLS_TESTS),
    Mutant(
        "adls: a lease has the same id in every session", f"{ADLS}/LeaseName.swift",
        r'\n\(generation)\n\(session)"',
        r'\n\(generation)"', ADLS_TESTS),
    Mutant(
        "adls: a commit begins without moving the fence", f"{ADLS}/ADLSDestination.swift",
        "    try await parts.fence.begin(epoch)\n",
        "", ADLS_TESTS),
    Mutant(
        "adls: an older writer takes the fence back", f"{ADLS}/Fence.swift",
        "if found.generation > lease.generation {",
        "if found.generation > lease.generation + 9 {", ADLS_TESTS),
    Mutant(
        "adls: a state that is older than the lake goes on", f"{ADLS}/Fence.swift",
        "if let last = found.last, last > known ??",
        "if let last = found.last, last.generation > 1 << 40, last > known ??", ADLS_TESTS),
    Mutant(
        "adls: the length alone says that an epoch is visible", f"{ADLS}/RollingCommitter.swift",
        "guard let tail = file.tail, tail.bytes > 0 else {",
        "guard let tail = file.tail, tail.bytes < 0 else {", ADLS_TESTS),
    Mutant(
        "adls: a file that is longer than it should be is as it should be", f"{ADLS}/Rolling.swift",
        "if length == to { return .done(.committed) }",
        "if length >= to { return .done(.committed) }", ADLS_TESTS),
    Mutant(
        "adls: a lease is broken without asking the fence", f"{ADLS}/LeaseTaking.swift",
        "step = known.isEmpty ? .askFence : .change",
        "step = known.isEmpty ? .breakLease : .change", ADLS_TESTS),
    Mutant(
        "adls: a file whose closing flush was sent is appended to again", f"{ADLS}/GrowingFile.swift",
        "guard var entry = await parts.journal.entries[key], entry.closing == nil,",
        "guard var entry = await parts.journal.entries[key],", ADLS_TESTS),
    Mutant(
        "adls: what a pin says to be visible is written again", f"{ADLS}/EpochWriter.swift",
        "    if done.contains(base) { return held.release(bytes) }\n",
        "", ADLS_TESTS),
    Mutant(
        "adls: staged files are destroyed without a note that says so", f"{ADLS}/LakePublisher.swift",
        "    _ = try await parts.store.createFile(NewFile(key: mark(epoch)))\n",
        "", ADLS_TESTS),
    Mutant(
        "adls: the fence does not remember what was published", f"{ADLS}/LakePublisher.swift",
        "    try await parts.fence.end(epoch)\n",
        "", ADLS_TESTS),
    Mutant(
        "adls: an event's file is ours whatever it says", f"{ADLS}/EventPublisher.swift",
        "found.metadata[LakeParts.eventProperty] == event.identity",
        "found.metadata[LakeParts.eventProperty] != nil", ADLS_TESTS),
]
