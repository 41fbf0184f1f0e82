"""The real program dies by SIGKILL at each named point; after a restart the table equals the source, by content."""
import signal

import pytest

from .scenario import MongoToSnowflake, wait_until

# The point, and at which pass: early, and once the stream and the copy run side by side.
POINTS = [
    ("after-upload", 2), ("before-intent", 2), ("after-intent", 1), ("after-intent", 3), ("before-commit", 2),
    ("before-commit-statement", 1), ("after-commit-statement", 2), ("after-commit", 1), ("before-receipt", 2),
    ("after-receipt", 2), ("mid-snapshot", 4), ("snapshot-handoff", 1),
]


@pytest.mark.parametrize("point,occurrence", POINTS)
def test_dies_and_recovers(stack, point, occurrence):
    scenario = MongoToSnowflake(stack, f"{point}_{occurrence}", documents=2000)
    scenario.change()
    scenario.dies_at(point, occurrence)
    # Once more while the changes go on, so that the stream has something to deliver behind the recovery.
    assert scenario.start(caught_up=True).wait(60) == 0
    assert scenario.must_be_equal().source > 2000


def test_dies_again_while_it_recovers(stack):
    scenario = MongoToSnowflake(stack, "twice", documents=2000)
    scenario.change()
    scenario.dies_at("after-intent", 2)
    scenario.dies_at("before-commit-statement", 1)
    scenario.dies_at("after-receipt", 1)
    scenario.must_be_equal()


def test_staged_files_lost_and_dies_while_dropping_intents(stack):
    """Somebody empties the stage between intent and commit: the epoch is gone, and is read again."""
    scenario = MongoToSnowflake(stack, "dropping", documents=2000)
    scenario.change()
    scenario.dies_at("after-intent", 2)
    stack.sql(f"REMOVE @NEBULA_STAGE/{scenario.name}")
    scenario.dies_at("dropping-intents", 1)
    scenario.must_be_equal()


@pytest.mark.parametrize("fault", [
    {"sql": "^COMMIT", "action": "apply_close", "nth": 2},
    {"sql": "^COMMIT", "action": "late", "delay_ms": 700, "nth": 2},
    {"sql": "^COMMIT", "action": "close", "nth": 2},
    {"sql": "^COMMIT", "action": "kill", "nth": 2},
    {"sql": "^COPY", "action": "apply_close", "nth": 2},
    {"sql": "^UPDATE", "action": "apply_close", "nth": 3},
    {"sql": "^INSERT", "action": "status", "status": 503, "times": 2, "nth": 2},
    {"path": "query-request", "action": "expire", "nth": 20},
    {"service": "s3", "method": "PUT", "action": "status", "status": 503, "times": 3, "nth": 2},
    {"service": "s3", "method": "PUT", "action": "apply_close", "nth": 2},
], ids=lambda fault: "-".join(str(fault.get(k)) for k in ("sql", "path", "service", "action") if fault.get(k)))
def test_answers_lost_and_late(stack, fault):
    name = "fault_" + "".join(c if c.isalnum() else "_" for c in f"{fault.get('sql', fault.get('path', 's3'))}_{fault['action']}")
    scenario = MongoToSnowflake(stack, name, documents=2000)
    scenario.survives(fault)


def test_commit_arrives_after_the_process_died(stack):
    """The COMMIT is on its way when the process dies; the next process must not load the epoch a second time."""
    scenario = MongoToSnowflake(stack, "late_commit", documents=2000)
    scenario.change()
    stack.snowflake("faults", [{"sql": "^COMMIT", "action": "late", "delay_ms": 1500, "nth": 2}])
    try:
        run = scenario.start()
        wait_until(lambda: stack.snowflake("faults")["faults"][0]["done"] > 0, 60, "the late COMMIT", run)
        run.kill()
    finally:
        stack.snowflake("faults", [])
    scenario.must_be_equal()


def test_clean_shutdown_exits_zero_and_resumes(stack):
    scenario = MongoToSnowflake(stack, "shutdown", documents=2000)
    scenario.change()
    run = scenario.start()
    wait_until(lambda: scenario.rows() > 500, 60, "the first rows", run)
    run.signal(signal.SIGTERM)
    assert run.wait(40) == 0, run.output[-3000:]
    scenario.must_be_equal()
