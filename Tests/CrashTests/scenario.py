"""A pipeline from the MongoDB stand-in to the Snowflake stand-in that can be killed, and judged by content."""
import signal
import tempfile
from pathlib import Path

from Sandbox.compare import Result, compare
from Sandbox.program import Run, wait_until
from Sandbox.stack import DATABASE, SCHEMA, Stack


class MongoToSnowflake:
    """One collection, one table, one state folder; several of them share a stack."""

    def __init__(self, stack: Stack, name: str, seed: int = 1, documents: int = 3000, rate: float = 400):
        self.stack, self.name, self.seed = stack, name.replace("-", "_"), seed
        self.table = f"T_{self.name}".upper()
        self.namespace = f"shop.{self.name}"
        self.folder = Path(tempfile.mkdtemp(prefix=f"nebula-{self.name}-", dir=stack.folder))
        self.log, self.trace = self.folder / "nebula.log", self.folder / "trace"
        stack.mongo({"sandboxLoad": self.namespace, "count": documents, "seed": seed, "mixedIds": True})
        self.rate = rate

    def change(self) -> None:
        """Starts changing the collection, and ends what a failed test before left running."""
        self.stop_changing()
        self.stack.mongo({"sandboxWorkload": self.namespace, "seed": self.seed + 1, "rate": self.rate, "mixedIds": True})

    def stop_changing(self) -> None:
        self.stack.mongo({"sandboxWorkload": "stop"})

    def start(self, *extra: str, at: str | None = None, stop_at: str | None = None, caught_up: bool = False) -> Run:
        """`at` is `point:n`: die there by SIGKILL; `stop_at`: SIGSTOP there."""
        environment = self.stack.environment("shop", self.name, self.table) | {"NEBULA_CRASH_TRACE": str(self.trace)}
        if at:
            environment["NEBULA_CRASH_AT"] = at
        if stop_at:
            environment["NEBULA_STOP_AT"] = stop_at
        self.trace.unlink(missing_ok=True)
        arguments = [
            "run", "--source", "mongo", "--dest", "snowflake_optimized", "--state", str(self.folder / "state"),
            "--set", "destination.micro_batch_size=500", "--set", "destination.micro_batch_timeout_ms=150",
            "--set", f"destination.stage_prefix={self.name}", "--set", "source.batch_size=200",
            "--set", "source.max_await_time_ms=100", "--set", "pipeline.epoch_records=1000",
            "--set", "pipeline.idle_checkpoint_interval=300ms", "--set", "pipeline.lease_duration=2s", *extra]
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

    def rows(self) -> int:
        try:
            return self.stack.sql(f'SELECT COUNT(*) FROM "{DATABASE}"."{SCHEMA}"."{self.table}"')[0][0][0]
        except Exception:
            return 0

    def progress(self) -> int:
        return self.rows()

    def finish(self, seconds: float = 120) -> Result:
        """Stops the changes, runs to the end, and compares."""
        self.stop_changing()
        run = self.start(caught_up=True)
        code = run.wait(seconds)
        assert code == 0, f"ended with {code}:\n{run.output[-4000:]}"
        truth = self.stack.truth(self.folder / "truth.sqlite")
        table = self.stack.export(self.table, self.folder / "table.parquet")
        return compare(truth, table, "shop", self.name)

    def must_be_equal(self, seconds: float = 120) -> Result:
        result = self.finish(seconds)
        assert result.is_equal and result.source > 0, f"{result}\n" + "\n".join(result.examples)
        return result


__all__ = ["MongoToSnowflake", "Run", "Stack", "wait_until"]
