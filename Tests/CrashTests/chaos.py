"""`make chaos KILLS=n SEED=s`: random SIGKILLs and zombies under lost answers, late COMMITs, 5xx and server faults, then
compared by content.

Prints how many kills met each phase (the named point the process had passed last), and goes on until each was met.
"""
import argparse
import random
import sys
import time
from collections import Counter

from Sandbox.compare import Result
from Sandbox.program import Run, wait_until
from Sandbox.stack import Stack

from .phases import STALLS, meet_all, report, stall, take_over, wake
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
    """One pipeline under random kills, zombies and faults of both stand-ins."""

    def __init__(self, stack: Stack, seed: int, documents: int = 20_000, rate: float = 800):
        self.stack, self.chance = stack, random.Random(seed)
        self.scenario = MongoToSnowflake(stack, f"random_{seed}", seed=seed, documents=documents, rate=rate)
        self.scenario.change()

    def new_faults(self) -> None:
        chance = self.chance
        self.stack.snowflake("faults", [
            fault | {"nth": chance.randint(1, 12)} for fault in chance.sample(SNOWFLAKE_FAULTS, chance.randint(0, 3))])
        self.stack.mongo({"sandboxFaults": [
            fault | {"at": chance.randint(1, 8)} for fault in chance.sample(MONGO_FAULTS, chance.randint(0, 2))]})

    def no_faults(self) -> None:
        self.stack.snowflake("faults", [])
        self.stack.mongo({"sandboxFaults": []})

    def kill(self) -> str:
        """Kills a run at a random moment; gives the phase that it met."""
        self.new_faults()
        run = self.scenario.start()
        # From its first named point on: a process that has not begun has nothing to lose.
        wait_until(lambda: self.scenario.last_point, 60, "the first named point", run)
        return self.kill_soon(run)

    def kill_soon(self, run: Run) -> str:
        time.sleep(self.chance.expovariate(1 / 0.8))
        if not run.is_running:
            raise AssertionError(f"the program gave up (exit {run.process.returncode}):\n{run.output[-4000:]}")
        run.kill()
        return self.scenario.last_point

    def aim(self, phase: str, occurrence: int) -> None:
        self.new_faults()
        self.scenario.dies_at(phase, occurrence, 120)

    def zombie(self) -> str:
        """One process stalls, another takes over, the first wakes, and the second is killed; gives that one's phase."""
        self.new_faults()
        point = self.chance.choice(STALLS)
        stalled = stall(self.scenario, point, self.chance.randint(1, 3))
        heir = take_over(self.scenario)
        wake(stalled)
        print(f"a zombie stalled at {point}, was taken over, woke and was fenced", flush=True)
        return self.kill_soon(heir)


def random_kills(
    stack: Stack, kills: int, seed: int, documents: int = 20_000, rate: float = 800, thorough: bool = False
) -> tuple[Counter, Counter, Result]:
    """Kills one pipeline `kills` times at random moments. If it has to be thorough, first once at each named point, with a
    zombie in every ten kills, and until every phase of an epoch was met. Gives the counts per phase and the comparison."""
    chaos = Chaos(stack, seed, documents, rate)
    for point in NAMED_POINTS if thorough else []:
        chaos.scenario.dies_at(point)
        print(f"died by SIGKILL at {point}", flush=True)
    phases, aimed = Counter(), Counter()
    for number in range(kills):
        phases[chaos.zombie() if thorough and number % 10 == 0 else chaos.kill()] += 1
    if thorough:
        aimed = meet_all(phases, PHASES, chaos.kill, chaos.aim, chaos.chance, more=2 * len(PHASES))
    chaos.no_faults()
    return phases, aimed, chaos.scenario.finish(300)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with Stack(snowflake=["--set", "blocking_idle_seconds=2"]) as stack:
        phases, aimed, result = random_kills(stack, given.kills, given.seed, thorough=True)
    report("mongo -> snowflake_optimized", given.seed, phases, aimed)
    for example in result.examples:
        print(example)
    print(result)
    return 0 if result.is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
