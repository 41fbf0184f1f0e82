"""`make memory`: the peak memory of whole pipelines at default settings, with the destination stalled in the middle.

    python -m Sandbox.memory [--megabytes 2000] [--stall 30] [--limit 256] [--folder DIR] [PATH…]

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
        return (f"{self.name:21} {self.bytes / 1e6:7.0f} MB {self.records:9} records {self.seconds:6.1f} s "
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

    def __init__(self, seconds: float, half, begin, end=lambda: None, reads_files: bool = True):
        self.seconds, self.half, self.begin, self.end = seconds, half, begin, end
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
        if stall.seconds and stall.read_meanwhile > BUDGET:
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
            try:
                return rows() > records / 2
            except OSError:  # a look while the table is being made
                return False

        stall = Stall(self.stall_seconds, is_half_done,
                      lambda: stack.snowflake("stall", {"seconds": self.stall_seconds}),
                      reads_files=name.startswith("file"))

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

    def file_to_snowflake(self) -> Outcome:
        given = self.input("jsonl")
        with Stack(str(self.folder / "stack-file")) as stack:
            return self.to_snowflake(
                stack, "file -> snowflake", "LINES",
                ["--source", "file", "--set", f"source.path={given.path}", "--dest", "snowflake_optimized"], given.bytes,
                given.records, lambda table: judged("Sandbox.contents", "lines", given.path, table))

    def mongo_to_snowflake(self) -> Outcome:
        count = self.size // DOCUMENT_BYTES
        with Stack(str(self.folder / "stack-mongo")) as stack:
            def compare(table: Path) -> str | None:
                if count > COMPARED:
                    return judged("Sandbox.contents", "changes", table)
                return judged("Sandbox.compare", stack.truth(self.folder / "truth.sqlite"), table, "shop", "orders")

            stack.mongo({"sandboxLoad": "shop.orders", "count": count, "seed": 1, "bytes": DOCUMENT_BYTES, "lazy": True})
            return self.to_snowflake(
                stack, "mongo -> snowflake", "ORDERS",
                ["--source", "mongo", "--dest", "snowflake_optimized", "--until-caught-up"],
                count * DOCUMENT_BYTES, count, compare)

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
    "mongo-snowflake": Bench.mongo_to_snowflake,
    "mongo-adls": Bench.mongo_to_adls,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=int, default=2000, help="of each input")
    parser.add_argument("--stall", type=float, default=30, help="seconds; 0: none")
    parser.add_argument("--limit", type=float, default=256, help="MiB")
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
