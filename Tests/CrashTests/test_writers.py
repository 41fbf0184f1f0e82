"""One writer: zombies, a second run, an old state file."""
import shutil
import signal

import pytest

from .phases import stall, take_over, wake
from .scenario import MongoToSnowflake, wait_until


@pytest.mark.parametrize("point", ["after-intent", "before-commit", "before-commit-statement", "before-receipt", "after-upload"])
def test_a_zombie_wakes_and_writes_nothing(stack, point):
    """The old process stalls at the point (SIGSTOP), a new one takes over, the old one goes on (SIGCONT)."""
    scenario = MongoToSnowflake(stack, f"zombie_{point}", documents=2000)
    scenario.change()
    zombie = stall(scenario, point, 2)
    heir = take_over(scenario)
    wait_until(lambda: scenario.rows() > 1500, 120, "the heir's rows", heir)
    wake(zombie)
    heir.signal(signal.SIGTERM)
    assert heir.wait(60) == 0, heir.output[-3000:]
    scenario.must_be_equal()


def test_a_second_run_is_refused(stack):
    scenario = MongoToSnowflake(stack, "second", documents=1000)
    first = scenario.start()
    wait_until(lambda: scenario.rows() > 0, 60, "the first rows", first)
    second = scenario.start()
    assert second.wait(30) != 0
    assert "state.locked" in second.output
    assert first.is_running
    first.signal(signal.SIGTERM)
    assert first.wait(60) == 0
    scenario.must_be_equal()


def restored(scenario, backup: str) -> None:
    """The state folder as it was."""
    shutil.rmtree(scenario.folder / "state")
    shutil.copytree(scenario.folder / backup, scenario.folder / "state")


def must_be_refused(scenario) -> None:
    before = scenario.rows()
    run = scenario.start(caught_up=True)
    assert run.wait(60) == 1
    assert "state.behind_destination" in run.output, run.output[-3000:]
    assert scenario.rows() == before


def test_an_old_state_file_is_refused(stack):
    """A restored backup knows less than the table holds: stop, do not load it twice, however often it is started."""
    scenario = MongoToSnowflake(stack, "restored", documents=2000)
    scenario.change()
    scenario.dies_at("after-receipt", 1)
    shutil.copytree(scenario.folder / "state", scenario.folder / "backup")
    scenario.dies_at("after-receipt", 2)
    shutil.copytree(scenario.folder / "state", scenario.folder / "newest")
    restored(scenario, "backup")
    for _ in range(3):
        must_be_refused(scenario)
    restored(scenario, "newest")
    scenario.must_be_equal()


def test_a_copy_of_a_running_state_is_refused(stack):
    """Copied while its run went on: the generation is the same, and the next start's is higher than what was seen."""
    scenario = MongoToSnowflake(stack, "hot", documents=2000)
    scenario.change()
    run = scenario.start()
    wait_until(lambda: scenario.rows() > 0, 60, "the first rows", run)
    run.signal(signal.SIGSTOP)
    shutil.copytree(scenario.folder / "state", scenario.folder / "backup")
    run.signal(signal.SIGCONT)
    known = scenario.rows()
    wait_until(lambda: scenario.rows() > known + 1000, 120, "rows behind the copy", run)
    run.signal(signal.SIGTERM)
    assert run.wait(60) == 0
    shutil.copytree(scenario.folder / "state", scenario.folder / "newest")
    restored(scenario, "backup")
    must_be_refused(scenario)
    restored(scenario, "newest")
    scenario.must_be_equal()
