"""`make chaos`, second part: a million rows of CSV to JSON Lines under random SIGKILLs and zombies, then compared row by row, in order."""
import argparse
import random
import shutil
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


class Copies:
    """One copy after the other: when all rows of one are moved before the last kill, it is compared and the next begins."""

    def __init__(self, folder: Path, rows: int, seed: int):
        self.folder, self.rows, self.seed, self.equal, self.is_aiming = folder, rows, seed, 0, False
        self.begin()

    def begin(self) -> None:
        self.scenario = FileToFile(
            self.folder / str(self.equal), records=self.rows, files=5, seed=self.seed + self.equal, epoch_records=2000)

    def end(self) -> None:
        self.scenario.must_be_equal(600)
        self.equal += 1
        shutil.rmtree(self.scenario.folder)

    def kill(self) -> str:
        while (phase := self.scenario.random_kill(mean=0.15)) is None:
            self.end()
            self.begin()
        return phase

    def aim(self, phase: str, occurrence: int) -> None:
        if not self.is_aiming:
            # What is left of the last copy may be less than what this takes.
            self.end()
            self.begin()
            self.is_aiming = True
        self.scenario.dies_at(phase, occurrence)

    def take_turns(self) -> str:
        """One process stalls, another takes over and is killed, and the first wakes; gives the phase of the kill."""
        point = self.scenario.chance.choice(STALLS)
        stalled = stall(self.scenario, point, self.scenario.chance.randint(1, 3))
        take_over(self.scenario).kill()
        phase = self.scenario.last_point
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
        copies = Copies(Path(folder), given.rows, given.seed)
        phases = Counter(copies.take_turns() for _ in range(max(1, given.kills // 10)))
        phases += Counter(copies.kill() for _ in range(given.kills - phases.total()))
        # Few at random: every one of them moves rows, which come to an end.
        aimed = meet_all(phases, PHASES, copies.kill, copies.aim, random.Random(given.seed), more=5)
        copies.end()
    report("file -> file", given.seed, phases, aimed)
    print(f"rows {given.rows} equal, in order" + (f", in each of {copies.equal} copies" if copies.equal > 1 else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
