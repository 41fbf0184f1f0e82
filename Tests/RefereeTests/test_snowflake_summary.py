"""What a run into Snowflake says at its end: what was loaded, how long COPY took, how well it compressed, why files were
closed, what it may have cost, and how it did; for a person and for a program."""
import re

import pytest
from pipelines import ONCE

from Sandbox.program import Run, settings


def rows(path, count):
    path.write_text("ID,NAME\n" + "".join(f"{n},customer number {n} of the shop\n" for n in range(count)))
    return path


def test_the_summary_in_a_users_words(target, tmp_path, stack):
    table = target()
    source = rows(tmp_path / "in.csv", 5000)
    run = Run(["run", "--source", "file", "--dest", "snowflake_optimized", "--until-caught-up", "--state", str(table.state),
               *settings(source__path=source, destination__micro_batch_size=2000, destination__warehouse_size="MEDIUM"), *ONCE],
              table.environment, tmp_path / "log")
    assert run.wait(60) == 0, run.output
    said = {line.split()[0]: line for line in run.output.splitlines() if line.strip()}
    assert said["loaded"] == "loaded     5000 rows by 1 COPY statement"
    assert re.fullmatch(r"COPY       median \S+ m?s, 95 of 100 within \S+ m?s, last \S+ m?s, all \S+ m?s", said["COPY"])
    ratio, files = re.fullmatch(r"compressed (\S+) : 1 \(\S+ [kM]B of rows uploaded as \S+ [kM]B in (\d+) files\)", said["compressed"]).groups()
    assert float(ratio) > 2
    reasons = {reason: int(count) for count, reason in re.findall(r"(\d+) by ([^,]+)", said["closed"])}
    assert reasons["records"] >= 2 and sum(reasons.values()) == int(files)
    assert "of loading at 4 an hour (MEDIUM), without the warehouse's idle time" in said["credits"]
    assert said["health"] == "health     healthy"


def test_the_same_for_a_program(target, tmp_path):
    table = target()
    source = rows(tmp_path / "in.csv", 500)
    summary = table.file(source, *settings(destination__warehouse_size="xsmall")).done(committed=500).summary
    metrics = summary["metrics"]
    assert metrics["snowflake.records_written"] == 500 and metrics["snowflake.copies"] == metrics["snowflake.copy_ms"]["count"] == 1
    assert metrics["snowflake.files_uploaded"] == summary["files"] and metrics["snowflake.bytes_uploaded"] == summary["bytes_written"]
    copy = metrics["snowflake.copy_ms"]
    assert 0 < copy["median"] <= copy["p95"] and copy["last"] == copy["total"]
    computed = summary["computed"]
    assert computed["compression_ratio"] == metrics["snowflake.bytes_encoded"] / metrics["snowflake.bytes_uploaded"]
    assert computed["credits_estimate"] == pytest.approx(metrics["snowflake.loading_ms"] / 3_600_000)
    assert summary["health"] == {"state": "healthy", "reasons": []}
    for gauge in ("queue_depth", "upload_workers_busy", "sessions_in_use"):
        assert metrics[f"snowflake.{gauge}"] == 0


def test_nothing_to_load_says_nothing_of_a_load_and_asks_nothing(target, tmp_path, stack):
    table = target()
    source = rows(tmp_path / "in.csv", 500)
    table.file(source).done(committed=500)
    before = len(stack.snowflake("queries?last=5000")["queries"])
    again = table.file(source, *settings(destination__warehouse_size="SMALL")).done(committed=0)
    sent = [q["sql"] for q in stack.snowflake("queries?last=5000")["queries"]][before:]
    assert not [sql for sql in sent if re.match(r"COPY|PUT|SHOW WAREHOUSES", sql)]
    assert again.summary["computed"] == {} and "snowflake.copies" not in again.summary["metrics"]


def test_what_went_wrong_is_in_the_summary(target, tmp_path, stack):
    table = target()
    source = rows(tmp_path / "in.csv", 500)
    stack.snowflake("faults", {"faults": [{"sql": "^COPY", "action": "fail", "code": "002140", "sqlstate": "42601",
                                           "message": "planted", "times": 0}]})
    try:
        failed = table.file(source)
        assert failed.code == 1 and failed.summary["health"]["state"] == "unhealthy"
        assert failed.summary["health"]["reasons"][0] == "the run ended with snowflake.statement_failed"
        stack.snowflake("faults", {"faults": [{"sql": "^COPY", "action": "kill", "times": 1}]})
        assert table.file(source).done(committed=500).summary["health"]["state"] == "healthy"
    finally:
        stack.snowflake("faults", {"faults": []})
