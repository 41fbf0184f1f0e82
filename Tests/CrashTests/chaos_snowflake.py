"""`make chaos`: mongo -> snowflake_optimized in every mode (append, merges of each kind, COPY in the background, external
stages) under random SIGKILLs and zombies, with sessions that expire or are killed, storms of 5xx, lost and late answers, and
credentials of the stage that run out; then compared by content. Prints how many kills met each phase, mode by mode.

    python -m Tests.CrashTests.chaos_snowflake --kills 100 --seed 1 [--modes merge_soft,unpacked]

The kills are spread over the modes.
"""
import argparse
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from Sandbox.program import Run
from Sandbox.stack import Stack

from .chaos import SNOWFLAKE_FAULTS, Chaos, mongo_faults, say
from .modes import MODES, Mode, MongoToTable

STATEMENTS = "^(BEGIN|UPDATE|COPY|MERGE|DELETE|INSERT|COMMIT)"
# Of every mode, beside those of `chaos`.
COMMON_FAULTS = [
    {"path": "query-request", "action": "status", "status": 503, "times": 5},      # a storm
    {"path": ".", "action": "status", "status": 500, "times": 4}, {"path": "session", "action": "status", "status": 502, "times": 3},
    {"sql": STATEMENTS, "action": "apply_status", "status": 503}, {"sql": STATEMENTS, "action": "apply_close"},
    {"sql": STATEMENTS, "action": "late", "delay_ms": 500}, {"sql": STATEMENTS, "action": "truncate", "keep": 30},
    {"sql": STATEMENTS, "action": "expire"}, {"sql": STATEMENTS, "action": "kill"}, {"sql": STATEMENTS, "action": "slow_execution", "delay_ms": 400},
    {"sql": "^(BEGIN|ROLLBACK)", "action": "apply_close"}, {"sql": "^ROLLBACK", "action": "late", "delay_ms": 600},
    {"sql": "^COMMIT", "action": "late", "delay_ms": 1200}, {"sql": "^COMMIT", "action": "slow_before", "delay_ms": 600},
    {"sql": "^(CREATE|DESCRIBE|SHOW|PUT|REMOVE|LIST)", "action": "apply_close"},
    {"sql": "^(CREATE|REMOVE)", "action": "late", "delay_ms": 700},
    {"sql": "^(COPY|MERGE|INSERT)", "action": "fail", "code": "000603", "sqlstate": "XX000", "message": "injected incident"},
    {"service": "s3", "action": "status", "status": 503, "times": 5}, {"service": "s3", "action": "slow", "delay_ms": 300},
    {"service": "s3", "action": "late", "delay_ms": 300},
]
MERGE_FAULTS = [
    {"sql": verb, "action": action, **more}
    for verb in ("^MERGE INTO .*_NEBULA_", "^DELETE FROM")
    for action, more in (("apply_close", {}), ("late", {"delay_ms": 400}), ("kill", {}), ("status", {"status": 503, "times": 2}),
                         ("slow_before", {"delay_ms": 500}))
]
GROWING_FAULTS = [
    {"sql": "^ALTER TABLE", "action": action, **more}
    for action, more in (("apply_close", {}), ("late", {"delay_ms": 400}), ("close", {}), ("status", {"status": 502}),
                         ("slow", {"delay_ms": 400}), ("slow_before", {"delay_ms": 400}))
] + [{"sql": "^CREATE OR REPLACE TRANSIENT", "action": action, "delay_ms": 600} for action in ("late", "slow_before", "apply_close")]
BACKGROUND_FAULTS = [
    {"path": path, "action": action, **more}
    for path in ("/monitoring/queries", "/queries/[^/]+/result")
    for action, more in (("status", {"status": 503, "times": 3}), ("close", {}), ("expire", {}), ("kill", {}), ("truncate", {"keep": 25}))
] + [{"sql": "^COPY", "action": "slow_execution", "delay_ms": ms, "times": 3} for ms in (300, 900)] + [
    {"sql": "^COPY", "action": "fail_execution", "delay_ms": 300, "code": "000603", "sqlstate": "XX000", "message": "injected incident"}]
# Of a bucket of one's own; their service is put in.
STORE_FAULTS = [
    {"service": "", "action": action, **more}
    for action, more in (("apply_close", {}), ("close", {}), ("apply_status", {"status": 500}), ("late", {"delay_ms": 500}),
                         ("status", {"status": 429, "retry_after": 1}), ("truncate", {"keep": 10}))
]
# Controls of the stand-in, which strike at any moment.
BLOWS = [("expire-sessions", {}), ("expire-sessions", {"master": True}), ("kill-sessions", {}), ("expire-credentials", {})]


def faults_of(mode: Mode) -> list[dict]:
    faults = SNOWFLAKE_FAULTS + COMMON_FAULTS + (MERGE_FAULTS if mode.is_merged else []) + (GROWING_FAULTS if mode.growing else []) + (
        BACKGROUND_FAULTS if mode.properties.get("async_copy") == "true" else [])
    store = {"service": (mode.cloud or "S3").lower()}
    if mode.cloud:
        faults = faults + STORE_FAULTS
    return [fault | store if "service" in fault else fault for fault in faults]


class TableChaos(Chaos):
    """The same with blows: between start and kill all sessions or credentials may expire, or be gone."""

    def __init__(self, scenario: MongoToTable, seed: int):
        self.stack, self.faults, self.blows = scenario.stack, faults_of(scenario.mode), Counter()
        self.stalls = [point for point in scenario.mode.phases if point not in ("after-receipt", "after-commit-statement")]
        super().__init__(scenario, seed, self.put_faults)
        # Not the same moments and faults in every mode.
        self.chance = random.Random(f"{seed} {scenario.mode.name}")

    def put_faults(self, chance: random.Random | None) -> None:
        # Half of them of the mode's own kind, which else would be lost among the others.
        count = 0 if chance is None else chance.randint(0, 4)
        own = self.faults[len(SNOWFLAKE_FAULTS + COMMON_FAULTS):]
        chosen = [chance.choice(own if own and chance.random() < 0.5 else self.faults) for _ in range(count)]
        self.stack.snowflake("faults", [fault | {"nth": chance.randint(1, 12)} for fault in chosen])
        mongo_faults(self.stack, chance)

    def kill_soon(self, run: Run) -> str:
        with self.blow():
            return super().kill_soon(run)

    @contextmanager
    def blow(self) -> Iterator[None]:
        """Perhaps one blow within the next moments."""
        control, body = self.chance.choice(BLOWS)
        if self.chance.random() < 0.6:
            return (yield)
        self.blows[" ".join([control, *body])] += 1
        timer = threading.Timer(self.chance.uniform(0, 0.8), lambda: self.stack.snowflake(control, body))
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def to_table(stack: Stack, mode: Mode, seed: int, documents: int = 6000, rate: float = 400) -> TableChaos:
    return TableChaos(MongoToTable(stack, f"chaos_{mode.name}_{seed}", mode, seed, documents, rate), seed)


def spread(kills: int, modes: list[str]) -> dict[str, int]:
    return {name: kills // len(modes) + (number < kills % len(modes)) for number, name in enumerate(modes)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs, states and tables")
    given = parser.parse_args()
    bad, total, begin = 0, 0, time.monotonic()
    for name, kills in spread(given.kills, given.modes.split(",")).items():
        mode = MODES[name]
        with Stack(folder=f"/tmp/nebula-chaos-{given.seed}-{name}" if given.keep else None,
                   snowflake=["--set", "blocking_idle_seconds=2"]) as stack:
            chaos = to_table(stack, mode, given.seed)
            phases, aimed, result = chaos.run(kills, mode.points, mode.phases, more=2)
        total += phases.total()
        bad += not say(f"mongo -> snowflake_optimized, {name} (blows: {dict(chaos.blows)})", given.seed, phases, aimed, result)
    print(f"{total} SIGKILLs at random moments, {time.monotonic() - begin:.0f} s, {bad} modes with differences", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
