"""`make memory`: the peak memory of whole pipelines at default settings, with the destination stalled in the middle.

    python -m Sandbox.memory [--megabytes 2000] [--stall 30] [--limit 256] [--events-a-table 40] [--folder DIR] [PATH…]

A line a path: bytes, records, seconds, CPU seconds, peak MiB, verdict. The peak is `ru_maxrss` of the finished process.
What this process had when it started a child counts as well, so it holds nothing large itself.
The stall: the destination's stand-in does not answer; writes to the destination's folder do not return (`stall.c`).
"""
import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import inputs
from .program import Run, settings
from .stack import DATABASE, FILESYSTEM, ROOT, SCHEMA, Stack

# A document of the MongoDB stand-in in BSON, on average; `bytes` of its generator is what its texts take.
DOCUMENT_BYTES = 600
# Up to so many documents the whole content is compared; the comparer takes a minute for a few hundred thousand.
COMPARED = 100_000
# Collections that take turns, so that as many growing files are open at once.
COLLECTIONS = 1000
# Collections that go to a table each.
TABLES = 5000
# pipeline.max_in_flight_bytes as it is by default.
BUDGET = 128 << 20


@dataclass
class Outcome:
    name: str
    bytes: int
    records: int
    seconds: float
    cpu: float
    peak: float
    problem: str | None
    stall: str

    def line(self, limit: float) -> str:
        verdict = self.problem or ("ok" if self.peak < limit else f"OVER {limit:.0f} MiB")
        return (f"{self.name:34} {self.bytes / 1e6:7.0f} MB {self.records:9} records {self.seconds:6.1f} s "
                f"{self.records / max(self.seconds, 0.001):8.0f} records/s {self.cpu:6.1f} CPU s  "
                f"peak {self.peak:5.1f} MiB  {self.stall}{verdict}")


def finish(run: Run, seconds: float, step) -> resource.struct_rusage:
    """Waits for the program as `wait4` does; calls `step` meanwhile."""
    until = time.monotonic() + seconds
    while True:
        process, status, usage = os.wait4(run.process.pid, os.WNOHANG)
        if process:
            run.process.returncode = os.waitstatus_to_exitcode(status)
            return usage
        if time.monotonic() > until:
            run.kill()
            raise RuntimeError(f"did not end within {seconds:.0f} s:\n{run.output[-2000:]}")
        step()
        time.sleep(0.1)


def judged(module: str, *arguments: object) -> str | None:
    """What a comparer in a process of its own finds wrong."""
    done = subprocess.run([sys.executable, "-m", module, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    return None if done.returncode == 0 else f"FAILED: {(done.stdout + done.stderr)[-1000:].strip()}"


def bytes_read(run: Run) -> int:
    """What the process has read from files so far."""
    try:
        return int(Path(f"/proc/{run.process.pid}/io").read_text().split("\n")[0].split()[1])
    except (OSError, IndexError):
        return 0


class Stall:
    """Stalls once, when half is done, and measures how much was read all the same."""

    def __init__(self, seconds: float, half, begin, end=lambda: None, reads_files: bool = True, spools: bool = False):
        self.seconds, self.half, self.begin, self.end = seconds, half, begin, end
        # The next epoch's files wait on disk, within the spool's bound, so the source may go on.
        self.spools = spools
        # /proc does not count what comes from a socket.
        self.reads_files = reads_files
        self.since: float | None = None
        self.is_over = seconds == 0
        self.last_look = 0.0
        self.read = [0, 0]

    def step(self, run: Run) -> None:
        now = time.monotonic()
        if self.is_over or now - self.last_look < 0.5:
            return
        self.last_look = now
        if self.since is None:
            if self.half(run):
                self.since, self.read[0] = now, bytes_read(run)
                self.begin()
        elif now - self.since >= self.seconds:
            self.read[1] = bytes_read(run)
            self.is_over = True
            self.end()

    def report(self) -> str:
        if self.seconds == 0:
            return ""
        if not self.is_over or self.since is None:
            return "NOT STALLED, "
        meanwhile = f" ({self.read_meanwhile / 1e6:.0f} MB read meanwhile)" if self.reads_files else ""
        return f"stalled {self.seconds:.0f} s{meanwhile}, "

    @property
    def read_meanwhile(self) -> int:
        """Bytes; those of spooled files count as well."""
        return self.read[1] - self.read[0] if self.reads_files else 0


class Bench:
    def __init__(self, arguments: argparse.Namespace, folder: Path):
        self.size, self.stall_seconds, self.limit = arguments.megabytes * 1_000_000, arguments.stall, arguments.limit
        self.folder = folder
        self.events = arguments.events_a_table
        self.made: dict[str, inputs.Input] = {}
        self.patience = 120 + self.stall_seconds + arguments.megabytes * 0.6

    def input(self, kind: str) -> inputs.Input:
        if kind not in self.made:
            self.made[kind] = inputs.write(self.folder / f"input.{kind}", kind, self.size)
        return self.made[kind]

    def run(self, name: str, arguments: list[str], environment: dict[str, str], size: int, records: int, stall: Stall,
            check) -> Outcome:
        log = self.folder / f"{name.replace(' ', '-')}.log"
        began = time.monotonic()
        run = Run(["run", *arguments, "--state", str(self.folder / f"state-{name.replace(' ', '-')}")], environment, log)
        try:
            usage = finish(run, self.patience, lambda: stall.step(run))
        finally:
            if run.process.returncode is None:
                run.kill()
            stall.end()
        seconds = time.monotonic() - began
        code = run.process.returncode
        problem = f"FAILED, exit {code}: {run.output[-1500:]}" if code else check()
        if stall.seconds and not stall.spools and stall.read_meanwhile > BUDGET:
            problem = problem or f"FAILED: the source went on, {stall.read_meanwhile} bytes"
        if stall.seconds and not stall.is_over:
            problem = problem or "FAILED: it ended before or in the stall"
        return Outcome(name, size, records, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, problem,
                       stall.report())

    # The paths

    def file_to_file(self, kind: str) -> Outcome:
        given, out, flag = self.input(kind), self.folder / f"out-{kind}", self.folder / "stall"
        out.mkdir()
        flag.unlink(missing_ok=True)
        environment = {}
        if self.stall_seconds:
            library = self.folder / "stall.so"
            subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, Path(__file__).with_name("stall.c"), "-ldl"],
                           check=True)
            environment = {"LD_PRELOAD": str(library), "NEBULA_STALL": str(flag), "NEBULA_STALL_BELOW": str(out)}
        stall = Stall(self.stall_seconds, lambda run: bytes_read(run) > given.bytes / 2, flag.touch,
                      lambda: flag.unlink(missing_ok=True))

        def check() -> str | None:
            records, digest = inputs.digest_of(out)
            if records != given.records:
                return f"FAILED: {records} of {given.records} records"
            return None if digest == given.sha256 else "FAILED: other content"

        outcome = self.run(
            f"{kind} -> file", ["--source", "file", "--set", f"source.path={given.path}", "--dest", "file", "--set",
                                f"destination.path={out}"], environment, given.bytes, given.records, stall, check)
        shutil.rmtree(out)
        return outcome

    def to_snowflake(
            self, stack: Stack, name: str, table: str, arguments: list[str], size: int, records: int, compare) -> Outcome:
        full = f"{DATABASE}.{SCHEMA}.{table}"

        def rows() -> int:
            return stack.snowflake("dump")["tables"].get(full, {"rows": 0})["rows"]

        def is_half_done(run: Run) -> bool:
            # Epochs may be large: a file is half done when half is read, a collection when files of it are staged.
            if name.startswith("file"):
                return bytes_read(run) > size / 2
            try:
                dump = stack.snowflake("dump")
            except OSError:  # a look while the table is being made
                return False
            return sum(map(len, dump["stages"].values())) > 1 or dump["tables"].get(full, {"rows": 0})["rows"] > records / 2

        stall = Stall(self.stall_seconds, is_half_done,
                      lambda: stack.snowflake("stall", {"seconds": self.stall_seconds}),
                      reads_files=name.startswith("file"), spools=True)

        def check() -> str | None:
            found = rows()
            if found != records:
                return f"FAILED: {found} of {records} rows"
            path = stack.export(table, self.folder / f"{table}.parquet")
            try:
                return compare(path)
            finally:
                path.unlink()

        return self.run(name, arguments, stack.environment(table=table), size, records, stall, check)

    def file_to_snowflake(self, kind: str = "jsonl", **properties: object) -> Outcome:
        given = self.input(kind)
        name = " ".join([kind, *map(str, properties.values())])
        with Stack(str(self.folder / f"stack-file-{name.replace(' ', '-')}")) as stack:
            return self.to_snowflake(
                stack, f"file -> snowflake, {name}", "LINES",
                ["--source", "file", "--set", f"source.path={given.path}", "--dest", "snowflake_optimized",
                 *settings(**{f"destination__{key}": value for key, value in properties.items()})], given.bytes,
                given.records, lambda table: judged("Sandbox.contents", "lines", given.path, table))

    def mongo_to_snowflake(self, mode: str = "append") -> Outcome:
        count = self.size // DOCUMENT_BYTES
        with Stack(str(self.folder / f"stack-mongo-{mode}")) as stack:
            def compare(table: Path) -> str | None:
                if mode == "merge":
                    return judged("Sandbox.contents", "merged", table)
                if count > COMPARED:
                    return judged("Sandbox.contents", "changes", table)
                return judged("Sandbox.compare", stack.truth(self.folder / "truth.sqlite"), table, "shop", "orders")

            stack.mongo({"sandboxLoad": "shop.orders", "count": count, "seed": 1, "bytes": DOCUMENT_BYTES, "lazy": True})
            return self.to_snowflake(
                stack, f"mongo -> snowflake, {mode}", "ORDERS",
                ["--source", "mongo", "--dest", "snowflake_optimized", "--until-caught-up",
                 *settings(destination__write_mode=mode)], count * DOCUMENT_BYTES, count, compare)

    def mongo_to_many_tables(self, mode: str) -> Outcome:
        """Each event is one of another collection than the one before; nothing stalls."""
        count = TABLES * self.events
        with Stack(str(self.folder / f"stack-many-{mode}")) as stack:
            stack.mongo({"sandboxGenerate": "shop.orders", "events": count, "seed": 1, "bytes": DOCUMENT_BYTES, "collections": TABLES})
            environment = stack.environment(table="{collection}")
            del environment["MONGO_COLL"]

            def check() -> str | None:
                tables = {name: table["rows"] for name, table in stack.snowflake("dump")["tables"].items() if "NEBULA" not in name}
                wrong = [name for name, rows in tables.items() if rows != self.events]
                if len(tables) != TABLES or wrong:
                    return f"FAILED: {len(tables)} tables, {len(wrong)} of them with other rows, such as {wrong[:1]}"
                for name in sorted(tables)[::TABLES // 20]:
                    path = stack.export(f'"{name.split(".", 2)[2]}"', self.folder / "one.parquet")
                    problem = judged("Sandbox.contents", "changes" if mode == "append" else "merged", path)
                    path.unlink()
                    if problem:
                        return f"{name}: {problem}"
                return None

            return self.run(f"mongo -> {TABLES} tables, {mode}", [
                "--source", "mongo", "--dest", "snowflake_optimized", "--until-caught-up", *FROM_THE_START,
                *settings(destination__write_mode=mode)], environment, count * DOCUMENT_BYTES, count,
                Stall(0, None, None, reads_files=False), check)

    def mongo_to_adls(self) -> Outcome:
        count = self.size // DOCUMENT_BYTES
        with Stack(str(self.folder / "stack-lake"), snowflake=None, azure=[]) as stack:
            stack.mongo({"sandboxGenerate": "shop.orders", "events": count, "seed": 1, "bytes": DOCUMENT_BYTES,
                         "collections": COLLECTIONS})
            environment = stack.adls_environment()
            del environment["MONGO_COLL"]
            stall = Stall(self.stall_seconds, lambda run: lake_bytes(stack) > self.size / 2,
                          lambda: stack.azure("stall", {"seconds": self.stall_seconds}), reads_files=False)

            def check() -> str | None:
                out = self.folder / "lake"
                stack.azure("export", {"filesystem": FILESYSTEM, "prefix": "shop/", "folder": str(out)})
                try:
                    return judged("Sandbox.contents", "lake", out, count)
                finally:
                    shutil.rmtree(out)

            return self.run(f"mongo -> adls, {COLLECTIONS}", [
                "--source", "mongo", "--dest", "adls", "--until-caught-up", *FROM_THE_START], environment,
                count * DOCUMENT_BYTES, count, stall, check)


# Every event that the stand-in has in its log.
FROM_THE_START = settings(source__start="timestamp", source__start_timestamp="1:1")


def lake_bytes(stack: Stack) -> int:
    """What readers of the lake see."""
    return sum(file["length"] for file in stack.azure("files", filesystem=FILESYSTEM, prefix="shop/")["files"])


PATHS = {
    "jsonl-file": lambda bench: bench.file_to_file("jsonl"),
    "csv-file": lambda bench: bench.file_to_file("csv"),
    "file-snowflake": Bench.file_to_snowflake,
    "csv-snowflake": lambda bench: bench.file_to_snowflake("csv"),
    "file-snowflake-parquet": lambda bench: bench.file_to_snowflake(file_format="PARQUET"),
    "mongo-snowflake": Bench.mongo_to_snowflake,
    "mongo-snowflake-merge": lambda bench: bench.mongo_to_snowflake("merge"),
    "mongo-snowflake-many": lambda bench: bench.mongo_to_many_tables("append"),
    "mongo-snowflake-many-merge": lambda bench: bench.mongo_to_many_tables("merge"),
    "mongo-adls": Bench.mongo_to_adls,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=int, default=2000, help="of each input")
    parser.add_argument("--stall", type=float, default=30, help="seconds; 0: none")
    parser.add_argument("--limit", type=float, default=256, help="MiB")
    parser.add_argument("--events-a-table", type=int, default=40, help="where thousands of tables are written")
    parser.add_argument("--folder", help="where inputs, outputs and stand-ins lie")
    parser.add_argument("paths", nargs="*", metavar="PATH", help=", ".join(PATHS))
    arguments = parser.parse_args()
    unknown = set(arguments.paths) - set(PATHS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(PATHS)}")
    over = False
    with tempfile.TemporaryDirectory(prefix="nebula-memory-", dir=arguments.folder) as folder:
        bench = Bench(arguments, Path(folder))
        for name in arguments.paths or PATHS:
            outcome = PATHS[name](bench)
            print(outcome.line(arguments.limit), flush=True)
            over = over or outcome.problem is not None or outcome.peak >= arguments.limit
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
