// The benchmark harness, first form:  make bench
//
//     nebula-bench [RECORDS] [ROUNDS]      1,000,000 records and 3 rounds unless told otherwise
import Glibc
import NebulaFormats

setvbuf(fdopen(1, "w"), nil, _IOLBF, 0)
let count = CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1]) ?? 1_000_000 : 1_000_000
let rounds = CommandLine.arguments.count > 2 ? Int(CommandLine.arguments[2]) ?? 3 : 3
let folder = String(cString: getenv("TMPDIR") ?? strdup("/tmp")) + "/nebula-bench.\(getpid())"
mkdir(folder, 0o700)

/// Writes a job's input file; returns its size.
func generate(_ job: any Job, _ path: String) -> Int {
  guard let file = fopen(path, "w") else { fail("can't write \(path)") }
  defer { fclose(file) }
  var size = 0
  for start in stride(from: 0, to: count, by: 500) {
    let records = (start..<min(count, start + 500)).map { job.record(Order($0)) }
    if let odd = records.first(where: { !(500...600).contains($0.count) }) { fail("a record has \(odd.count) bytes") }
    let bytes = job.frame(records)
    if fwrite(bytes, 1, bytes.count, file) != bytes.count { fail("can't write \(path)") }
    size += records.reduce(0) { $0 + $1.count }
  }
  return size
}
func thousands(_ number: Double) -> String {
  let digits = Array(String(Int(number.rounded())))
  return String(digits.enumerated().flatMap { $0 > 0 && (digits.count - $0) % 3 == 0 ? [",", $1] : [$1] })
}
func text(_ number: Double, _ places: Int = 2) -> String {
  let scale = places == 0 ? 1.0 : places == 1 ? 10.0 : 100.0
  let scaled = Int((number * scale).rounded())
  return places == 0 ? String(scaled) : "\(scaled / Int(scale)).\(zeros(scaled % Int(scale), places))"
}

print(Machine.description)
print(
  "\(thousands(Double(count))) distinct seeded records, \(rounds) rounds, the best of each is shown; files in \(folder)"
)

func bench(_ job: any Job) async {
  let path = "\(folder)/\(job.fileName)"
  let size = generate(job, path)
  defer { unlink(path) }
  var limit: Limit?
  var runs = [Int: Run]()
  for round in 0..<rounds {
    let measured = Limit.measure(job, path: path)
    if limit.map({ measured.recordsPerSecond > $0.recordsPerSecond }) ?? true { limit = measured }
    for workers in Set([1, Machine.cores]).sorted() {
      let run = await Run.measure(job, path: path, workers: workers, folder: folder)
      if round == 0 { verify(job, run, count: count) }
      if runs[workers].map({ run.cpu < $0.cpu }) ?? true { runs[workers] = run }
    }
  }
  guard let limit else { return }
  print(
    "\n\(job.name): \(text(Double(size) / Double(count), 0)) bytes a record in, \(text(Double(limit.outputBytes) / Double(count), 0)) out before compression"
  )
  func part(_ name: String, _ seconds: Double, _ bytes: Int) {
    guard seconds > 0 else { return }
    print("  \(name): \(thousands(Double(count) / seconds)) records/s, \(text(Double(bytes) / seconds / 1e6, 0)) MB/s")
  }
  part("limit: read(2)         ", limit.read, limit.inputBytes)
  if job.readsJSON { part("limit: simdjson stage 1", limit.stage1, limit.inputBytes) }
  part("limit: memcpy of output", limit.copy, limit.outputBytes)
  part("limit: the codec       ", limit.codec, limit.outputBytes)
  print("  limit, 1/Σ(1/rate)     : \(thousands(limit.recordsPerSecond)) records/s a core")
  part("ours: validation alone ", limit.validate, limit.inputBytes)
  part("ours: encoding         ", limit.encode, limit.inputBytes)
  for (workers, run) in runs.sorted(by: { $0.key < $1.key }) {
    let perCore = Double(run.records) / run.cpu
    print(
      "  \(workers) worker\(workers == 1 ? " " : "s"): \(thousands(Double(run.records) / run.wall)) records/s, \(text(run.cpu)) CPU s for "
        + "\(thousands(Double(run.records))) = \(thousands(perCore)) records per CPU second, \(text(perCore / limit.recordsPerSecond * 100, 0)) % of the limit; "
        + "staged \(run.staged.count) files, \(text(Double(run.stagedBytes) / 1e6, 0)) MB")
  }
  print("  read back and compared: \(thousands(Double(count))) rows equal, each once")
}

await bench(JSONLinesToCSV())
await bench(EventsToJSON())
rmdir(folder)
