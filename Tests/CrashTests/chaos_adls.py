"""`make chaos KILLS=n SEED=s`: mongo -> adls under random SIGKILLs with lost requests, lost answers and 503s, layouts
rolling and files, and 200 collections at once; then by content. Prints how many kills met each phase.
"""
import argparse
import random
import sys
import time
from collections import Counter

from Sandbox.program import wait_until
from Sandbox.stack import Stack

from .chaos import MONGO_FAULTS
from .lake import MongoToLake
from .test_adls import POINTS

AZURE_FAULTS = [
    {"operation": operation, "action": action, **more}
    for operation in ("create", "append", "flush", "lease", "blob_put", "properties", "list", "rename", "delete", "read")
    for action, more in (("close", {}), ("apply_close", {}), ("late", {"delay_ms": 300}),
                         ("status", {"status": 503, "code": "ServerBusy", "retry_after": 0, "times": 2}),
                         ("apply_status", {"status": 500, "code": "OperationTimedOut"}))
]


def random_kills(stack: Stack, kills: int, seed: int, layout: str, collections: int = 1, named: bool = False,
                 documents: int = 12_000) -> tuple[Counter, object]:
    """Kills one pipeline `kills` times at random moments, and with `named` first once at each named point."""
    chance = random.Random(seed)
    scenario = MongoToLake(stack, f"chaos_{layout}_{collections}_{seed}", seed=seed, documents=documents, rate=500,
                           layout=layout, collections=collections)
    scenario.change()
    for point in POINTS[layout] if named else []:
        # The handing over comes last: the copy must not be done before the other points are.
        if point != "snapshot-handoff":
            scenario.dies_at(point)
            print(f"died by SIGKILL at {point}", flush=True)
    phases: Counter = Counter()
    while phases.total() < kills:
        stack.azure("faults", {"faults": [
            fault | {"nth": chance.randint(1, 30)} for fault in chance.sample(AZURE_FAULTS, chance.randint(0, 5))]})
        stack.mongo({"sandboxFaults": [
            fault | {"at": chance.randint(1, 8)} for fault in chance.sample(MONGO_FAULTS, chance.randint(0, 1))]})
        run = scenario.start()
        wait_until(lambda: scenario.last_point, 60, "the first named point", run)
        time.sleep(chance.expovariate(1 / 0.7))
        if not run.is_running:
            raise AssertionError(f"the program gave up (exit {run.process.returncode}):\n{run.output[-4000:]}")
        run.kill()
        phases[scenario.last_point] += 1
    stack.azure("faults", {"faults": []})
    stack.mongo({"sandboxFaults": []})
    if named and "snapshot-handoff" in POINTS[layout]:
        run = scenario.start(at="snapshot-handoff:1", caught_up=True)
        print(f"snapshot-handoff: {'died by SIGKILL' if run.wait(300) == -9 else 'was passed under a random kill'}", flush=True)
    return phases, scenario.finish(300)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    bad = 0
    with Stack(snowflake=None, azure=[]) as stack:
        for layout, collections in (("rolling", 1), ("files", 1), ("rolling", 200), ("files", 200)):
            phases, result = random_kills(stack, given.kills, given.seed, layout, collections, named=collections == 1)
            print(f"mongo -> adls, {layout}, {collections} collection(s): seed {given.seed}, "
                  f"{phases.total()} SIGKILLs by phase:")
            for phase, count in phases.most_common():
                print(f"  {count:4} after {phase}")
            for example in result.examples:
                print(example)
            print(result, flush=True)
            bad += not result.is_equal
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
