"""`make chaos KILLS=n SEED=s`: random SIGKILLs under lost answers, late COMMITs, 5xx and server faults, then by content.

Prints how many kills met each phase (the named point the process had passed last).
"""
import argparse
import random
import sys
import time
from collections import Counter

from Sandbox.program import wait_until
from Sandbox.stack import Stack

from .scenario import MongoToSnowflake

# In the order in which a run meets them: the copy's first, while there is still something to copy.
NAMED_POINTS = [
    "mid-snapshot", "after-upload", "before-intent", "after-intent", "before-commit", "before-commit-statement",
    "after-commit-statement", "after-commit", "before-receipt", "after-receipt", "snapshot-handoff",
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


def random_kills(
    stack: Stack, kills: int, seed: int, documents: int = 20_000, rate: float = 800, named: bool = False
) -> tuple[Counter, object]:
    """Kills one pipeline `kills` times at random moments, and with `named` first once at each named point; gives the
    count per phase and the comparison."""
    chance = random.Random(seed)
    scenario = MongoToSnowflake(stack, f"random_{seed}", seed=seed, documents=documents, rate=rate)
    scenario.change()
    for point in NAMED_POINTS if named else []:
        scenario.dies_at(point)
        print(f"died by SIGKILL at {point}", flush=True)
    phases: Counter = Counter()
    while phases.total() < kills:
        stack.snowflake("faults", [
            fault | {"nth": chance.randint(1, 12)} for fault in chance.sample(SNOWFLAKE_FAULTS, chance.randint(0, 3))])
        stack.mongo({"sandboxFaults": [
            fault | {"at": chance.randint(1, 8)} for fault in chance.sample(MONGO_FAULTS, chance.randint(0, 2))]})
        run = scenario.start()
        # From its first named point on: a process that has not begun has nothing to lose.
        wait_until(lambda: scenario.last_point, 60, "the first named point", run)
        time.sleep(chance.expovariate(1 / 0.8))
        if not run.is_running:
            raise AssertionError(f"the program gave up (exit {run.process.returncode}):\n{run.output[-4000:]}")
        run.kill()
        phases[scenario.last_point] += 1
    stack.snowflake("faults", [])
    stack.mongo({"sandboxFaults": []})
    return phases, scenario.finish(300)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with Stack(snowflake=["--set", "blocking_idle_seconds=2"]) as stack:
        phases, result = random_kills(stack, given.kills, given.seed, named=True)
    print(f"mongo -> snowflake_optimized: seed {given.seed}, {phases.total()} SIGKILLs by phase:")
    for phase, count in phases.most_common():
        print(f"  {count:4} after {phase}")
    for example in result.examples:
        print(example)
    print(result)
    return 0 if result.is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
