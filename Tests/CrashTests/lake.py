"""A pipeline from the MongoDB stand-in into the Azure stand-in that can be killed, and judged by content."""
import signal
import tempfile
from pathlib import Path

from Sandbox.lake import Lake, judge
from Sandbox.compare import Result
from Sandbox.program import Run, wait_until
from Sandbox.stack import FILESYSTEM, Stack


class MongoToLake:
    """One or more collections of one database, one state folder; the lake is emptied for each scenario."""

    def __init__(self, stack: Stack, name: str, seed: int = 1, documents: int = 2000, rate: float = 400,
                 layout: str = "rolling", collections: int = 1, database: str | None = None):
        self.stack, self.seed, self.layout = stack, seed, layout
        self.name = "".join(c if c.isalnum() else "_" for c in name)
        self.database = database or f"db_{self.name}"
        self.collections = [self.name] if collections == 1 else [f"c{number:03}" for number in range(collections)]
        self.folder = Path(tempfile.mkdtemp(prefix=f"nebula-{self.name}-", dir=stack.folder))
        self.log, self.trace = self.folder / "nebula.log", self.folder / "trace"
        stack.azure("filesystem", method="DELETE", name=FILESYSTEM)
        stack.azure("filesystem", {"name": FILESYSTEM})
        stack.azure("faults", {"faults": []})
        for collection in self.collections:
            stack.mongo({"sandboxLoad": f"{self.database}.{collection}", "count": max(1, documents // collections),
                         "seed": seed, "mixedIds": True})
        self.rate = rate

    def change(self) -> None:
        """Starts changing the first collection, and ends what a failed test before left running."""
        self.stop_changing()
        self.stack.mongo({"sandboxWorkload": f"{self.database}.{self.collections[0]}", "seed": self.seed + 1,
                          "rate": self.rate, "mixedIds": True})

    def stop_changing(self) -> None:
        self.stack.mongo({"sandboxWorkload": "stop"})

    def arguments(self, *extra: str) -> list[str]:
        return [
            "run", "--source", "mongo", "--dest", "adls", "--state", str(self.folder / "state"), "--name", "lake",
            "--set", f"destination.layout={self.layout}", "--set", "destination.flush_interval=150ms",
            "--set", "destination.close_after=2s", "--set", "destination.max_file_bytes=300000",
            "--set", "source.batch_size=200", "--set", "source.max_await_time_ms=100",
            "--set", "pipeline.epoch_records=1000", "--set", "pipeline.idle_checkpoint_interval=300ms",
            "--set", "pipeline.lease_duration=2s", *extra]

    def start(self, *extra: str, at: str | None = None, stop_at: str | None = None, caught_up: bool = False) -> Run:
        """`at` is `point:n`: die there by SIGKILL; `stop_at`: SIGSTOP there."""
        environment = self.stack.adls_environment(self.database, self.collections[0]) | {"NEBULA_CRASH_TRACE": str(self.trace)}
        if len(self.collections) > 1:
            del environment["MONGO_COLL"]
        if at:
            environment["NEBULA_CRASH_AT"] = at
        if stop_at:
            environment["NEBULA_STOP_AT"] = stop_at
        self.trace.unlink(missing_ok=True)
        return Run(self.arguments(*extra) + (["--until-caught-up"] if caught_up else []), environment, self.log)

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

    def bytes(self) -> int:
        """How much is visible."""
        files = self.stack.azure("files", filesystem=FILESYSTEM)["files"]
        return sum(file["length"] for file in files if not file["path"].startswith("_nebula"))

    def files(self) -> list[dict]:
        """What the stand-in says of the files, without the pipeline's own."""
        files = self.stack.azure("files", filesystem=FILESYSTEM)["files"]
        return [file for file in files if not file["directory"] and not file["path"].startswith("_nebula")]

    def finish(self, seconds: float = 120, *extra: str) -> Result:
        """Stops the changes, runs to the end, and compares."""
        self.stop_changing()
        run = self.start(*extra, caught_up=True)
        code = run.wait(seconds)
        assert code == 0, f"ended with {code}:\n{run.output[-4000:]}"
        return self.result()

    def result(self) -> Result:
        truth = self.stack.truth(self.folder / "truth.sqlite")
        return judge(self.stack.account_url, truth, self.collections, self.folder, self.layout, self.database)

    def must_be_equal(self, seconds: float = 120, *extra: str) -> Result:
        result = self.finish(seconds, *extra)
        assert result.is_equal and result.source > 0, f"{result}\n" + "\n".join(result.examples)
        return result


__all__ = ["Lake", "MongoToLake", "Run", "Stack", "wait_until"]
