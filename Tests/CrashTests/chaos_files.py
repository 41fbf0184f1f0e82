"""`make chaos`, second part: a million rows of CSV to JSON Lines under random SIGKILLs and zombies, then compared row by row, in order."""
import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from .files import FileToFile
from .phases import STALLS, meet_all, report, stall, take_over, wake


PHASES = [
    "after-upload", "before-intent", "after-intent", "before-commit", "mid-publish", "after-publish", "after-commit",
    "before-receipt", "after-receipt",
]


def take_turns(scenario: FileToFile) -> str:
    """One process stalls, another takes over and is killed, and the first wakes; gives the phase of the kill."""
    point = scenario.chance.choice(STALLS)
    stalled = stall(scenario, point, scenario.chance.randint(1, 3))
    take_over(scenario).kill()
    phase = scenario.last_point
    wake(stalled)
    print(f"a zombie stalled at {point}, was taken over, woke and was fenced", flush=True)
    return phase


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nebula-chaos-") as folder:
        scenario = FileToFile(Path(folder), records=given.rows, files=5, seed=given.seed, epoch_records=2000)
        phases = Counter(take_turns(scenario) for _ in range(max(1, given.kills // 10)))
        phases += Counter(scenario.random_kill(mean=0.15) for _ in range(given.kills - phases.total()))
        # Few at random: every one of them moves rows, which come to an end.
        aimed = meet_all(phases, PHASES, lambda: scenario.random_kill(mean=0.15), scenario.dies_at, scenario.chance, more=5)
        scenario.must_be_equal(600)
    report("file -> file", given.seed, phases, aimed)
    print(f"rows {given.rows} equal, in order")
    return 0


if __name__ == "__main__":
    sys.exit(main())
