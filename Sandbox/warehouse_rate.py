"""`make warehouse`: our program loading the Snowflake stand-in, beside Snowflake's own connector and DuckDB.

    python -m Sandbox.warehouse_rate [--rows 3000000] [--documents 500000] [--rounds 3] [--only TEXT…] [--folder DIR]

All from the same uncompressed files, in turns. Our program and the connector (PUT of as many files as our program staged,
then one COPY) load the same columns of the same types; DuckDB writes compressed files and uploads nothing; the floor is compressing,
hashing and encrypting alone, which no client can do without. Seconds are from
the client's start to its end, CPU and peak memory the client's own (`wait4`). What the stand-in needs is told beside it: it
runs on the same cores, so it takes from the clients' seconds, though not from their CPU seconds. Tables and files are
compared with the input by content after each run.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .lake_rate import cpu_seconds
from .memory import judged
from .program import PROGRAM, Run, settings
from .stack import DATABASE, PASSWORD, ROOT, SCHEMA, USER, Stack
from .warehouse_inputs import COLUMNS

# Our ways: properties beyond the defaults. The connector's: its gzip level; None leaves it as it is (9).
OURS = {
    "csv": {"ours, CSV GZIP (default)": {}, "ours, CSV GZIP 9": {"compression_type": "GZIP", "compression_level": 9},
            "ours, PARQUET": {"file_format": "PARQUET"}},
    "json": {"ours, JSON ZSTD": {"file_format": "JSON"},
             "ours, JSON GZIP": {"file_format": "JSON", "compression_type": "GZIP"},
             "ours, JSON GZIP 9": {"file_format": "JSON", "compression_type": "GZIP", "compression_level": 9},
             "ours, CSV GZIP (default)": {}, "ours, PARQUET": {"file_format": "PARQUET"}},
}
PEERS = {"connector, GZIP 9 (its own)": None, "connector, GZIP 1": 1}
DUCKDB = "DuckDB, gzip, files only"
FLOOR = "floor of GZIP 1"


@dataclass
class Figures:
    seconds: float
    cpu: float
    peak: float
    copy: float = 0
    server: float = 0
    files: int = 0
    bytes: int = 0
    problem: str | None = None


def finished(process: subprocess.Popen, limit: float = 1800):
    until = time.monotonic() + limit
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage
        if time.monotonic() > until:
            process.kill()
            raise RuntimeError("a client did not end")
        time.sleep(0.01)


def measured(start, log) -> tuple[Figures, int, str]:
    began = time.monotonic()
    process = start()
    usage = finished(process)
    return (Figures(time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024), process.returncode, log())


class Bench:
    def __init__(self, kind: str, path: Path, folder: Path):
        self.kind, self.path, self.folder = kind, path, folder
        self.parts: Path | None = None
        self.number = 0

    def columns(self) -> str:
        return ", ".join(f"{name}: '{kinds[0]}'" for name, kinds in COLUMNS[self.kind].items())

    def stack(self) -> Stack:
        self.number += 1
        return Stack(str(self.folder / f"stack-{self.kind}-{self.number}"), mongo=None)

    def loaded(self, stack: Stack, before: float, figures: Figures, table: str) -> None:
        """What the stand-in did, and whether the table is right."""
        figures.server = cpu_seconds(stack.children[0].pid) - before
        queries = stack.snowflake("queries", last="5000")["queries"]
        figures.copy = sum(q["ended"] - q["started"] for q in queries if q["sql"].startswith("COPY INTO") and q["ended"])
        dump = stack.snowflake("dump")
        figures.files = figures.files or len([one for one in dump["loads"] if one["table"].endswith(f".{table}")])
        path = stack.export(table, self.folder / f"{table}.parquet")
        figures.problem = judged("Sandbox.warehouse_peers", "compare", self.kind, self.path, path)
        path.unlink()

    def ours(self, given: dict) -> Figures:
        table = f"OURS_{self.kind.upper()}"
        with self.stack() as stack:
            log, before = self.folder / "log", cpu_seconds(stack.children[0].pid)
            log.unlink(missing_ok=True)
            state = Path(stack.folder) / "state"
            environment = stack_environment(stack, table)
            arguments = ["run", "--source", "file", "--dest", "snowflake_optimized", "--state", str(state), *settings(
                source__path=self.path, destination__columns="{" + self.columns() + "}",
                **{f"destination__{name}": value for name, value in given.items()})]
            figures, code, said = measured(lambda: Run(arguments, environment, log).process, lambda: log.read_text(errors="replace"))
            if code:
                raise RuntimeError(f"exit {code}: {said[-1500:]}")
            self.loaded(stack, before, figures, table)
        if self.parts is None:
            self.parts = self.folder / f"parts-{self.kind}"
            subprocess.run([sys.executable, "-m", "Sandbox.warehouse_inputs", "split", str(self.path), str(figures.files),
                            str(self.parts)], cwd=ROOT, check=True)
        return figures

    def connector(self, level: int | None) -> Figures:
        table = f"PEER_{self.kind.upper()}"
        with self.stack() as stack:
            given = {"port": stack.snowflake_port, "user": USER, "password": PASSWORD, "database": DATABASE, "schema": SCHEMA,
                     "kind": self.kind, "table": table, "folder": str(self.parts), "level": level}
            subprocess.run([sys.executable, "-m", "Sandbox.warehouse_peers", "prepare", json.dumps(given)], cwd=ROOT, check=True)
            figures = self.child(["connector", json.dumps(given)], lambda: cpu_seconds(stack.children[0].pid))
            self.loaded(stack, figures.server, figures, table)
        return figures

    def duckdb(self, _) -> Figures:
        out = Path(tempfile.mkdtemp(dir=self.folder)) / "out"
        figures = self.child(["duckdb", self.kind, str(self.path), str(out)])
        files = list(out.rglob("*.gz"))
        figures.files, figures.bytes = len(files), sum(file.stat().st_size for file in files)
        figures.problem = figures.problem or judged("Sandbox.warehouse_peers", "compare", self.kind, self.path, out)
        return figures

    def floor(self, _) -> Figures:
        return self.child(["floor", str(self.path)])

    def child(self, arguments: list[str], before=lambda: 0.0) -> Figures:
        log = self.folder / "peer.log"
        start = before()
        with open(log, "wb") as out:
            figures, code, said = measured(lambda: subprocess.Popen(
                [sys.executable, "-m", "Sandbox.warehouse_peers", *arguments], cwd=ROOT, stdout=out, stderr=out,
                stdin=subprocess.DEVNULL), lambda: log.read_text(errors="replace"))
        figures.server = start
        if code:
            raise RuntimeError(f"exit {code}: {said[-1500:]}")
        elif arguments[0] in ("connector", "floor"):
            answer = json.loads(said.strip().splitlines()[-1])
            figures.files, figures.bytes, figures.cpu = answer["files"], answer["bytes"], answer.get("cpu", figures.cpu)
        return figures

    def ways(self) -> dict:
        ours = {name: (self.ours, given) for name, given in OURS[self.kind].items()}
        return ours | {name: (self.connector, level) for name, level in PEERS.items()} | {DUCKDB: (self.duckdb, None), FLOOR: (self.floor, None)}


def stack_environment(stack: Stack, table: str) -> dict[str, str]:
    return {
        "SNOWFLAKE_HOST": stack.snowflake_url, "SNOWFLAKE_ACCOUNT": "sandbox", "SNOWFLAKE_USER": USER,
        "SNOWFLAKE_PASSWORD": PASSWORD, "SNOWFLAKE_DATABASE": DATABASE, "SNOWFLAKE_SCHEMA": SCHEMA,
        "SNOWFLAKE_WAREHOUSE": "LOAD_WH", "SNOWFLAKE_TABLE": table,
    }


def machine() -> str:
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return f"{os.cpu_count()} × {model}"


def versions() -> str:
    import importlib.metadata as installed

    ours = subprocess.run([str(PROGRAM), "--version"], capture_output=True, text=True).stdout.strip()
    return (f"{ours}, snowflake-connector-python {installed.version('snowflake-connector-python')}, "
            f"DuckDB {installed.version('duckdb')}, Python {sys.version.split()[0]}")


def spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def table(kind: str, records: int, size: int, found: dict[str, list[Figures]]) -> None:
    print(f"\n{records} records, {size / records:.0f} bytes each, {kind}; median (least–most)")
    print(f"{'':28} {'rows/s':>26} {'CPU s / M rows':>20} {'rows / CPU s':>13} {'peak MiB':>9} {'stand-in: CPU s':>15} {'COPY s':>7} {'files':>5}")
    for name, runs in found.items():
        cpu = statistics.median(run.cpu for run in runs)
        print(f"{name:28} {spread([records / run.seconds for run in runs], ',.0f'):>26} "
              f"{spread([run.cpu / records * 1e6 for run in runs], '.2f'):>20} {records / cpu:>13,.0f} "
              f"{max(run.peak for run in runs):>9.0f} {statistics.median(run.server for run in runs):>15.1f} "
              f"{statistics.median(run.copy for run in runs):>7.1f} {runs[-1].files:>5}")
    ours = {name: records / statistics.median(run.cpu for run in runs) for name, runs in found.items() if name.startswith("ours")}
    if FLOOR in found:
        ours["      " + FLOOR] = records / statistics.median(run.cpu for run in found[FLOOR])
    for name, runs in found.items():
        if name.startswith("connector"):
            theirs = records / statistics.median(run.cpu for run in runs)
            print(f"rows a CPU second, times those of the {name}: " + ", ".join(f"{own[6:]} {rate / theirs:.1f}" for own, rate in ours.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--documents", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], help="ways whose names hold one of these")
    parser.add_argument("--kinds", nargs="*", default=["csv", "json"])
    parser.add_argument("--folder")
    given = parser.parse_args()
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}; {versions()}", flush=True)
    good = True
    with tempfile.TemporaryDirectory(prefix="nebula-warehouse-", dir=given.folder) as name:
        for kind in given.kinds:
            records = given.rows if kind == "csv" else given.documents
            path = Path(name) / f"input.{'csv' if kind == 'csv' else 'jsonl'}"
            subprocess.run([sys.executable, "-m", "Sandbox.warehouse_inputs", kind, str(records), str(path)], cwd=ROOT, check=True)
            bench = Bench(kind, path, Path(name))
            ways = {way: how for way, how in bench.ways().items() if not given.only or any(part in way for part in given.only)}
            found: dict[str, list[Figures]] = {way: [] for way in ways}
            for number in range(given.rounds):
                for way, (how, what) in ways.items():
                    figures = how(what)
                    found[way].append(figures)
                    good = good and figures.problem is None
                    print(f"round {number + 1}, load {os.getloadavg()[0]:4.1f}: {way:28} {figures.seconds:6.1f} s "
                          f"{records / figures.seconds:9,.0f} rows/s {figures.cpu:6.2f} CPU s, peak {figures.peak:4.0f} MiB; "
                          f"{figures.problem or 'equal'}", flush=True)
            table(kind, records, path.stat().st_size, found)
            path.unlink()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
