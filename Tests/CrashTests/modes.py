"""The ways in which `snowflake_optimized` loads, each with what killing it has to meet, and what its table is compared by."""
from dataclasses import dataclass, field

from Sandbox.compare import compare
from Sandbox.merged import merged
from Sandbox.stack import DATABASE, SCHEMA

from .mongo_scenario import Result, Stack
from .scenario import MongoToSnowflake

# In the order in which an epoch meets them.
COMMON = ["after-upload", "before-intent", "after-intent", "before-commit"]
ENDS = ["before-commit-statement", "after-commit-statement", "after-commit", "before-receipt", "after-receipt"]
MERGES = ["mid-merge"]
BACKGROUND = ["after-submit", "while-polling", "after-result"]
MIX = {"insert": 20, "update": 45, "replace": 10, "delete": 15, "reinsert": 10}


@dataclass(frozen=True)
class Mode:
    name: str
    properties: dict[str, str] = field(default_factory=dict)
    # More than one go into the same table: their keys are the same.
    collections: int = 1
    # After so many changes documents get one more field.
    growing: int = 0
    # Whose bucket the stage lies in; none: Snowflake's own.
    cloud: str = ""

    @property
    def is_merged(self) -> bool:
        return self.properties.get("write_mode") == "merge"

    @property
    def deletes(self) -> str:
        return self.properties.get("delete_mode", "soft")

    @property
    def points(self) -> list[str]:
        """Every named point that a run of this mode passes; the copy's first, while there is still something to copy."""
        return ["mid-snapshot", *self.phases, "snapshot-handoff"]

    @property
    def phases(self) -> list[str]:
        """What every epoch passes, from the first write to the receipt, and behind it."""
        between = (BACKGROUND if self.properties.get("async_copy") == "true" else []) + (MERGES if self.is_merged else [])
        return [*COMMON, *between, *ENDS]


MERGE = {"write_mode": "merge"}
ASYNC = {"async_copy": "true"}
UNPACKED = MERGE | {"pack_mode": "unpacked", "contract": "evolve"}
PARQUET = {"file_format": "PARQUET"}

MODES = {mode.name: mode for mode in [
    Mode("append"),
    Mode("append_async", ASYNC),
    Mode("merge_soft", MERGE, collections=2),
    Mode("merge_hard", MERGE | {"delete_mode": "hard"}, collections=2),
    Mode("merge_parquet", MERGE | PARQUET),
    Mode("merge_async", MERGE | ASYNC | {"delete_mode": "hard"}),
    Mode("unpacked", UNPACKED, growing=1000),
    Mode("unpacked_parquet", UNPACKED | PARQUET | {"delete_mode": "hard"}, growing=1000),
    Mode("external_s3", cloud="S3"),
    Mode("external_azure", MERGE, cloud="AZURE"),
    Mode("external_gcs", MERGE | ASYNC | {"delete_mode": "hard"}, cloud="GCS"),
]}


class MongoToTable(MongoToSnowflake):
    """mongo -> snowflake_optimized in one of the modes: one table, of one collection or several."""

    def __init__(self, stack: Stack, name: str, mode: Mode, seed: int = 1, documents: int = 3000, rate: float = 400):
        name = name.replace("-", "_")
        self.mode = mode
        self.bucket = stack.bucket(mode.cloud, name) if mode.cloud else {}
        super().__init__(stack, name, seed, documents, rate)

    def namespaces_of(self, name: str) -> list[str]:
        return [f"db_{name}.c{number}" for number in range(self.mode.collections)]

    def settings(self) -> list[str]:
        return super().settings() + ["--name", self.name] + [
            part for name, value in (self.mode.properties | self.bucket).items() for part in ("--set", f"destination.{name}={value}")]

    def environment(self) -> dict[str, str]:
        database, _, collection = self.namespaces[0].partition(".")
        environment = self.stack.environment(database, collection, self.table)
        if self.mode.collections > 1:
            del environment["MONGO_COLL"]
        return environment

    def change(self) -> None:
        super().change(mix=MIX, growing=self.mode.growing)

    def progress(self) -> int:
        """Epochs in the ledger: a merge makes changes visible without any more rows."""
        try:
            return self.stack.sql(f'SELECT COUNT(*) FROM "{DATABASE}"."{SCHEMA}".NEBULA_LEDGER WHERE PIPELINE = \'{self.name}\'')[0][0][0]
        except Exception:
            return 0

    def result(self) -> Result:
        truth = self.stack.truth(self.folder / "truth.sqlite")
        table = self.stack.export(self.table, self.folder / "table.parquet")
        if not self.mode.is_merged:
            return compare(truth, table, *self.namespaces[0].split("."))
        tables = self.stack.snowflake("dump")["tables"]
        result = merged(truth, table, tables[f"{DATABASE}.{SCHEMA}.{self.table}"]["columns"], self.mode.deletes, self.namespaces)
        for name, found in tables.items():
            if name.startswith(f"{DATABASE}.{SCHEMA}.{self.table}_NEBULA_") and found["rows"]:
                result.note("differing", f"{found['rows']} rows are left in the landing table {name}")
        return result
