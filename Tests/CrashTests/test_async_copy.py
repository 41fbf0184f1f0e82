"""COPY in the background: the program dies after submitting it, while it runs, and after reading its result; sessions are
killed and answers lost under it. Afterwards the table equals the source, by content: no COPY counted twice, none lost."""
import signal
import sqlite3

import pytest

from .scenario import MongoToSnowflake, wait_until

SLOW_COPY = {"sql": "^COPY", "action": "slow_execution", "delay_ms": 900, "times": 0}


class InTheBackground(MongoToSnowflake):
    def settings(self) -> list[str]:
        return [*super().settings(), "--set", "destination.async_copy=true"]


@pytest.mark.parametrize("point,occurrence", [
    ("after-submit", 1), ("after-submit", 3), ("while-polling", 1), ("while-polling", 3), ("after-result", 1), ("after-result", 3),
    ("before-commit-statement", 2), ("after-commit-statement", 2)])
def test_dies_and_recovers(stack, point, occurrence):
    scenario = InTheBackground(stack, f"async_{point}_{occurrence}", documents=2000)
    scenario.change()
    stack.snowflake("faults", [SLOW_COPY])
    try:
        scenario.dies_at(point, occurrence, 90)
    finally:
        stack.snowflake("faults", [])
    assert scenario.start(caught_up=True).wait(90) == 0
    assert scenario.must_be_equal().source > 2000


def test_dies_again_and_again_while_it_recovers(stack):
    scenario = InTheBackground(stack, "async_again", documents=2000)
    scenario.change()
    scenario.dies_at("after-submit", 2)
    scenario.dies_at("after-submit", 1)
    scenario.dies_at("after-result", 1)
    scenario.dies_at("after-submit", 1)
    scenario.must_be_equal()


@pytest.mark.parametrize("delay", [1500, 30_000])
def test_the_copy_of_a_dead_writer_runs_on(stack, delay):
    """It ends while the next process starts, or long after: its transaction is ended either way."""
    scenario = InTheBackground(stack, f"async_dead_{delay}", documents=2000)
    scenario.change()
    stack.snowflake("faults", [SLOW_COPY | {"delay_ms": delay, "times": 1, "nth": 2}])
    try:
        scenario.dies_at("after-submit", 2, 60)
    finally:
        stack.snowflake("faults", [])
    scenario.must_be_equal(90)


@pytest.mark.parametrize("fault", [
    {"sql": "^COPY", "action": "apply_close", "nth": 2}, {"sql": "^COPY", "action": "close", "nth": 2},
    {"sql": "^COPY", "action": "late", "delay_ms": 700, "nth": 2}, {"sql": "^COPY", "action": "kill", "nth": 2},
    {"sql": "^COPY", "action": "fail_execution", "code": "000603", "sqlstate": "XX000", "nth": 2},
    {"path": "^/monitoring/", "action": "kill", "nth": 3}, {"path": "^/monitoring/", "action": "expire", "nth": 3},
    {"path": "^/monitoring/", "action": "status", "status": 503, "times": 3, "nth": 2},
    {"path": "^/queries/[^/]+/result", "action": "kill", "nth": 2},
    {"path": "^/queries/[^/]+/result", "action": "apply_close", "nth": 2},
    {"sql": "^COMMIT", "action": "apply_close", "nth": 2},
], ids=lambda fault: "-".join("".join(c for c in str(fault.get(k)) if c.isalnum()) for k in ("sql", "path", "action") if fault.get(k)))
def test_sessions_killed_and_answers_lost(stack, fault):
    name = "async_" + "".join(c if c.isalnum() else "_" for c in f"{fault.get('sql', fault.get('path'))}_{fault['action']}")
    scenario = InTheBackground(stack, name, documents=2000)
    scenario.survives(fault)


def test_nothing_is_asked_while_nothing_comes(stack):
    """A warehouse must be able to suspend: while the source is idle, no statement reaches it, whatever positions are kept."""
    scenario = InTheBackground(stack, "async_idle", documents=500)
    scenario.stop_changing()
    run = scenario.start()
    wait_until(lambda: scenario.rows() == 500, 60, "the copy", run)
    statements = lambda: len(stack.snowflake("queries", last="20000")["queries"])
    # What belongs to the last epoch, and the end of the copy; then checkpoints of an idle stream, for most of a minute.
    wait_until(lambda: scenario.last_point == "after-receipt", 30, "the receipt", run)
    passes = wait_until(lambda: receipts(scenario), 30, "the state")
    wait_until(lambda: receipts(scenario) >= passes + 2, 60, "idle checkpoints", run)
    before = statements()
    wait_until(lambda: receipts(scenario) >= passes + 5, 120, "idle checkpoints", run)
    assert statements() == before
    run.signal(signal.SIGTERM)
    assert run.wait(40) == 0, run.output[-3000:]
    scenario.must_be_equal()


def receipts(scenario) -> int:
    """The sequence of the newest epoch that the state has stored."""
    path = scenario.folder / "state" / "state.sqlite"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5) as connection:
        return connection.execute("SELECT highest_sequence FROM pipelines").fetchone()[0]
