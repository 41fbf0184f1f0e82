"""A pipeline from the MongoDB stand-in that can be killed, and judged by content; where it leads to is its subclass's."""
import signal
import tempfile
from pathlib import Path

from Sandbox.compare import Result
from Sandbox.program import Run, wait_until
from Sandbox.stack import Stack

SETTINGS = [
    "--set", "source.batch_size=200", "--set", "source.max_await_time_ms=100", "--set", "pipeline.epoch_records=1000",
    "--set", "pipeline.idle_checkpoint_interval=300ms", "--set", "pipeline.lease_duration=2s",
]


class MongoScenario:
    """One pipeline with a state folder of its own; several share a stack. The namespaces are of one database."""
    destination: str

    def __init__(self, stack: Stack, name: str, namespaces: list[str], seed: int, documents: int, rate: float):
        self.stack, self.name, self.namespaces, self.seed, self.rate, self.documents = stack, name, namespaces, seed, rate, documents
        self.folder = Path(tempfile.mkdtemp(prefix=f"nebula-{name}-", dir=stack.folder))
        self.log, self.trace = self.folder / "nebula.log", self.folder / "trace"
        for namespace in namespaces:
            stack.mongo({"sandboxLoad": namespace, "count": max(1, documents // len(namespaces)), "seed": seed, "mixedIds": True})

    # What a subclass says: the program's settings and environment, what is visible, and how it compares.
    def settings(self) -> list[str]: raise NotImplementedError
    def environment(self) -> dict[str, str]: raise NotImplementedError
    def progress(self) -> int: raise NotImplementedError
    def result(self) -> Result: raise NotImplementedError

    def change(self, **more: object) -> None:
        """Starts the changes, and ends those that a failed test before left running."""
        self.stop_changing()
        self.stack.mongo({
            "sandboxWorkload": self.namespaces[0], "seed": self.seed + 1, "rate": self.rate, "mixedIds": True,
            "collections": [namespace.partition(".")[2] for namespace in self.namespaces], **more})

    def stop_changing(self) -> None:
        self.stack.mongo({"sandboxWorkload": "stop"})

    def start(self, *extra: str, at: str | None = None, stop_at: str | None = None, caught_up: bool = False) -> Run:
        """`at` is `point:n`: die there by SIGKILL; `stop_at`: SIGSTOP there."""
        environment = self.environment() | {"NEBULA_CRASH_TRACE": str(self.trace)}
        if at:
            environment["NEBULA_CRASH_AT"] = at
        if stop_at:
            environment["NEBULA_STOP_AT"] = stop_at
        self.trace.unlink(missing_ok=True)
        arguments = ["run", "--source", "mongo", "--dest", self.destination, "--state", str(self.folder / "state"),
                     *SETTINGS, *self.settings(), *extra]
        return Run(arguments + (["--until-caught-up"] if caught_up else []), environment, self.log)

    @property
    def last_point(self) -> str:
        """The named point the process passed last."""
        return self.trace.read_text().strip() if self.trace.exists() else ""

    def dies_at(self, point: str, occurrence: int = 1, seconds: float = 60, *extra: str) -> None:
        """Runs until the named point and fails unless the process died there, by signal 9."""
        run = self.start(*extra, at=f"{point}:{occurrence}")
        code = run.wait(seconds)
        assert code == -signal.SIGKILL, f"ended with {code}, not by SIGKILL:\n{run.output[-3000:]}"
        assert self.last_point == point, f"died at '{self.last_point}', not at '{point}'"

    def finish(self, seconds: float = 120, *extra: str) -> Result:
        """Stops the changes, runs to the end, and compares."""
        self.stop_changing()
        run = self.start(*extra, caught_up=True)
        code = run.wait(seconds)
        assert code == 0, f"ended with {code}:\n{run.output[-4000:]}"
        return self.result()

    def must_be_equal(self, seconds: float = 120, *extra: str) -> Result:
        result = self.finish(seconds, *extra)
        assert result.is_equal and result.source > 0, f"{result}\n" + "\n".join(result.examples)
        return result


__all__ = ["MongoScenario", "Result", "Run", "Stack", "wait_until"]
