"""Starts, kills and watches the real program."""
import os
import signal
import subprocess
import time
from pathlib import Path

from .stack import ROOT

PROGRAM = Path(os.environ.get("NEBULA_PROGRAM", ROOT / ".build" / "release" / "nebula-swift"))


class Run:
    """One process of `nebula-swift`; its output goes to a file."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path):
        self.log = log
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                [str(PROGRAM), *arguments], env=keep | environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL)

    def wait(self, seconds: float) -> int:
        """The exit code, negative for a signal. A program that does not end in time is a failure."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)
            self.kill()
            raise AssertionError(f"nebula-swift did not end within {seconds} s:\n{self.output[-3000:]}") from None

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")


def wait_until(condition, seconds: float, what: str, run: Run | None = None):
    """Polls until `condition()` is true and gives its value; fails with `what` after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if run is not None and not run.is_running:
            raise AssertionError(f"the program ended (exit {run.process.returncode}) before {what}:\n{run.output[-3000:]}")
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not happen within {seconds} s" + (f":\n{run.output[-3000:]}" if run else ""))
        time.sleep(0.05)
