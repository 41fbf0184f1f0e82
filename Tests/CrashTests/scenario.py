"""mongo -> snowflake_optimized: one collection, one table."""
import signal

from Sandbox.compare import compare
from Sandbox.stack import DATABASE, SCHEMA

from .mongo_scenario import MongoScenario, Result, Run, Stack, wait_until


class MongoToSnowflake(MongoScenario):
    destination = "snowflake_optimized"

    def __init__(self, stack: Stack, name: str, seed: int = 1, documents: int = 3000, rate: float = 400):
        name = name.replace("-", "_")
        self.table = f"T_{name}".upper()
        super().__init__(stack, name, self.namespaces_of(name), seed, documents, rate)

    def namespaces_of(self, name: str) -> list[str]:
        return [f"shop.{name}"]

    def settings(self) -> list[str]:
        return ["--set", "destination.micro_batch_size=500", "--set", "destination.micro_batch_timeout_ms=150",
                "--set", f"destination.stage_prefix={self.name}"]

    def environment(self) -> dict[str, str]:
        return self.stack.environment("shop", self.name, self.table)

    def rows(self) -> int:
        try:
            return self.stack.sql(f'SELECT COUNT(*) FROM "{DATABASE}"."{SCHEMA}"."{self.table}"')[0][0][0]
        except Exception:
            return 0

    def survives(self, fault: dict) -> None:
        """Runs until the stand-in has done it and more rows have come; then all is as if nothing had been."""
        self.change()
        before = self.documents
        self.stack.snowflake("faults", [fault])
        try:
            run = self.start()
            wait_until(lambda: self.stack.snowflake("faults")["faults"][0]["done"] > 0, 60, "the fault", run)
            wait_until(lambda: self.rows() > before, 90, "rows after the fault", run)
            run.signal(signal.SIGTERM)
            assert run.wait(60) == 0, run.output[-3000:]
        finally:
            self.stack.snowflake("faults", [])
        self.must_be_equal()

    def progress(self) -> int:
        return self.rows()

    def result(self) -> Result:
        truth = self.stack.truth(self.folder / "truth.sqlite")
        return compare(truth, self.stack.export(self.table, self.folder / "table.parquet"), "shop", self.name)


__all__ = ["MongoToSnowflake", "Run", "Stack", "wait_until"]
