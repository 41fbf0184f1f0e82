"""One writer: zombies, a second run, an old state file."""
import shutil
import signal

import pytest

from .scenario import MongoToSnowflake, wait_until


@pytest.mark.parametrize("point", ["after-intent", "before-commit", "before-commit-statement", "before-receipt", "after-upload"])
def test_a_zombie_wakes_and_writes_nothing(stack, point):
    """The old process stalls at the point (SIGSTOP), a new one takes over, the old one goes on (SIGCONT)."""
    scenario = MongoToSnowflake(stack, f"zombie_{point}", documents=2000)
    scenario.change()
    zombie = scenario.start(stop_at=f"{point}:2")
    wait_until(lambda: stopped(zombie.process.pid), 60, "the stop", zombie)
    # The stalled process lives, so its lease has to run out first.
    heir = wait_until(lambda: took_over(scenario), 60, "the takeover")
    wait_until(lambda: scenario.rows() > 1500, 120, "the heir's rows", heir)
    zombie.signal(signal.SIGCONT)
    code = zombie.wait(90)
    assert code != 0, "the zombie must not think that all went well"
    assert "state.fenced" in zombie.output, zombie.output[-3000:]
    heir.signal(signal.SIGTERM)
    assert heir.wait(60) == 0, heir.output[-3000:]
    scenario.must_be_equal()


def took_over(scenario: MongoToSnowflake):
    """A new process that got the lease, or None when it was refused."""
    heir = scenario.start()
    wait_until(lambda: scenario.last_point or not heir.is_running, 60, "a first named point or a refusal")
    if heir.is_running:
        return heir
    assert "state.locked" in heir.output
    return None


def stopped(pid: int) -> bool:
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


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


def test_an_old_state_file_is_refused(stack):
    """A restored backup knows less than the table holds: stop, do not load it twice."""
    scenario = MongoToSnowflake(stack, "restored", documents=2000)
    scenario.change()
    scenario.dies_at("after-receipt", 1)
    shutil.copytree(scenario.folder / "state", scenario.folder / "backup")
    scenario.dies_at("after-receipt", 2)
    shutil.copytree(scenario.folder / "state", scenario.folder / "newest")
    shutil.rmtree(scenario.folder / "state")
    shutil.copytree(scenario.folder / "backup", scenario.folder / "state")
    before = scenario.rows()
    run = scenario.start(caught_up=True)
    assert run.wait(60) == 1
    assert "state.behind_destination" in run.output, run.output[-3000:]
    assert scenario.rows() == before
    shutil.rmtree(scenario.folder / "state")
    shutil.copytree(scenario.folder / "newest", scenario.folder / "state")
    scenario.must_be_equal()
