"""Merges and COPY in the background: the real program dies by SIGKILL at each named point, is stopped and woken as a zombie,
meets lost answers, and is killed at random; then its table equals the source, by content."""
import signal

import pytest

from .chaos_snowflake import to_table
from .modes import BACKGROUND, MODES, MongoToTable
from .mongo_scenario import wait_until
from .phases import must_be_fenced

POINTS = [
    *[("merge_hard", point) for point in MODES["merge_hard"].points],
    # Before the intent the table has been altered already.
    *[("unpacked", point) for point in ("before-intent", "after-intent", "mid-merge", "after-commit-statement")],
    *[("merge_parquet", point) for point in ("mid-merge", "before-receipt")],
    *[("merge_async", point) for point in BACKGROUND],
    ("external_s3", "after-upload"), ("external_azure", "before-commit"), ("external_gcs", "after-submit"),
]


@pytest.mark.parametrize("mode, point", POINTS)
def test_dies_and_recovers(stack, mode, point):
    scenario = MongoToTable(stack, f"{mode}_{point}", MODES[mode], documents=600)
    scenario.change()
    scenario.dies_at(point, 1 if point in ("mid-snapshot", "snapshot-handoff", "mid-merge") else 2)
    # Once more while the changes go on, so that the stream has something to deliver behind the recovery.
    assert scenario.start(caught_up=True).wait(60) == 0, scenario.log.read_text()[-3000:]
    assert scenario.must_be_equal().source > 500


@pytest.mark.parametrize("mode, point", [("merge_hard", "mid-merge"), ("merge_async", "while-polling")])
def test_a_zombie_wakes_and_writes_nothing(stack, mode, point):
    scenario = MongoToTable(stack, f"zombie_{mode}", MODES[mode], documents=600)
    must_be_fenced(scenario, point)


@pytest.mark.parametrize("mode, fault", [
    ("merge_hard", {"sql": "^MERGE INTO .*_NEBULA_", "action": "kill", "nth": 2}),
    ("merge_hard", {"sql": "^MERGE INTO .*_NEBULA_", "action": "late", "delay_ms": 700, "nth": 2}),
    ("merge_hard", {"sql": "^DELETE FROM .*_NEBULA_", "action": "apply_close", "nth": 2}),
    ("unpacked", {"sql": "^ALTER TABLE", "action": "late", "delay_ms": 700}),
    ("merge_async", {"path": "/monitoring/queries", "action": "kill", "nth": 2}),
], ids=lambda value: value if isinstance(value, str) else f"{value.get('sql', value.get('path'))}-{value['action']}")
def test_answers_lost_and_late(stack, mode, fault):
    name = "".join(c if c.isalnum() else "_" for c in f"{mode}_{fault.get('sql', 'state')}_{fault['action']}")
    scenario = MongoToTable(stack, name, MODES[mode], documents=600)
    scenario.change()
    stack.snowflake("faults", [fault])
    try:
        run = scenario.start()
        wait_until(lambda: stack.snowflake("faults")["faults"][0]["done"] > 0, 60, "the fault", run)
        seen = scenario.progress()
        wait_until(lambda: scenario.progress() > seen + 1, 60, "epochs after the fault", run)
        run.signal(signal.SIGTERM)
        assert run.wait(60) == 0, run.output[-3000:]
    finally:
        stack.snowflake("faults", [])
    scenario.must_be_equal()


@pytest.mark.parametrize("mode", ["merge_soft", "unpacked_parquet"])
def test_random_kills(stack, mode):
    phases, _, result = to_table(stack, MODES[mode], seed=7, documents=1500, rate=400).run(kills=3)
    print(dict(phases))
    assert result.is_equal and result.source > 1000, f"{result}\n" + "\n".join(result.examples)
