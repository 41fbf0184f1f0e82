"""`make chaos`, third part: mongo -> adls, layouts rolling and files, one collection and 200 at once, under random SIGKILLs
and zombies with lost requests, lost and late answers and 503s; then compared by content. Prints how many kills met each phase.
"""
import argparse
import random
import sys

from Sandbox.stack import Stack

from .chaos import Chaos, mongo_faults, say
from .lake import MongoToLake

# In the order in which a run meets them: the copy's first, while there is still something to copy.
COMMON = ["after-fence", "mid-snapshot", "after-upload", "before-intent", "after-intent", "before-commit", "after-fence-moved"]
ENDS = ["after-commit", "before-receipt", "after-receipt"]
POINTS = {
    "rolling": [*COMMON, "after-create", "mid-flush", *ENDS, "before-close", "after-close", "snapshot-handoff"],
    "files": [*COMMON, "mid-publish", "after-publish", *ENDS, "snapshot-handoff"],
    "per_event": [*COMMON, "mid-publish", "after-publish", *ENDS, "snapshot-handoff"],
}
# What every epoch passes, from the first write to the receipt, and behind it.
PHASES = {
    "rolling": ["after-upload", "before-intent", "after-intent", "before-commit", "after-fence-moved", "mid-flush", *ENDS],
    "files": ["after-upload", "before-intent", "after-intent", "before-commit", "after-fence-moved", "mid-publish",
              "after-publish", *ENDS],
}
AZURE_FAULTS = [
    {"operation": operation, "action": action, **more}
    for operation in ("create", "append", "flush", "lease", "blob_put", "properties", "list", "rename", "delete", "read")
    for action, more in (("close", {}), ("apply_close", {}), ("late", {"delay_ms": 300}),
                         ("status", {"status": 503, "code": "ServerBusy", "retry_after": 0, "times": 2}),
                         ("apply_status", {"status": 500, "code": "OperationTimedOut"}))
]
# Answers take as long as those of a service that is not next door: else most kills would come between two epochs.
LATENCY = [
    {"operation": operation, "action": action, "delay_ms": 40, "chance": 0.5, "times": 0}
    for operation in ("append", "flush", "lease", "create", "blob_put", "rename") for action in ("slow", "slow_before")
]


def to_lake(stack: Stack, seed: int, layout: str, collections: int = 1, documents: int = 12_000, rate: float = 1000) -> Chaos:
    def set_faults(chance: random.Random | None) -> None:
        stack.azure("faults", {"faults": [] if chance is None else [
            fault | {"nth": chance.randint(1, 30)} for fault in chance.sample(AZURE_FAULTS, chance.randint(0, 5))
        ] + LATENCY})
        mongo_faults(stack, chance, most=1)
    scenario = MongoToLake(stack, f"chaos_{layout}_{collections}_{seed}", seed, documents, rate, layout, collections)
    return Chaos(scenario, seed, set_faults)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    bad = 0
    with Stack(snowflake=None, azure=[]) as stack:
        for layout, collections in (("rolling", 1), ("files", 1), ("rolling", 200), ("files", 200)):
            # Named points and zombies once a layout: they are the same for any number of collections.
            named = POINTS[layout] if collections == 1 else []
            outcome = to_lake(stack, given.seed, layout, collections).run(given.kills, named, PHASES[layout] if named else [])
            bad += not say(f"mongo -> adls, {layout}, {collections} collection(s)", given.seed, *outcome)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
