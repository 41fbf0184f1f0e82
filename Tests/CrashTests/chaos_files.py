"""`make chaos`, second part: a million rows of CSV to JSON Lines under random SIGKILLs, then compared row by row, in order."""
import argparse
import sys
import tempfile
from pathlib import Path

from .files import FileToFile


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nebula-chaos-") as folder:
        scenario = FileToFile(Path(folder), records=given.rows, files=5, seed=given.seed, epoch_records=2000)
        phases = scenario.random_kills(given.kills, mean=0.15)
        scenario.must_be_equal(600)
    print(f"file -> file: seed {given.seed}, {phases.total()} SIGKILLs by phase:")
    for phase, count in phases.most_common():
        print(f"  {count:4} after {phase}")
    print(f"rows {given.rows} equal, in order")
    return 0


if __name__ == "__main__":
    sys.exit(main())
