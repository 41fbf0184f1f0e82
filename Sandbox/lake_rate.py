"""`make lake`: how fast change events go from the MongoDB stand-in into the Azure stand-in, everything on this machine.

    python -m Sandbox.lake_rate [--events 1000000] [--runs 3]

A line a run: events/s, and the CPU seconds of the program and of both stand-ins. The files are read back, and every event
must stand there once.
"""
import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from .memory import FROM_THE_START, finish, judged
from .program import Run, settings
from .stack import FILESYSTEM, Stack

WAYS = {"rolling": {}, "rolling, gzip": {"compression": "gzip"}, "rolling, zstd": {"compression": "zstd"},
        "files, gzip": {"layout": "files", "compression": "gzip"}}


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(name: str, events: int, folder: Path) -> tuple[float, bool]:
    with Stack(str(folder / "stack"), snowflake=None, azure=[]) as stack:
        stack.mongo({"sandboxGenerate": "shop.orders", "events": events, "bytes": 500, "seed": 3})
        before = [cpu_seconds(child.pid) for child in stack.children]
        began = time.monotonic()
        run = Run(["run", "--source", "mongo", "--dest", "adls", "--state", str(folder / "state"), "--until-caught-up", *FROM_THE_START,
                   *settings(**{f"destination__{key}": value for key, value in WAYS[name].items()})],
                  stack.adls_environment(), folder / "log")
        usage = finish(run, 600, lambda: None)
        seconds = time.monotonic() - began
        mongo, azure = (cpu_seconds(child.pid) - first for child, first in zip(stack.children, before))
        stack.azure("export", {"filesystem": FILESYSTEM, "prefix": "shop/", "folder": str(folder / "lake")})
        problem = f"exit {run.process.returncode}: {run.output[-1000:]}" if run.process.returncode else judged(
            "Sandbox.contents", "lake", folder / "lake", events)
    own = usage.ru_utime + usage.ru_stime
    print(f"{name:14} {events} events in {seconds:5.2f} s = {events / seconds:7.0f}/s; CPU seconds a million events: program "
          f"{own / events * 1e6:.2f}, MongoDB stand-in {mongo / events * 1e6:.2f}, Azure stand-in {azure / events * 1e6:.2f}; "
          f"peak {usage.ru_maxrss / 1024:.0f} MiB; {problem or 'each event once'}", flush=True)
    return events / seconds, problem is None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; documents of 500 bytes")
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    good = True
    for _ in range(given.runs):
        for name in WAYS:
            with tempfile.TemporaryDirectory(prefix="nebula-lake-") as folder:
                rate, is_good = measure(name, given.events, Path(folder))
            rates[name].append(rate)
            good = good and is_good
    for name, found in rates.items():
        print(f"{name:14} median {statistics.median(found):.0f} events/s, {min(found):.0f} to {max(found):.0f}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
