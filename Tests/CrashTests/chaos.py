"""`make chaos KILLS=n SEED=s`: random SIGKILLs and zombies under lost answers, late COMMITs, 5xx and server faults, then
compared by content.

Prints how many kills met each phase (the named point the process had passed last), and goes on until each was met.
"""
import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable

from Sandbox.compare import Result
from Sandbox.program import Run, wait_until
from Sandbox.stack import Stack

from .phases import STALLS, meet_all, report, stall, take_over, wake
from .mongo_scenario import MongoScenario
from .scenario import MongoToSnowflake

# In the order in which a run meets them: the copy's first, while there is still something to copy.
NAMED_POINTS = [
    "mid-snapshot", "after-upload", "before-intent", "after-intent", "before-commit", "before-commit-statement",
    "after-commit-statement", "after-commit", "before-receipt", "after-receipt", "snapshot-handoff",
]
# From the first write to the receipt, and behind it.
PHASES = [
    "after-upload", "before-intent", "after-intent", "before-commit", "before-commit-statement", "after-commit-statement",
    "after-commit", "before-receipt", "after-receipt",
]

SNOWFLAKE_FAULTS = [
    {"sql": "^COMMIT", "action": "apply_close"}, {"sql": "^COMMIT", "action": "late", "delay_ms": 400},
    {"sql": "^COMMIT", "action": "close"}, {"sql": "^COPY", "action": "apply_close"},
    {"sql": "^COPY", "action": "status", "status": 503, "times": 2}, {"sql": "^UPDATE", "action": "apply_close"},
    {"sql": "^INSERT", "action": "status", "status": 502}, {"path": "query-request", "action": "expire"},
    {"path": "query-request", "action": "truncate", "keep": 20}, {"path": "query-request", "action": "slow", "delay_ms": 300},
    {"service": "s3", "action": "status", "status": 503, "times": 2}, {"service": "s3", "action": "apply_close"},
    {"sql": "^(COPY|INSERT|COMMIT)", "action": "kill"},
]
MONGO_FAULTS = [
    {"command": "streamGetMore", "code": 91}, {"command": "streamGetMore", "close": "before"},
    {"command": "streamGetMore", "close": "after"}, {"command": "streamGetMore", "kill_cursor": True},
    {"command": "streamGetMore", "stepdown": True}, {"command": "streamGetMore", "partial": True},
    {"command": "scanGetMore", "close": "after"}, {"command": "find", "code": 91}, {"command": "changeStream", "close": "before"},
]


class Chaos:
    """One pipeline under random kills, zombies and faults of the stand-ins; `set_faults` is given the chance, or None for
    no faults at all."""
    # Where a zombie may stall.
    stalls = STALLS

    def __init__(self, scenario: MongoScenario, seed: int, set_faults: Callable[[random.Random | None], None]):
        self.scenario, self.chance, self.set_faults = scenario, random.Random(seed), set_faults
        self.scenario.change()

    def kill(self) -> str:
        """Kills a run at a random moment; gives the phase that it met."""
        self.set_faults(self.chance)
        run = self.scenario.start()
        # From its first named point on: a process that has not begun has nothing to lose.
        wait_until(lambda: self.scenario.last_point, 150, "the first named point", run)
        return self.kill_soon(run)

    def kill_soon(self, run: Run) -> str:
        time.sleep(self.chance.expovariate(1 / 0.8))
        if not run.is_running:
            raise AssertionError(f"the program gave up (exit {run.process.returncode}):\n{run.output[-4000:]}")
        run.kill()
        return self.scenario.last_point

    def aim(self, phase: str, occurrence: int) -> None:
        self.set_faults(self.chance)
        self.scenario.dies_at(phase, occurrence, 120)

    def zombie(self) -> str:
        """One process stalls, another takes over, the first wakes, and the second is killed; gives that one's phase."""
        self.set_faults(self.chance)
        point = self.chance.choice(self.stalls)
        stalled = stall(self.scenario, point, self.chance.randint(1, 3))
        heir = take_over(self.scenario)
        wake(stalled)
        print(f"a zombie stalled at {point}, was taken over, woke and was fenced", flush=True)
        return self.kill_soon(heir)

    def run(self, kills: int, named: list[str] = (), phases: list[str] = (), seconds: float = 300,
            more: int | None = None) -> tuple[Counter, Counter, Result]:
        """Kills the pipeline `kills` times at random moments. With `named`, first once at each of these points, and with a
        zombie in every ten kills; with `phases`, until each of them was met: by `more` kills at random moments, then by
        aimed ones. Gives the counts per phase, random and aimed, and the comparison."""
        for point in named:
            self.scenario.dies_at(point)
            print(f"died by SIGKILL at {point}", flush=True)
        met: Counter = Counter()
        for number in range(kills):
            met[self.zombie() if named and number % 10 == 0 else self.kill()] += 1
        more = 2 * len(phases) if more is None else more
        aimed = meet_all(met, list(phases), self.kill, self.aim, self.chance, more)
        self.set_faults(None)
        return met, aimed, self.scenario.finish(seconds)


def mongo_faults(stack: Stack, chance: random.Random | None, most: int = 2) -> None:
    stack.mongo({"sandboxFaults": [] if chance is None else [
        fault | {"at": chance.randint(1, 8)} for fault in chance.sample(MONGO_FAULTS, chance.randint(0, most))]})


def to_snowflake(stack: Stack, seed: int, documents: int = 20_000, rate: float = 800) -> Chaos:
    def set_faults(chance: random.Random | None) -> None:
        stack.snowflake("faults", [] if chance is None else [
            fault | {"nth": chance.randint(1, 12)} for fault in chance.sample(SNOWFLAKE_FAULTS, chance.randint(0, 3))])
        mongo_faults(stack, chance)
    return Chaos(MongoToSnowflake(stack, f"random_{seed}", seed=seed, documents=documents, rate=rate), seed, set_faults)


def say(what: str, seed: int, phases: Counter, aimed: Counter, result: Result) -> bool:
    report(what, seed, phases, aimed)
    for example in result.examples:
        print(example)
    print(result, flush=True)
    return result.is_equal


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with Stack(snowflake=["--set", "blocking_idle_seconds=2"]) as stack:
        outcome = to_snowflake(stack, given.seed).run(given.kills, NAMED_POINTS, PHASES)
    return 0 if say("mongo -> snowflake_optimized", given.seed, *outcome) else 1


if __name__ == "__main__":
    sys.exit(main())
