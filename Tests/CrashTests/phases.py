"""The phases of an epoch, which kills have to meet all; and a writer that stalls, is taken over, and wakes."""
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from Sandbox.program import Run, wait_until

STALLS = ["after-upload", "before-intent", "after-intent", "before-commit", "after-commit", "before-receipt"]


def meet_all(
    phases: Counter, wanted: list[str], kill: Callable[[], str], aim: Callable[[str, int], None], chance: random.Random, more: int
) -> Counter:
    """Goes on with up to `more` kills at random moments until each wanted phase was met, then aims at those that are too
    short for that: death comes inside the program, at a random pass of the point. Fails when that can't be had either.
    Gives the count of the aimed ones."""
    def missing() -> list[str]:
        return [phase for phase in wanted if not phases[phase] and not aimed[phase]]
    aimed: Counter = Counter()
    while missing() and more > 0:
        phases[kill()] += 1
        more -= 1
    for phase in missing():
        aim(phase, chance.randint(1, 3))
        aimed[phase] += 1
    assert not missing(), f"no kill came in {missing()}"
    return aimed


def report(what: str, seed: int, phases: Counter, aimed: Counter) -> None:
    print(f"{what}: seed {seed}, {phases.total()} SIGKILLs at random moments and {aimed.total()} aimed ones by phase:")
    for phase in sorted(phases.keys() | aimed.keys(), key=lambda phase: -phases[phase]):
        print(f"  {phases[phase]:4} {aimed[phase]:+4} after {phase}", flush=True)


def stall(scenario, point: str, occurrence: int) -> Run:
    """A process that has stopped (SIGSTOP) at the point, with all it holds but the lock of the state's database: that one
    would keep out every heir for as long as it is stopped."""
    for _ in range(5):
        zombie = scenario.start(stop_at=f"{point}:{occurrence}")
        wait_until(lambda: is_stopped(zombie.process.pid), 60, f"the stop at {point}", zombie)
        if can_write(scenario.folder / "state" / "state.sqlite"):
            return zombie
        zombie.kill()
    raise AssertionError(f"five times the process stopped at {point} in the middle of writing its state")


def can_write(state: Path) -> bool:
    connection = sqlite3.connect(state, timeout=0.5, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        return True
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()


def take_over(scenario) -> Run:
    """The process that gets the lease of a stalled one, once it has run out, and has made something visible."""
    before = scenario.progress()
    heir = wait_until(lambda: started_as_heir(scenario), 60, "the takeover")
    wait_until(lambda: scenario.progress() > before, 120, "what the heir makes visible", heir)
    return heir


def started_as_heir(scenario) -> Run | None:
    """A new process that got the lease, or None when it was refused."""
    begin = len(scenario.log.read_text(errors="replace"))
    heir = scenario.start()
    wait_until(lambda: scenario.last_point or not heir.is_running, 60, "a first named point or a refusal")
    if heir.is_running:
        return heir
    assert "state.locked" in heir.output[begin:], heir.output[-3000:]
    return None


def wake(zombie: Run) -> None:
    """SIGCONT: the process goes on where it stood, and has to find that it was superseded."""
    begin = len(zombie.output)
    zombie.signal(signal.SIGCONT)
    code = zombie.wait(90)
    assert code != 0, "the zombie must not think that all went well"
    assert "state.fenced" in zombie.output[begin:], f"ended with {code}:\n{zombie.output[-3000:]}"


def must_be_fenced(scenario, point: str) -> None:
    """A process stalls at the point, another takes over, and the first one wakes: it writes nothing more."""
    scenario.change()
    zombie = stall(scenario, point, 2)
    heir = take_over(scenario)
    wake(zombie)
    heir.signal(signal.SIGTERM)
    assert heir.wait(60) == 0, heir.output[-3000:]
    scenario.must_be_equal()


def is_stopped(pid: int) -> bool:
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"
