"""Errors in data: what COPY answers with each ON_ERROR, and what TABLE(VALIDATE(…)) gives back. Driven by connector 4.8.1."""
import gzip
import json

import pytest
from snowflake_fixtures import Error, name, named_rows, put, run, session, settings, stage, standin  # noqa: F401

CSV = "FILE_FORMAT = (TYPE = CSV FIELD_OPTIONALLY_ENCLOSED_BY = '\"' ESCAPE_UNENCLOSED_FIELD = NONE NULL_IF = () {})"
COLUMNS = ["ERROR", "FILE", "LINE", "CHARACTER", "BYTE_OFFSET", "CATEGORY", "CODE", "SQL_STATE", "COLUMN_NAME", "ROW_NUMBER", "ROW_START_LINE", "REJECTED_RECORD"]


@pytest.fixture
def table(run):
    made = name()
    run(f"CREATE TABLE {made} (N NUMBER(5,0), S VARCHAR(5) NOT NULL, T VARCHAR)")
    return made


def copied(session, sql):
    """({column: value} of each file, the COPY's query id)"""
    cursor = session.cursor().execute(sql)
    return named_rows(cursor), cursor.sfqid


def validated(session, table, job):
    cursor = session.cursor().execute(f"SELECT * FROM TABLE(VALIDATE({table}, JOB_ID => '{job}')) ORDER BY FILE, ROW_NUMBER")
    assert [d[0] for d in cursor.description] == COLUMNS
    return named_rows(cursor)


BAD = 'h1,h2,h3\n1,abc,x\nzz,abc,x\n3,"to\no long",x\n4,,x\n5,abc\n6,abc,"q ""u"""\n'


class TestCsv:
    def test_continue(self, session, run, put, stage, table):
        put("bad.csv.gz", gzip.compress(BAD.encode()))
        (row,), job = copied(session, f"COPY INTO {table} FROM @{stage} FILES = ('bad.csv.gz') {CSV.format('SKIP_HEADER = 1')} ON_ERROR = CONTINUE")
        assert row == {"file": f"{stage.lower()}/bad.csv.gz", "status": "PARTIALLY_LOADED", "rows_parsed": 6, "rows_loaded": 2, "error_limit": 6,
                       "errors_seen": 4, "first_error": "Numeric value 'zz' is not recognized", "first_error_line": 3,
                       "first_error_character": 1, "first_error_column_name": f'"{table}"["N":1]'}
        assert run(f"SELECT * FROM {table} ORDER BY N") == [(1, "abc", "x"), (6, "abc", 'q "u"')]
        for which in (job, "_last"):
            rows = validated(session, table, which)
            assert [(r["LINE"], r["CHARACTER"], r["BYTE_OFFSET"], r["ROW_NUMBER"], r["ROW_START_LINE"], r["CODE"], r["COLUMN_NAME"]) for r in rows] == [
                (3, 1, 17, 2, 3, 100038, f'"{table}"["N":1]'), (4, 3, 28, 3, 4, 100078, f'"{table}"["S":2]'),
                (6, 3, 44, 4, 6, 100072, f'"{table}"["S":2]'), (7, 1, 47, 5, 7, 100080, None)]
            assert [r["REJECTED_RECORD"] for r in rows] == ["zz,abc,x", '3,"to\no long",x', "4,,x", "5,abc"]
            assert [r["CATEGORY"] for r in rows] == ["conversion"] * 3 + ["parsing"]
            assert {(r["FILE"], r["SQL_STATE"]) for r in rows} == {(f"@{stage}/bad.csv.gz", "22000")}

    def test_abort_says_where(self, session, run, put, stage, table):
        put("bad.csv", BAD)
        with pytest.raises(Error) as found:
            run(f"COPY INTO {table} FROM @{stage} FILES = ('bad.csv') {CSV.format('SKIP_HEADER = 1')}")
        assert found.value.errno == 100038 and "File 'bad.csv', line 3, character 1" in str(found.value) and "Numeric value 'zz'" in str(found.value)
        assert run(f"SELECT COUNT(*) FROM {table}") == [(0,)]

    @pytest.mark.parametrize("on_error, statuses", [
        ("SKIP_FILE", ["LOADED", "LOAD_FAILED"]), ("SKIP_FILE_4", ["LOADED", "LOAD_FAILED"]), ("SKIP_FILE_5", ["LOADED", "PARTIALLY_LOADED"]),
        ("'SKIP_FILE_66%'", ["LOADED", "LOAD_FAILED"]), ("'SKIP_FILE_67%'", ["LOADED", "PARTIALLY_LOADED"])])
    def test_skip_file(self, session, run, put, stage, table, on_error, statuses):
        put("bad.csv", BAD), put("good.csv", "h\n1,a,b\n")
        copy = f"COPY INTO {table} FROM @{stage} FILES = ('good.csv', 'bad.csv') {CSV.format('SKIP_HEADER = 1')} ON_ERROR = {on_error}"
        rows, job = copied(session, copy)
        assert [r["status"] for r in rows] == statuses
        failed = statuses[1] == "LOAD_FAILED"
        assert (rows[1]["rows_parsed"], rows[1]["rows_loaded"], rows[1]["errors_seen"]) == (6, 0 if failed else 2, 4)
        assert len(validated(session, table, job)) == 4
        again = [r["status"] for r in copied(session, copy)[0]]
        assert again == ["LOAD_SKIPPED", "LOAD_FAILED" if failed else "LOAD_SKIPPED"]

    def test_nothing_wrong(self, session, put, stage, table):
        put("good.csv", "1,a,b\n2,b,c\n")
        (row,), job = copied(session, f"COPY INTO {table} FROM @{stage} FILES = ('good.csv') {CSV.format('')} ON_ERROR = CONTINUE")
        assert (row["status"], row["rows_parsed"], row["rows_loaded"], row["errors_seen"], row["first_error"]) == ("LOADED", 2, 2, 0, None)
        assert validated(session, table, job) == []

    def test_many_bad_rows(self, session, put, stage, table):
        put("m.csv", "".join(f"{'x' if i % 10 == 0 else i % 1000},s,t\n" for i in range(50000)))
        (row,), job = copied(session, f"COPY INTO {table} FROM @{stage} FILES = ('m.csv') {CSV.format('')} ON_ERROR = CONTINUE")
        assert (row["rows_parsed"], row["rows_loaded"], row["errors_seen"]) == (50000, 45000, 5000)
        rows = validated(session, table, job)
        assert len(rows) == 5000 and rows[-1]["LINE"] == 49991 and rows[-1]["ERROR"] == "Numeric value 'x' is not recognized"

    @pytest.mark.parametrize("content, compression", [(b"\x1f\x8b not gzip at all", "GZIP"), (b"1,a\xff\xfe,b\n", "NONE")])
    def test_a_file_that_is_none(self, session, run, put, stage, table, content, compression):
        put("broken.csv", content), put("good.csv", gzip.compress(b"1,a,b\n") if compression == "GZIP" else b"1,a,b\n")
        rows, job = copied(session, f"COPY INTO {table} FROM @{stage} FILES = ('broken.csv', 'good.csv') "
                                    f"{CSV.format(f'COMPRESSION = {compression}')} ON_ERROR = CONTINUE")
        assert [r["status"] for r in rows] == ["LOAD_FAILED", "LOADED"] and rows[0]["errors_seen"] == 1 and rows[0]["first_error"]
        assert [r["FILE"] for r in validated(session, table, job)] == [f"@{stage}/broken.csv"]
        with pytest.raises(Error):
            run(f"COPY INTO {table} FROM @{stage} FILES = ('broken.csv') {CSV.format(f'COMPRESSION = {compression}')}")

    @pytest.mark.parametrize("missing, expected", [("silent", ["LOADED"]), ("row", ["LOADED", "LOAD_FAILED"])])
    def test_a_file_that_is_not_there(self, standin, session, put, stage, table, missing, expected):
        standin.control("settings", {"missing_files": missing})
        put("good.csv", "1,a,b\n")
        rows, _ = copied(session, f"COPY INTO {table} FROM @{stage} FILES = ('good.csv', 'nope.csv') {CSV.format('')} ON_ERROR = SKIP_FILE")
        assert [r["status"] for r in rows] == expected


class TestOthers:
    def test_json(self, session, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (V VARIANT)")
        put("j.json", '{"a":1}\n\n{"a":\n{"a":NaN}\n{"a":2}\n{"a":1,"a":2}\n')
        (row,), job = copied(session, f"COPY INTO {table} FROM @{stage} FILES = ('j.json') FILE_FORMAT = (TYPE = JSON) ON_ERROR = CONTINUE")
        assert (row["status"], row["rows_parsed"], row["rows_loaded"], row["errors_seen"], row["first_error_line"]) == ("PARTIALLY_LOADED", 5, 2, 3, 3)
        rows = validated(session, table, job)
        assert [(r["LINE"], r["ROW_NUMBER"], r["CODE"], r["REJECTED_RECORD"]) for r in rows] == [
            (3, 2, 100069, '{"a":'), (4, 3, 100069, '{"a":NaN}'), (6, 5, 100069, '{"a":1,"a":2}')]

    @pytest.mark.parametrize("answered", [False, True])
    def test_matched_by_name(self, standin, session, run, put, stage, answered):
        standin.control("settings", {"validate_matched": answered})
        table = name()
        run(f"CREATE TABLE {table} (A INT, B TIMESTAMP_NTZ)")
        put("j.json", '{"a":1}\n{"a":"x"}\n{"b":"never"}\n{"a":2,"b":"2024-01-01"}\n')
        (row,), job = copied(session, f"COPY INTO {table} FROM @{stage} FILES = ('j.json') FILE_FORMAT = (TYPE = JSON) "
                                      "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE ON_ERROR = CONTINUE")
        assert (row["rows_loaded"], row["errors_seen"], row["first_error"]) == (2, 2, "Numeric value 'x' is not recognized")
        if answered:
            assert [(r["ERROR"], r["REJECTED_RECORD"]) for r in validated(session, table, job)] == [
                ("Numeric value 'x' is not recognized", '{"a":"x"}'), ("Timestamp 'never' is not recognized", '{"b":"never"}')]
        else:
            with pytest.raises(Error) as found:
                validated(session, table, job)
            assert found.value.sqlstate == "0A000"

    def test_parquet(self, standin, session, run, put, stage, tmp_path):
        import pyarrow
        import pyarrow.parquet
        standin.control("settings", {"validate_matched": True})
        table = name()
        run(f"CREATE TABLE {table} (A NUMBER(3,0), S VARCHAR(3))")
        pyarrow.parquet.write_table(pyarrow.table({"A": [1, 2000, 3], "S": ["abc", "x", "abcd"]}), tmp_path / "x.parquet")
        put("p.parquet", (tmp_path / "x.parquet").read_bytes())
        (row,), job = copied(session, f"COPY INTO {table} FROM @{stage} FILES = ('p.parquet') FILE_FORMAT = (TYPE = PARQUET) "
                                      "MATCH_BY_COLUMN_NAME = CASE_SENSITIVE ON_ERROR = CONTINUE")
        assert (row["rows_parsed"], row["rows_loaded"], row["errors_seen"]) == (3, 1, 2)
        rows = validated(session, table, job)
        assert [(r["ROW_NUMBER"], r["CODE"], json.loads(r["REJECTED_RECORD"])) for r in rows] == [
            (2, 100038, {"A": 2000, "S": "x"}), (3, 100078, {"A": 3, "S": "abcd"})]

    def test_what_validate_refuses(self, standin, session, run, put, stage, table):
        put("bad.csv", "1,a,b\nx,a,b\n")
        _, job = copied(session, f"COPY INTO {table} FROM (SELECT $1, $2, $3 FROM @{stage}) FILES = ('bad.csv') {CSV.format('')} ON_ERROR = CONTINUE")
        with pytest.raises(Error) as found:
            validated(session, table, job)
        assert "transforms" in str(found.value)
        _, job = copied(session, f"COPY INTO {table} FROM @{stage} FILES = ('bad.csv') {CSV.format('')} FORCE = TRUE ON_ERROR = CONTINUE")
        other = name()
        run(f"CREATE TABLE {other} (A INT)")
        for table_, job_ in ((other, job), (table, "00000000-0000-0000-0000-000000000000")):
            with pytest.raises(Error):
                validated(session, table_, job_)
        with standin.connect() as fresh, pytest.raises(Error):
            validated(fresh, table, "_last")
        run(f"REMOVE @{stage}/bad.csv")
        rows = validated(session, table, job)
        assert len(rows) == 1 and "was not found" in rows[0]["ERROR"] and rows[0]["FILE"] == f"@{stage}/bad.csv"

    def test_an_aborted_copy_leaves_nothing_to_validate(self, session, run, put, stage, table):
        put("bad.csv", "1,a,b\n")
        _, job = copied(session, f"COPY INTO {table} FROM @{stage} FILES = ('bad.csv') {CSV.format('')}")
        assert validated(session, table, job) == []

    def test_return_failed_only(self, session, put, stage, table):
        put("bad.csv", "x,a,b\n"), put("good.csv", "1,a,b\n")
        rows, _ = copied(session, f"COPY INTO {table} FROM @{stage} FILES = ('good.csv', 'bad.csv') {CSV.format('')} ON_ERROR = CONTINUE RETURN_FAILED_ONLY = TRUE")
        assert [r["status"] for r in rows] == ["LOAD_FAILED"]

    def test_copy_history(self, session, run, put, stage, table):
        put("bad.csv", "1,a,b\nx,a,b\n")
        copied(session, f"COPY INTO {table} FROM @{stage} FILES = ('bad.csv') {CSV.format('')} ON_ERROR = CONTINUE")
        rows = named_rows(session.cursor().execute(f"SELECT * FROM TABLE(INFORMATION_SCHEMA.COPY_HISTORY(TABLE_NAME => '{table}', "
                                                   "START_TIME => DATEADD(hours, -1, CURRENT_TIMESTAMP())))"))
        assert [(r["FILE_NAME"], r["STATUS"], r["ROW_COUNT"], r["ERROR_COUNT"]) for r in rows] == [("bad.csv", "Partially loaded", 1, 1)]


class TestGet:
    @pytest.mark.parametrize("encrypted", [True, False])
    @pytest.mark.parametrize("location, presigned", [("S3", False), ("AZURE", False), ("GCS", False), ("GCS", True), ("LOCAL_FS", False)])
    def test_the_connector_gets_what_it_put(self, standin, run, stage, tmp_path, location, presigned, encrypted):
        standin.control("stage", {"stage": f"DB.SCH.{stage}", "location": location, "encrypted": encrypted, "presigned": presigned})
        (tmp_path / "a.txt").write_bytes(b"a" * 100000), (tmp_path / "b.txt").write_bytes(b"b")
        for file in ("a.txt", "b.txt"):
            run(f"PUT file://{tmp_path / file} @{stage}/dir/sub AUTO_COMPRESS=FALSE")
        (tmp_path / "out").mkdir()
        rows = run(f"GET @{stage}/dir/sub/ file://{tmp_path}/out/")
        assert [(r[0], r[2]) for r in rows] == [("a.txt", "DOWNLOADED"), ("b.txt", "DOWNLOADED")]
        assert (tmp_path / "out" / "a.txt").read_bytes() == b"a" * 100000 and (tmp_path / "out" / "b.txt").read_bytes() == b"b"
        (tmp_path / "two" / "sub").mkdir(parents=True)
        assert [r[0] for r in run(f"GET @{stage}/dir 'file://{tmp_path}/two' PATTERN = '.*b[.]txt'")] == ["sub/b.txt"]
