"""Rows that the load can't take, and a program that dies while it finds them: each row of the input is in the table or in the
dead letters, once, and the summary counts both."""
import json
import signal
import tempfile
from pathlib import Path

import pytest

from Sandbox.program import Run, settings

ROWS = 3000


class FileToSnowflake:
    def __init__(self, stack, name: str, on_error: str, form: str, more: tuple[str, ...] = ()):
        self.stack, self.table, self.on_error, self.form, self.more = stack, f"L_{name}".upper(), on_error, form, more
        self.folder = Path(tempfile.mkdtemp(prefix=f"nebula-{name}-", dir=stack.folder))
        self.has_died = False
        self.log, self.trace, self.state = self.folder / "nebula.log", self.folder / "trace", self.folder / "state"
        self.rows = [{"id": number, "name": "far too long" if number % 211 == 7 else f"n{number % 1000}"} for number in range(ROWS)]
        (self.folder / "in").mkdir()
        (self.folder / "in" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in self.rows))
        stack.sql(f'CREATE TABLE "{self.table}" (ID NUMBER(38,0), NAME VARCHAR(5))')

    def start(self, at: str | None = None) -> Run:
        environment = self.stack.environment(table=self.table) | {"NEBULA_CRASH_TRACE": str(self.trace)}
        environment |= {"NEBULA_CRASH_AT": at} if at else {}
        self.trace.unlink(missing_ok=True)
        return Run(["run", "--source", "file", "--dest", "snowflake_optimized", "--name", self.table, "--state", str(self.state),
                    "--until-caught-up", *settings(
                        source__path=self.folder / "in", destination__micro_batch_size=200, destination__file_format=self.form,
                        destination__copy_options__ON_ERROR=self.on_error, pipeline__epoch_records=1000,
                        pipeline__max_rejected=5000, pipeline__lease_duration="2s", source__batch_bytes="4KiB"), *self.more],
                   environment, self.log)

    @property
    def last_point(self) -> str:
        return self.trace.read_text().strip() if self.trace.exists() else ""

    def dies_at(self, point: str, occurrence: int) -> None:
        run = self.start(f"{point}:{occurrence}")
        code = run.wait(90)
        assert code == -signal.SIGKILL, f"ended with {code}, not by SIGKILL:\n{run.output[-3000:]}"
        assert self.last_point == point
        self.has_died = True

    def must_be_whole(self) -> None:
        run = self.start()
        code = run.wait(120)
        assert code == 0, f"ended with {code}:\n{run.output[-4000:]}"
        loaded = [(int(number), name) for number, name in self.stack.sql(f'SELECT ID, NAME FROM "{self.table}"')[0]]
        letters = [json.loads(line) for path in sorted((self.state / "dead-letters").glob("*.jsonl"))
                   for line in path.read_text().splitlines()]
        assert not list((self.state / "dead-letters").glob(".*")), "no hidden dead letters are left behind"
        assert {letter["code"] for letter in letters} == {"snowflake.row_left_out"}
        kept = [self.record(letter["payload"]) for letter in letters]
        assert sorted(loaded + kept) == sorted((row["id"], row["name"]) for row in self.rows), f"{len(loaded)} and {len(kept)}"
        bad = {row["id"] for row in self.rows if len(row["name"]) > 5}
        assert bad <= {number for number, _ in kept} and (self.on_error == "SKIP_FILE" or len(kept) == len(bad))
        own = [letter for letter in letters if "far too long" in letter["message"]]
        assert len(own) >= len(bad) if self.on_error == "CONTINUE" else own
        # A run counts what it committed itself.
        counted = [int(line.split()[1]) for line in run.output.splitlines() if line.startswith("rejected ")]
        assert counted and counted[-1] <= len(kept) and (self.has_died or counted[-1] == len(kept)), run.output[-2000:]

    def record(self, payload: str) -> tuple[int, str]:
        if self.form == "CSV":
            number, _, name = payload.partition(",")
            return int(number), name.strip('"')
        row = json.loads(payload)
        return row["ID"], row["NAME"]


@pytest.mark.parametrize("on_error,form", [("CONTINUE", "JSON"), ("CONTINUE", "CSV"), ("SKIP_FILE", "CSV")])
@pytest.mark.parametrize("point,occurrence", [
    ("after-commit", 1),  # the rows are found, and what replaces the epoch is not stored
    ("before-commit", 3),  # it is stored, and not committed (the runtime passes the point as well)
    ("before-commit-statement", 1), ("after-commit-statement", 1), ("before-receipt", 1), ("after-receipt", 1)])
def test_each_row_has_one_fate(stack, on_error, form, point, occurrence):
    scenario = FileToSnowflake(stack, f"{on_error}_{form}_{point}".replace("-", "_"), on_error, form)
    scenario.dies_at(point, occurrence)
    scenario.must_be_whole()


def test_dies_again_and_again_in_the_background(stack):
    scenario = FileToSnowflake(stack, "again", "CONTINUE", "JSON", ("--set", "destination.async_copy=true"))
    for point, occurrence in [("after-result", 1), ("after-commit", 1), ("after-submit", 2), ("after-commit-statement", 1)]:
        scenario.dies_at(point, occurrence)
    scenario.must_be_whole()


@pytest.mark.parametrize("fault", [
    {"sql": "^COPY", "action": "apply_close"}, {"sql": "^COPY INTO .*REJECTS", "action": "kill"}, {"sql": "^GET", "action": "apply_close"},
    {"sql": "^ROLLBACK", "action": "close", "times": 3}, {"sql": "^COMMIT", "action": "apply_close", "nth": 3},
    {"service": "s3", "method": "GET", "action": "status", "status": 503, "times": 3},
], ids=lambda fault: "".join(c for c in f"{fault.get('sql', 's3')}{fault['action']}" if c.isalnum()))
def test_answers_lost_while_rows_are_found(stack, fault):
    name = "fault_" + "".join(c for c in f"{fault.get('sql', 's3')}{fault['action']}" if c.isalnum())
    scenario = FileToSnowflake(stack, name, "CONTINUE", "JSON")
    stack.snowflake("faults", [fault])
    try:
        scenario.must_be_whole()
        assert stack.snowflake("faults")["faults"][0]["done"] > 0
    finally:
        stack.snowflake("faults", [])


def test_more_than_max_rejected_stops_the_run(stack):
    scenario = FileToSnowflake(stack, "too_many", "CONTINUE", "JSON", ("--set", "pipeline.max_rejected=3"))
    run = scenario.start()
    assert run.wait(90) == 1
    assert "pipeline.too_many_rejected" in run.output, run.output[-3000:]
    assert scenario.stack.sql(f'SELECT COUNT(*) FROM "{scenario.table}"')[0][0][0] == 0
    scenario.more = ()
    scenario.must_be_whole()
