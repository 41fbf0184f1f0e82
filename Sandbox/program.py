"""Starts, kills and watches the real program."""
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
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


@dataclass
class Outcome:
    """What one finished call of the program with `--json` said."""
    code: int
    said: list[dict]
    log: str
    errors: list[dict] = field(default_factory=list)

    def __post_init__(self):
        self.errors = [error for line in self.said if line["type"] == "error" for error in line["errors"]]

    @property
    def summary(self) -> dict:
        return next(line for line in self.said if line["type"] == "summary")

    def done(self, **counts: int) -> "Outcome":
        """Asserts exit 0 and the summary's counts."""
        assert self.code == 0, f"exit {self.code}\n{self}"
        assert not self.errors
        assert {name: self.summary[name] for name in counts} == counts, str(self)
        return self

    def failed(self, code: str, exit: int) -> dict:
        """Asserts exactly this error; every error says what to do."""
        assert [error["code"] for error in self.errors] == [code], f"exit {self.code}\n{self}"
        assert (self.code, self.errors[0]["exit"]) == (exit, exit), str(self)
        assert self.errors[0]["message"] and self.errors[0]["remedy"]
        return self.errors[0]

    def __str__(self) -> str:
        return "\n".join([*map(json.dumps, self.said), self.log])[-4000:]


def call(*arguments: object, env: dict[str, str] | None = None, seconds: float = 90) -> Outcome:
    """Runs the program with `--json` to its end; every line that it prints is JSON."""
    keep = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    ended = subprocess.run([str(PROGRAM), *map(str, arguments), "--json"], capture_output=True, timeout=seconds,
                           env=keep | {"HOME": "/nonexistent"} | (env or {}), stdin=subprocess.DEVNULL)
    return Outcome(ended.returncode, [json.loads(line) for line in ended.stdout.decode().splitlines()],
                   ended.stderr.decode(errors="replace"))


def settings(**given: object) -> list[str]:
    """`--set` arguments; `source__path="x"` is `--set source.path=x`."""
    return [part for name, value in given.items() for part in ("--set", f"{name.replace('__', '.')}={value}")]


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
