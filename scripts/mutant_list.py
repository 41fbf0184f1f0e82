"""The rules that `mutants.py` breaks, one at a time: what is broken, where, how, and the tests that have to see it."""
from dataclasses import dataclass

PIPELINE, STATE = "Sources/Runtime/Pipeline", "Sources/Runtime/State"
SNOWFLAKE, MONGO, FILE = "Sources/Connectors/Snowflake", "Sources/Connectors/Mongo", "Sources/Connectors/File"

# Filters of `swift test`: suites that always run whole, for a skipped test is no baseline.
SIMULATION = "RuntimeTests.(SimulationTests|EpochLedgerTests|BackoffTests|PipelineTests|PatienceTests)"
STORE = "RuntimeTests.StateStoreTests"
LETTERS = "RuntimeTests.FileDeadLetterStoreTests"
STATEMENTS = "SnowflakeConnectorTests.StatementTests"
COMMITS = "SnowflakeConnectorTests.(CommitTests|FenceTests|FaultTests/(aZombie|twoOf|anOlderState|aDeadWriter|missingFiles))"
ASYNC = "SnowflakeConnectorTests.(AsyncQueryTests|AsyncCopyTests)"
LEFT_OUT = "SnowflakeConnectorTests.(LeftOutTests|OnErrorTests)"
TROUBLE = "SnowflakeConnectorTests.TroubleTests"
SWEEP = "SnowflakeConnectorTests.(StageSweepTests|StageHygieneTests)"
MONGO_TESTS = "MongoConnectorTests.(StreamMachineTests|PositionTests|FragmentTests|StandinTests/(splitEvents|sequencesOf))"
ANSWERS = "MongoConnectorTests.AnswerTests"
COPY_TESTS = "MongoConnectorTests.CopyPhaseTests"
FILE_TESTS = "FileConnectorTests"
LOGINS = "SnowflakeConnectorTests.(ConnectionTests|SecondFactorTests)"
CHECKS = "SnowflakeConnectorTests.ColumnCheckTests"
HOSTILE = "SnowflakeConnectorTests.HostileValueTests"
PLAIN_ROWS = "SnowflakeConnectorTests.PlainRowsTests"
MERGES = "SnowflakeConnectorTests.(MergeTests|SchemaTests)"
ADLS = "Sources/Connectors/ADLS"
ADLS_TESTS = "ADLSConnectorTests"
PARQUET = "Sources/Formats/Parquet"
PARQUET_TESTS = "FormatsTests.Parquet"
EXTERNAL_STAGE = "SnowflakeConnectorTests.ExternalStage"
STORES = "ObjectStoresTests.(StoreTests/(Common|GCSBucket|S3)|GCSResumeRuleTests)"


@dataclass(frozen=True)
class Mutant:
    rule: str
    file: str
    old: str  # found in the file exactly once
    new: str
    tests: str = SIMULATION


MUTANTS = [
    Mutant(
        "a failure late in a session forgives the ones before it", f"{PIPELINE}/Pipeline.swift",
        "        if progress.epochs > epochs",
        "        failures.wasQuiet(now: now)\n"
        "        if progress.epochs > epochs"),
    Mutant(
        "records in an open epoch count as quiet", f"{PIPELINE}/EpochLedger.swift",
        "$0.read == 0 && !$0.isBehind",
        "!$0.isBehind"),
    Mutant(
        "a source that has more counts as quiet", f"{PIPELINE}/EpochLedger.swift",
        "$0.read == 0 && !$0.isBehind",
        "$0.read == 0"),
    Mutant(
        "a begun epoch without records counts as quiet", f"{PIPELINE}/Writing.swift",
        "openEpoch?.isBegun != true, queue.isEmpty",
        "queue.isEmpty"),
    Mutant(
        "an intent without a receipt counts as quiet", f"{PIPELINE}/Writing.swift",
        "openEpoch?.isBegun != true, queue.isEmpty",
        "openEpoch?.isBegun != true"),
    Mutant(
        "silence counts as quiet", f"{PIPELINE}/Writing.swift",
        "if batch.isAnswer { noteQuiet(ledger, queue) }",
        "noteQuiet(ledger, queue)"),
    Mutant(
        "a quiet source is never forgiven", f"{PIPELINE}/FailureStreak.swift",
        "    if let upSince, now - upSince >= Self.steadyTime { since = nil }\n",
        ""),
    Mutant(
        "silence of the server counts as its answer", f"{MONGO}/MongoRecordStream.swift",
        "case nil: return idle(isAnswer: false)",
        "case nil: return idle(isAnswer: true)", ANSWERS),
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
        "let status = status(row, result)\n    func",
        "let status = status(row, result)\n"
        '    if status == "LOAD_SKIPPED" { return nil }\n    func', STATEMENTS),
    Mutant(
        "Snowflake: the fence is not asked whose it is", f"{SNOWFLAKE}/Commit/Fence.swift",
        r'"\(mine) AND \"GENERATION\" = \(generation) AND \"WRITER\" = \(literal(writer))"',
        "mine", COMMITS),
    Mutant(
        "Snowflake: the ledger is not read under the fence's lock", f"{SNOWFLAKE}/Commit/Committer.swift",
        "if let known = try await receipt(of: prepared.id, session) {\n"
        "        await session.rollBack()\n"
        "        return .committed(known)\n"
        "      }\n"
        "      let load",
        "let load", COMMITS),
    Mutant(
        "Snowflake: a file that was loaded in part is taken for success", f"{SNOWFLAKE}/Commit/CopyResult.swift",
        'if status == "LOADED", loaded == file.rows,',
        'if status == "LOADED", loaded <= file.rows,', STATEMENTS),
    Mutant(
        "Snowflake: an older writer takes the fence back", f"{SNOWFLAKE}/Commit/Fence.swift",
        r'((\"GENERATION\" < \(generation)',
        r'((\"GENERATION\" <> \(generation)', COMMITS),
    Mutant(
        "Snowflake: the fence does not ask whether the state knows its last epoch", f"{SNOWFLAKE}/Commit/Fence.swift",
        "known.map { \" AND", "known.flatMap { _ in nil as EpochID? }.map { \" AND", COMMITS),
    Mutant(
        "file: a state that is older than the folder goes on", "Sources/Connectors/File/FilePublisher.swift",
        "newest > known, newest.generation", "newest > known, newest.generation > 1 << 40, newest.generation", FILE_TESTS),
    Mutant(
        "state: after a reset a destination is ahead all the same", "Sources/Runtime/State/StateTable.swift",
        ".number(Self.pastEverySequence)", ".number(0)", STORE),
    Mutant(
        "columns: an offset from UTC is cut off", f"{SNOWFLAKE}/Rows/ColumnCheck.swift",
        "(keepsOffset || !$0.hasOffset)", "(keepsOffset || $0.fraction < 99)", CHECKS),
    Mutant(
        "columns: a day's time is cut off", f"{SNOWFLAKE}/Rows/ColumnCheck.swift",
        "!$0.hasTime && !$0.hasOffset", "!$0.hasOffset", CHECKS),
    Mutant(
        "columns: a FLOAT rounds a long number", f"{SNOWFLAKE}/Rows/ValueKind.swift",
        'return digits(written) == digits("\\(double)")', "return true", CHECKS),
    Mutant(
        "columns: Parquet is given a number as it was written", f"{SNOWFLAKE}/Rows/StagedSink.swift",
        "isNumber[index] ? Self.bare(text) : text", "text", CHECKS),
    Mutant(
        "columns: a number in a VARCHAR column goes through a VARIANT", f"{SNOWFLAKE}/Rows/RecordEncoder.swift",
        "} else if isText[slot], member.kind != .string {", "} else if isText[slot], member.kind == .null {", HOSTILE),
    Mutant(
        "merge: lengths are left to a COPY that does not look at them", f"{SNOWFLAKE}/Tables/TableLayout.swift",
        "format == .parquet || merge != nil", "format == .parquet", HOSTILE),
    Mutant(
        "tables: contract reject stops at names that collide in the first batch", f"{SNOWFLAKE}/Tables/LayoutPlanner.swift",
        "let isLenient = options.schemaRule != nil", "let isLenient = options.keepsOverflow", HOSTILE),
    Mutant(
        "view: a sharded collection's copied row has a key of its own", f"{SNOWFLAKE}/Tables/CurrentView.swift",
        r'COALESCE(TO_JSON(\(column(.key)):\"_id\"), TO_JSON(\(column(.key))))', r"TO_JSON(\(column(.key)))", HOSTILE),
    Mutant(
        "Snowflake: an object with a name twice stops the load", f"{SNOWFLAKE}/Commit/Committer.swift",
        "if case .doubled = attempt {", "if case .doubled = attempt, manifest.files > 1 << 40 {", HOSTILE),
    Mutant(
        "stores: the parts of an upload carry no checksum", "Sources/ObjectStores/ObjectParts.swift",
        "contentMD5 == nil ? [:] : [", "contentMD5 == nil || contentMD5 != nil ? [:] : [", STORES),
    Mutant(
        "Snowflake: the result of a COPY in the background is not read", f"{SNOWFLAKE}/Session/Session.swift",
        "let result = try await self.result(of: query)",
        "let result = try Envelope(HTTPResponse(status: 200, body: Array(#\"{\"success\":true,\"data\":{}}\"#.utf8)))", ASYNC),
    Mutant(
        "Snowflake: a COPY that failed in the background is believed when its result says otherwise",
        f"{SNOWFLAKE}/Session/AsyncQuery.swift",
        "guard result.isSuccess, let last, !last.isRunning, last != .success else { return }",
        "guard result.isSuccess, let last, last == .noData else { return }", ASYNC),
    Mutant(
        "Snowflake: a COPY that waits for a lock is taken for ended", f"{SNOWFLAKE}/Session/AsyncQuery.swift",
        "case .running, .queued, .resumingWarehouse, .repairingWarehouse, .blocked, .noData: true\n"
        "    case .success,",
        "case .running, .queued, .resumingWarehouse, .repairingWarehouse, .noData: true\n"
        "    case .blocked, .success,", ASYNC),
    Mutant(
        "Snowflake: a statement that the server does not know is waited for without end",
        f"{SNOWFLAKE}/Session/AsyncQuery.swift",
        "guard state?.isRunning ?? true, silent < Self.patience else { return .read }",
        "guard state?.isRunning ?? true else { return .read }", ASYNC),
    Mutant(
        "Snowflake: the ledger is not asked before a second COPY in the background", f"{SNOWFLAKE}/Commit/Committer.swift",
        "if let known = try await receipt(of: prepared.id, session) {\n"
        "        await session.rollBack()\n"
        "        return .committed(known)",
        "if let known = try await receipt(of: prepared.id, session), !options.asyncCopy {\n"
        "        await session.rollBack()\n"
        "        return .committed(known)", ASYNC),
    Mutant(
        "Snowflake: who stops waiting leaves the COPY running", f"{SNOWFLAKE}/Session/Session.swift",
        "abandon(running.map { .query($0) } ?? .request(requestID, sql))",
        "if running == nil { abandon(.request(requestID, sql)) }", ASYNC),
    Mutant(
        "Snowflake: rows that were left out are not counted", f"{SNOWFLAKE}/Commit/Replacement.swift",
        "counts.rejected += rows", "_ = rows", LEFT_OUT),
    Mutant(
        "Snowflake: rows of a load without a fate are let through", f"{SNOWFLAKE}/Commit/CopyResult.swift",
        "loaded <= file.rows && file.rows - loaded == errors)",
        "loaded <= file.rows && file.rows - loaded >= errors)", LEFT_OUT),
    Mutant(
        "Snowflake: a file that could not be read is a file of bad rows", f"{SNOWFLAKE}/Commit/CopyResult.swift",
        'guard number("rows_parsed") == file.rows, let errors',
        'guard number("rows_parsed") != nil, let errors', LEFT_OUT),
    Mutant(
        "Snowflake: the next load may leave out other rows", f"{SNOWFLAKE}/Commit/CopyResult.swift",
        'loaded == file.loaded,\n'
        '      number("errors_seen") == file.rejected',
        "loaded <= file.rows", LEFT_OUT),
    Mutant(
        "Snowflake: a table that changed since is taken for more bad rows", f"{SNOWFLAKE}/Commit/Committer.swift",
        "if manifest.rejected > 0, let error = CopyResult.changed",
        "if manifest.rejected > 0, found.isEmpty, let error = CopyResult.changed", LEFT_OUT),
    Mutant(
        "Snowflake: a file that is left out is loaded", f"{SNOWFLAKE}/Commit/CopyStatement.swift",
        "let files = table.loadedFiles", "let files = table.files", LEFT_OUT),
    Mutant(
        "Snowflake: a row's reason is its file's first one", f"{SNOWFLAKE}/Commit/RejectFinder.swift",
        "reasons[String(leftOut.file.name.dropFirst(prefix.count))] = leftOut.error",
        "reasons[String(leftOut.file.name.dropFirst(prefix.count))] = reasons.values.first ?? leftOut.error", LEFT_OUT),
    Mutant(
        "Snowflake: an account's trouble is taken for a bad row", f"{SNOWFLAKE}/Commit/CopyResult.swift",
        'guard server.error(trying: "COPY").code == .statementFailed,', "guard !server.number.isEmpty,", TROUBLE),
    Mutant(
        "Snowflake: the sweep takes another pipeline's files", f"{SNOWFLAKE}/Stage/StageSweep.swift",
        "Array(parts[front..<parts.count - 2]) == Array(wanted)",
        'parts[front..<parts.count - 2].joined(separator: "/").hasPrefix(folder.prefix(8))', SWEEP),
    Mutant(
        "Snowflake: the sweep takes files without a stored receipt", f"{SNOWFLAKE}/Stage/StageSweep.swift",
        "return epoch.sequence <= settled.sequence", "return epoch.sequence <= settled.sequence + 1", SWEEP),
    Mutant(
        "Snowflake: files are not kept for their time", f"{SNOWFLAKE}/Stage/StageSweep.swift",
        ">= retention.wholeMilliseconds", ">= 0", SWEEP),
    Mutant(
        "MongoDB: the answer's token is stored while fragments of a split event are pending", f"{MONGO}/EventReader.swift",
        "if let end, !assembler.isPending { settle(at: end, &runs) }",
        "if let end { settle(at: end, &runs) }", MONGO_TESTS),
    Mutant(
        "the end of a copy that comes without a record is kept from who follows it", f"{PIPELINE}/Writing.swift",
        "guard batch.count > 0 || concerns(batch.copy) else { return }", "guard batch.count > 0 else { return }"),
    Mutant(
        "MongoDB: a copy made anew stands among what was handed over before it", f"{MONGO}/LostPlace.swift",
        "if snapshot.clusterTime <= last {", "if snapshot.clusterTime < 0 {", COPY_TESTS),
    Mutant(
        "MongoDB: what was copied before a loss passes for older than the copy", f"{MONGO}/LostPlace.swift",
        "position.copyStart = earlier.copyStart", "", COPY_TESTS),
    Mutant(
        "MongoDB: a copy of nothing does not end", f"{MONGO}/Opening.swift",
        "isCopying: start == .snapshot,", "isCopying: !position.isCopied,", COPY_TESTS),
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
    Mutant(
        "snowflake: a passcode is shown by each login", f"{SNOWFLAKE}/Login/SecondFactor.swift",
        "    isSpent = true\n",
        "", LOGINS),
    Mutant(
        "snowflake: logins with one passcode do not wait for each other", f"{SNOWFLAKE}/Login/SecondFactor.swift",
        "if let asking, asking.isUnderway {",
        "if let asking, asking.isUnderway, sessions < 0 {", LOGINS),
    Mutant(
        "snowflake: another account's address is taken beside a written account", f"{SNOWFLAKE}/Login/ConnectionLayers.swift",
        " || Set(accounts).count == 2",
        "", LOGINS),
    Mutant(
        "snowflake: a file of connections that anyone may write is believed", f"{SNOWFLAKE}/Login/ConnectionFiles.swift",
        "guard !file.isWritableByOthers else {",
        "guard true else {", LOGINS),
    Mutant(
        "parquet: a row that is taken back leaves its levels", f"{PARQUET}/ParquetColumn.swift",
        "    if page.pointee.hasLevels { definitions.truncate(to: page.pointee.entries) }\n",
        "", PARQUET_TESTS),
    Mutant(
        "parquet: a document that is refused leaves what came before its fault", f"{PARQUET}/ParquetShredder.swift",
        "      file.undoRow()\n",
        "", PARQUET_TESTS),
    Mutant(
        "parquet: statistics where there is NaN", f"{PARQUET}/ParquetStatistics.swift",
        "      if hasNaN { return (nil, nil) }\n",
        "", PARQUET_TESTS),
    Mutant(
        "parquet: the largest text is cut without being raised", f"{PARQUET}/ParquetBound.swift",
        "guard isCut else { return bytes }",
        "guard isCut && bytes.isEmpty else { return bytes }", PARQUET_TESTS),
    Mutant(
        "parquet: a dictionary that refuses keeps what it took", f"{PARQUET}/ParquetDictionary.swift",
        "(table.count, table.used, seen) = (countBefore, usedBefore, seenBefore)",
        "_ = (countBefore, usedBefore, seenBefore)", PARQUET_TESTS),
    Mutant(
        "parquet: packed levels before a run are no whole groups", "Sources/C/CNebulaKernels/parquet_levels.c",
        "size_t lacking = (8 - (i - packed) % 8) % 8;",
        "size_t lacking = 0;", PARQUET_TESTS),
    Mutant(
        "parquet: elements behind the first begin a row of their own", f"{PARQUET}/ParquetShredder+JSON.swift",
        "level = node.repetition",
        "level = repetition", PARQUET_TESTS),
    Mutant(
        "parquet: a decimal loses the digits that it has no place for", f"{PARQUET}/DecimalText.swift",
        "guard shift >= 0 else { throw parts.count + shift > precision ? .tooLarge : .tooFine }",
        "guard shift >= 0 else { return 0 }", PARQUET_TESTS),
    Mutant(
        "parquet: a row of more than a page can say is kept", f"{PARQUET}/ParquetFileWriter.swift",
        "if page.held > work.limits.page {",
        "if page.held < 0 {", PARQUET_TESTS),
    Mutant(
        "merge: what is older than the row that is there replaces it", f"{SNOWFLAKE}/Commit/MergeStatement.swift",
        r'"(t.\"_SEQ\" IS NULL OR s.\"_SEQ\" > t.\"_SEQ\")"',
        '"TRUE"', MERGES),
    Mutant(
        "merge: of several rows of a key any one is taken", f"{SNOWFLAKE}/Commit/MergeStatement.swift",
        r'ORDER BY \"_SEQ\" DESC) = 1"',
        r'ORDER BY \"_SEQ\" DESC) > 0"', MERGES),
    Mutant(
        "merge: a delete is as any other change", f"{SNOWFLAKE}/Commit/MergeStatement.swift",
        "    return clauses + [\n",
        "    return [\n", MERGES),
    Mutant(
        "merge: the columns of an epoch's narrowest rows are merged", f"{SNOWFLAKE}/Commit/MergeStatement.swift",
        "staged.max(by: { $0.layout.columns.count < $1.layout.columns.count })",
        "staged.min(by: { $0.layout.columns.count < $1.layout.columns.count })", MERGES),
    Mutant(
        "merge: rows beside the first file's keys are looked for between them", f"{SNOWFLAKE}/Commit/Manifest.swift",
        "    if Self.isBefore(greatest, other.greatest, kind) { greatest = other.greatest }\n",
        "", MERGES),
    Mutant(
        "merge: the landing table keeps its rows", f"{SNOWFLAKE}/Commit/Committer.swift",
        "let cleared = try await session.query(\n"
        '        statement.clear, trying: "Emptying the landing table of \\(table.sql)", grant: Grants.merge(table)\n'
        "      ).rowsChanged\n",
        "let cleared: UInt64? = landed\n", MERGES),
    Mutant(
        "merge: a stranger's rows are merged as well", f"{SNOWFLAKE}/Commit/Committer.swift",
        "guard cleared == landed else {",
        "guard cleared != nil else {", MERGES),
    Mutant(
        "merge: deleted keys are forgotten while the copy is made", f"{SNOWFLAKE}/Rows/EpochWriter.swift",
        "keepsTombstones: rule.deletes == .hard && copy.needsTombstones",
        "keepsTombstones: false", MERGES),
    Mutant(
        "merge: COPY alone, whatever the epoch holds", f"{SNOWFLAKE}/Rows/EpochWriter.swift",
        "manifest.tables[index].merge?.isDirect = isDirect",
        "manifest.tables[index].merge?.isDirect = isDirect || !indices.isEmpty", MERGES),
    Mutant(
        "merge: COPY alone, whatever the table holds", f"{SNOWFLAKE}/Tables/SchemaReader.swift",
        "return try await session.result(of: envelope).rows.isEmpty",
        "return try await session.result(of: envelope).rows.count >= 0", MERGES),
    Mutant(
        "merge: a new copy leaves what it did not find", f"{SNOWFLAKE}/Rows/EpochWriter.swift",
        "guard let since = copy.ended, parts.options.writeMode == .merge else { return }",
        "guard let since = copy.ended, since.index > 0 else { return }", MERGES),
    Mutant(
        "tables: altered while an earlier epoch waits for its commit", f"{SNOWFLAKE}/Tables/TableRegistry.swift",
        "        try await settled()\n        try await maker.add",
        "        try await maker.add", MERGES),
    Mutant(
        "tables: a landing table replaced while an earlier epoch waits for its commit",
        f"{SNOWFLAKE}/Tables/TableRegistry.swift",
        "    if present != nil { try await settled() }\n",
        "", MERGES),
    Mutant(
        "tables: a landing table made anew loses the columns of other rows", f"{SNOWFLAKE}/Tables/TableMaker.swift",
        "let others = (present ?? []).filter { !names.contains($0.name) }",
        "let others: [TableColumn] = []", MERGES),
    Mutant(
        "tables: a column takes a value of another kind", f"{SNOWFLAKE}/Rows/DocumentFields.swift",
        "ValueKind.keepsLiteral(json, check) && check",
        "check", MERGES),
    Mutant(
        "tables: a column takes a text that reads as its value", f"{SNOWFLAKE}/Rows/DocumentFields.swift",
        "ValueKind.keepsText($0, check) && check",
        "check", MERGES),
    Mutant(
        "merge: tables that somebody else made are not swept after the copy", f"{SNOWFLAKE}/Tables/TableMaker.swift",
        ' || names.contains(landing(name).name.name)',
        '', MERGES),
    Mutant(
        "external stage: another pipeline's folder is taken for our own", f"{SNOWFLAKE}/Stage/ExternalStage.swift",
        "(folder == root || folder.hasPrefix(root + \"/\"))", "folder.hasPrefix(root)", EXTERNAL_STAGE),
    Mutant(
        "external stage: what is no epoch's file is removed", f"{SNOWFLAKE}/Stage/ExternalStage.swift",
        "file.hasSuffix(\"-\"), file", "file", EXTERNAL_STAGE),
    Mutant(
        "external stage: Snowflake need not see what is written", f"{SNOWFLAKE}/Stage/ExternalStage.swift",
        "guard try await see(key) > 0", "guard try await see(key) >= 0", EXTERNAL_STAGE),
    Mutant(
        "external stage: a stage that lies elsewhere is used", f"{SNOWFLAKE}/Stage/ExternalStageDefinition.swift",
        "guard Self.isSame(found, location.url) else", "guard found.isEmpty || !found.isEmpty else", EXTERNAL_STAGE),
    Mutant(
        "external stage: keys that expire are written into a stage", f"{SNOWFLAKE}/Stage/ExternalStageDefinition.swift",
        "guard (stores.aws.sessionToken ?? \"\").isEmpty else", "guard true else", EXTERNAL_STAGE),
    Mutant(
        "gcs: a name that is taken is ours whatever lies there", "Sources/ObjectStores/GCS/GCSBucketStore.swift",
        "guard isProven else { throw Refusal.exists(object.key) }", "_ = isProven", STORES),
    Mutant(
        "gcs: an upload that makes no progress goes on", "Sources/ObjectStores/GCS/GCSResumableUpload.swift",
        "if let sent, count <= sent.lowerBound { return .refused }", "_ = sent", STORES),
    Mutant(
        "s3: a conflict at the completion is a success", "Sources/ObjectStores/S3/S3MultipartUpload.swift",
        "      await abort(id)\n      return nil\n", "      await abort(id)\n      return try await store.accept(object, etag: nil)\n", STORES),
    Mutant(
        "rows: a copied row's fields need not be what their columns take", f"{SNOWFLAKE}/Rows/PlainRows.swift",
        "guard first != quote, check.takes(field) else { return false }", "_ = first", PLAIN_ROWS),
    Mutant(
        "rows: rows with other line ends are copied as one piece", f"{SNOWFLAKE}/Rows/PlainRows.swift",
        "isGapless = isGapless && row.lowerBound == behind", "", PLAIN_ROWS),
    Mutant(
        "csv: a quote inside of a field is passed over", "Sources/C/CNebulaKernels/csv_rows.inc",
        "uint64_t bad = (opening & ~(after_end | after_closing)) |", "uint64_t bad =", "FormatsTests.KernelTests"),
    Mutant(
        "rows: each worker opens a file of its own for a few records", f"{SNOWFLAKE}/Rows/EpochWriter.swift",
        "while isFew, let lane", "while false, let lane", "SnowflakeConnectorTests.LoadTests/fewRecords"),
]
