"""What the program loads into Snowflake, read back by Snowflake's own connector: every cell of every row."""
import csv
import json
import os
import random
import subprocess
from collections import Counter

import pytest
from snowflake_rig import PASSWORD, ROOT, USER, StandIn, resolve_localhost_names

PROGRAM = os.environ.get("NEBULA_PROGRAM", str(ROOT / ".build/release/nebula-swift"))


@pytest.fixture(scope="module")
def standin(tmp_path_factory):
    resolve_localhost_names()
    standin = StandIn(tmp_path_factory.mktemp("snowflake"))
    yield standin
    standin.kill()


def load(standin, folder, path, table, *settings):
    """Runs the program until the file is loaded; its last lines when it fails."""
    properties = {"source.path": path, "destination.account": "acme", "destination.host": standin.url, "destination.user": USER,
                  "destination.password": PASSWORD, "destination.database": "DB", "destination.schema": "SCH",
                  "destination.table": table, **dict(settings)}
    arguments = [a for name, value in properties.items() for a in ("--set", f"{name}={value}")]
    environment = {**os.environ, "NEBULA_STATE_DIR": str(folder / f"state-{table}")}
    done = subprocess.run([PROGRAM, "run", "--source", "file", "--dest", "snowflake_optimized", *arguments], env=environment,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert PASSWORD not in done.stdout + done.stderr


def rows(standin, sql):
    connection = standin.connect()
    try:
        return connection.cursor().execute(sql).fetchall()
    finally:
        connection.close()


HOSTILE = ["", " ", "plain", "a,b", 'say "so"', "two\nlines", "\\N", "NULL", "\\", "tab\there", "ü ñ 漢字 😀", "'", "x" * 5000]


def test_csv_is_read_back_cell_by_cell(standin, tmp_path):
    chance = random.Random(7)
    written = [[str(n)] + [chance.choice(HOSTILE) for _ in range(4)] for n in range(2000)]
    path = tmp_path / "rows.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerows([["id", "a", "Second Column", "c", "d"], *written])
    load(standin, tmp_path, path, "CSV_ROWS", ("source.format", "csv"), ("destination.micro_batch_size", "300"))
    loaded = rows(standin, 'SELECT "ID", "A", "Second Column", "C", "D" FROM DB.SCH.CSV_ROWS')
    assert sorted(map(list, loaded)) == sorted(written)


def test_a_carriage_return_in_a_field(standin, tmp_path):
    path = tmp_path / "returns.csv"
    path.write_bytes(b'id,a\n1,"carriage\rreturn"\n')
    load(standin, tmp_path, path, "CSV_RETURNS", ("source.format", "csv"))
    assert rows(standin, "SELECT A FROM DB.SCH.CSV_RETURNS") == [("carriage\rreturn",)]


def test_an_empty_field_without_quotes_is_null(standin, tmp_path):
    path = tmp_path / "nulls.csv"
    path.write_text('id,a\n1,\n2,""\n3,x\n')
    load(standin, tmp_path, path, "CSV_NULLS", ("source.format", "csv"))
    assert sorted(rows(standin, "SELECT ID, A FROM DB.SCH.CSV_NULLS")) == [("1", None), ("2", ""), ("3", "x")]


@pytest.mark.parametrize("form", ["CSV", "JSON"])
def test_a_single_column_keeps_its_nulls(standin, tmp_path, form):
    path = tmp_path / "one.jsonl"
    path.write_text('{"cell":"x"}\n{"cell":null}\n{}\n{"cell":""}\n{"cell":"two\\n\\nlines"}\n')
    load(standin, tmp_path, path, f"SINGLE_{form}", ("destination.file_format", form))
    assert Counter(rows(standin, f"SELECT CELL FROM DB.SCH.SINGLE_{form}")) == {("x",): 1, (None,): 2, ("",): 1, ("two\n\nlines",): 1}


def test_of_two_members_with_one_name_the_last_is_loaded(standin, tmp_path):
    path = tmp_path / "twice.jsonl"
    path.write_text('{"id":1,"inner":{"a":1,"a":2}}\n{"id":2,"inner":{"a":3}}\n')
    load(standin, tmp_path, path, "TWICE", ("destination.file_format", "JSON"))
    assert sorted(rows(standin, 'SELECT "ID"::INT, "INNER":a::INT FROM DB.SCH.TWICE')) == [(1, 2), (2, 3)]


@pytest.mark.parametrize("form", ["CSV", "JSON"])
def test_flat_json_is_read_back_value_by_value(standin, tmp_path, form):
    chance = random.Random(8)
    values = [None, True, 0, -7, 9007199254740993, 0.5, {"a": [1, None, "x"]}, [], *HOSTILE]
    written = [{"id": n, "text": chance.choice(HOSTILE), "any": chance.choice(values)} for n in range(1000)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in written))
    table = f"JSON_{form}"
    load(standin, tmp_path, path, table, ("destination.file_format", form), ("destination.micro_batch_size", "300"))
    loaded = {json.loads(key): (text, None if value is None else json.loads(value))
              for key, text, value in rows(standin, f'SELECT "ID", "TEXT", "ANY" FROM DB.SCH.{table}')}
    assert loaded == {row["id"]: (row["text"], row["any"]) for row in written}
