"""`make compression`: what the formats and compressions of staged files cost, by the real program.

    python -m Sandbox.compression [--rows 1000000] [--documents 200000] [--rounds 3] [--folder DIR]

Prints the table of docs/connectors/snowflake_optimized.md. MB/s are those of the input, per CPU second of the whole program:
reading, checking, encoding, compressing, hashing, encrypting and uploading; NONE shows what remains without a codec. The
ratio is the input's size to that of the staged files.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from .program import Run, settings
from .stack import ROOT
from .warehouse_rate import Bench, machine, measured, stack_environment

WAYS = {
    "csv": [("CSV", "NONE", None), ("CSV", "GZIP", 1), ("CSV", "GZIP", 6), ("CSV", "ZSTD", 1), ("CSV", "ZSTD", 3), ("CSV", "ZSTD", 9),
            ("PARQUET", "SNAPPY", None), ("PARQUET", "ZSTD", 1)],
    "json": [("JSON", "NONE", None), ("JSON", "GZIP", 1), ("JSON", "GZIP", 6), ("JSON", "ZSTD", 1), ("JSON", "ZSTD", 3), ("JSON", "ZSTD", 9),
             ("PARQUET", "SNAPPY", None), ("PARQUET", "ZSTD", 1)],
}
NAMES = {"csv": "CSV rows of 80 bytes", "json": "JSON documents of 500 bytes"}


def run(bench: Bench, way: tuple) -> tuple[float, int]:
    """CPU seconds and staged bytes."""
    form, codec, level = way
    given = {"file_format": form, "compression_type": codec} | ({} if level is None else {"compression_level": level})
    with bench.stack() as stack:
        log = bench.folder / "log"
        log.unlink(missing_ok=True)
        arguments = ["run", "--source", "file", "--dest", "snowflake_optimized", "--json", "--state", str(stack.folder / "state"),
                     *settings(source__path=bench.path, destination__columns="{" + bench.columns() + "}",
                               **{f"destination__{name}": value for name, value in given.items()})]
        figures, code, said = measured(lambda: Run(arguments, stack_environment(stack, "T"), log).process, log.read_text)
        if code:
            raise RuntimeError(said[-2000:])
        summary = next(one for one in map(json.loads, said.splitlines()) if one["type"] == "summary")
    return figures.cpu, summary["bytes_written"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder")
    given = parser.parse_args()
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}, median of {given.rounds} rounds in turns\n", file=sys.stderr)
    print("| input | format | compression | MB/s a core | ratio |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="nebula-compression-", dir=given.folder) as name:
        for kind, ways in WAYS.items():
            path = Path(name) / f"input.{'csv' if kind == 'csv' else 'jsonl'}"
            subprocess.run([sys.executable, "-m", "Sandbox.warehouse_inputs", kind, str(given.rows if kind == "csv" else given.documents),
                            str(path)], cwd=ROOT, check=True)
            size, bench = path.stat().st_size, Bench(kind, path, Path(name))
            found: dict[tuple, list[tuple[float, int]]] = {way: [] for way in ways}
            for _ in range(given.rounds):
                for way in ways:
                    found[way].append(run(bench, way))
            for (form, codec, level), runs in found.items():
                cpu = statistics.median(cpu for cpu, _ in runs)
                print(f"| {NAMES[kind]} | {form} | {codec}{'' if level is None else f' {level}'} | {size / cpu / 1e6:.0f} | "
                      f"{size / runs[0][1]:.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
