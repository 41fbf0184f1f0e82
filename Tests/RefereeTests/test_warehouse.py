"""Every option of snowflake_optimized by its effect on the rows, read back by Snowflake's own connector and the ADBC driver; and
what the program takes for granted of Snowflake. On the stand-in, or with NEBULA_LIVE_SNOWFLAKE=1 on a real account (see warehouse.py)."""
import json
import os
import subprocess

import pytest
from snowflake.connector import DictCursor, ProgrammingError
from warehouse import IS_LIVE, PROGRAM, Account


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    account = Account(tmp_path_factory.mktemp("warehouse"))
    yield account
    account.close()


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


ROWS = [{"id": n, "name": f'n"{n},\n', "price": n / 8, "big": 9007199254740993 + n, "ok": n % 2 == 0, "doc": {"a": [n, None]}} for n in range(200)]
CHOICES = [("CSV", "GZIP"), ("CSV", "ZSTD"), ("CSV", "NONE"), ("JSON", "GZIP"), ("JSON", "ZSTD"), ("JSON", "NONE"), ("PARQUET", "SNAPPY"),
           ("PARQUET", "ZSTD"), ("PARQUET", "GZIP"), ("PARQUET", "NONE")]


@pytest.mark.parametrize("form, compression", CHOICES)
@pytest.mark.parametrize("is_async", ["false", "true"])
def test_every_format(account, tmp_path, form, compression, is_async):
    table = f"F_{form}_{compression}_{is_async}".upper()
    account.load(lines(tmp_path / "rows.jsonl", ROWS), table, file_format=form, compression_type=compression, async_copy=is_async,
                 schema_evolution="true")
    for read in (account.rows, account.rows_by_adbc):
        found = read(f'SELECT "ID", "NAME", "PRICE", "BIG", "OK", TO_JSON("DOC") FROM {account.full(table)} ORDER BY "ID"')
        assert [(int(i), n, float(p), int(b), o, json.loads(d)) for i, n, p, b, o, d in found] == [
            (r["id"], r["name"], r["price"], r["big"], r["ok"], r["doc"]) for r in ROWS]


def test_merge_by_key(account, tmp_path):
    first = lines(tmp_path / "a.jsonl", [{"id": n, "v": "old"} for n in range(50)] + [{"id": 7, "v": "twice"}])
    account.load(first, "MERGED", write_mode="merge", key="ID", file_format="JSON", contract="freeze")
    second = tmp_path / "b.csv"
    second.write_text("id,v\n3,new\n60,more\n3,newest\n")
    account.load(second, "MERGED2", write_mode="merge", key="ID", table=account.table("MERGED"), contract="freeze")
    for read in (account.rows, account.rows_by_adbc):
        found = dict(read(f'SELECT "ID", "V" FROM {account.full("MERGED")}'))
        assert found == {**{n: "old" for n in range(50)}, 7: "twice", 3: "newest", 60: "more"}


def test_new_fields_and_unfit_values(account, tmp_path):
    account.load(lines(tmp_path / "a.jsonl", [{"id": 1, "n": 5}]), "EVOLVED", schema_evolution="true")
    account.load(lines(tmp_path / "b.jsonl", [{"id": 2, "n": "five", "new": True}]), "EVOLVED2", table=account.table("EVOLVED"),
                 schema_evolution="true")
    found = account.rows(f'SELECT "ID", "N", "NEW", "_OVERFLOW":n:value::VARCHAR FROM {account.full("EVOLVED")} ORDER BY "ID"')
    assert found == [(1, 5, None, None), (2, None, True, "five")]


@pytest.mark.parametrize("policy, loaded", [("CONTINUE", 3), ("SKIP_FILE", 0)])
def test_rows_that_are_left_out_are_kept(account, tmp_path, policy, loaded):
    table = f"ERRORS_{policy}"
    account.run(f'CREATE TABLE {account.full(table)} ("ID" NUMBER(38,0), "NAME" VARCHAR(5))')
    path = lines(tmp_path / "rows.jsonl", [{"id": n, "name": name} for n, name in enumerate(["a", "b", "toolong", "d"])])
    configuration = {"source": {"type": "file", "properties": {"path": str(path)}}, "name": account.table(table),
                     "destination": {"type": "snowflake_optimized", "properties": {
                         **account.properties, "table": account.table(table), "stage_name": f"{account.mark}_STAGE", "file_format": "JSON",
                         "copy_options": {"ON_ERROR": policy}}}}
    (tmp_path / "pipeline.yaml").write_text(json.dumps(configuration))
    done = subprocess.run([PROGRAM, "run", str(tmp_path / "pipeline.yaml"), "--state", str(tmp_path / "state")], capture_output=True, text=True,
                          timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert account.rows(f"SELECT COUNT(*) FROM {account.full(table)}") == [(loaded,)]
    letters = [json.loads(line) for file in (tmp_path / "state").rglob("*.jsonl") for line in file.read_text().splitlines()]
    assert len(letters) == 4 - loaded and any("toolong" in json.dumps(letter) for letter in letters)


def test_names_are_names(account, tmp_path):
    name = account.table('a "b";--')
    account.load(lines(tmp_path / "rows.jsonl", [{'c "d";--': 1, "select": "x"}]), "NAMES", table=f'"{name.replace(chr(34), chr(34) * 2)}"')
    quoted = name.replace('"', '""')
    assert account.rows(f'SELECT "c ""d"";--"::INT, "SELECT" FROM {account.database}.{account.schema}."{quoted}"') == [(1, "x")]
    account.run(f'DROP TABLE {account.database}.{account.schema}."{quoted}"')


@pytest.mark.skipif(not os.environ.get("NEBULA_LIVE_STAGE_URL"), reason="needs a bucket; on the stand-in test_external_stage.py does it")
def test_an_external_stage(account, tmp_path):
    url = os.environ["NEBULA_LIVE_STAGE_URL"]
    account.load(lines(tmp_path / "rows.jsonl", ROWS), "EXTERNAL", use_external_stage="true", file_format="JSON", external_stage_url=url,
                 external_stage_type={"s3": "S3", "gcs": "GCS", "azure": "AZURE"}[url.split(":")[0]], stage_name=f"{account.mark}_EXTERNAL",
                 storage_integration=os.environ["NEBULA_LIVE_STAGE_INTEGRATION"])
    assert account.rows(f"SELECT COUNT(*) FROM {account.full('EXTERNAL')}") == [(len(ROWS),)]


# --- what the program takes for granted of Snowflake


def test_an_update_of_the_fence_blocks_a_second_one(account):
    fence = account.full("FENCE")
    account.run(f"CREATE TABLE {fence} (G INT)")
    account.run(f"INSERT INTO {fence} VALUES (1)")
    first, second = account.connect(autocommit=False), account.connect(autocommit=False)
    first.cursor().execute("BEGIN")
    first.cursor().execute(f"UPDATE {fence} SET G = G")
    second.cursor().execute("ALTER SESSION SET LOCK_TIMEOUT = 2")
    second.cursor().execute("BEGIN")
    with pytest.raises(Exception) as refusal:
        second.cursor().execute(f"UPDATE {fence} SET G = 2")
    assert "000625" in str(refusal.value) or "lock" in str(refusal.value).lower()
    first.rollback()
    first.close()
    second.close()


def test_copy_and_an_insert_are_one_transaction(account, tmp_path):
    landed, ledger, stage = account.full("LANDED"), account.full("LEDGER"), account.full("STAGE2")
    account.run(f"CREATE TABLE {landed} (V VARIANT)")
    account.run(f"CREATE TABLE {ledger} (E VARCHAR)")
    account.run(f"CREATE STAGE {stage}")
    path = lines(tmp_path / "rows.json", [{"a": 1}, {"a": 2}])
    for ending, expected in (("ROLLBACK", 0), ("COMMIT", 2)):
        connection = account.connect(autocommit=False)
        cursor = connection.cursor()
        cursor.execute(f"PUT file://{path} @{stage} AUTO_COMPRESS=FALSE OVERWRITE=TRUE")
        cursor.execute("BEGIN NAME NEBULA_LIVE_TEST")
        cursor.execute(f"COPY INTO {landed} FROM @{stage} FILES = ('rows.json') FILE_FORMAT = (TYPE = JSON)")
        cursor.execute(f"INSERT INTO {ledger} VALUES ('1-1')")
        assert account.rows(f"SELECT COUNT(*) FROM {landed}") == [(0,)]
        assert any("NEBULA_LIVE_TEST" in str(row) for row in account.rows("SHOW TRANSACTIONS"))
        cursor.execute(ending)
        connection.close()
        assert account.rows(f"SELECT (SELECT COUNT(*) FROM {landed}) + 0") == [(expected,)]
        assert account.rows(f"SELECT COUNT(*) FROM {ledger}") == [(expected // 2,)]


def test_a_transaction_is_ended_from_outside(account):
    table = account.full("ABORTED")
    account.run(f"CREATE TABLE {table} (A INT)")
    connection = account.connect(autocommit=False)
    connection.cursor().execute("BEGIN NAME NEBULA_LIVE_ABORTED")
    connection.cursor().execute(f"INSERT INTO {table} VALUES (1)")
    shown = account.connect()
    cursor = shown.cursor(DictCursor)
    number = next(row["id"] for row in cursor.execute("SHOW TRANSACTIONS").fetchall() if row["name"] == "NEBULA_LIVE_ABORTED")
    shown.cursor().execute(f"SELECT SYSTEM$ABORT_TRANSACTION({number})")
    try:                                              # refused, or it commits nothing: which of both is not relied on
        connection.cursor().execute("COMMIT")
    except ProgrammingError:
        pass
    assert account.rows(f"SELECT COUNT(*) FROM {table}") == [(0,)]
    shown.close()
    connection.close()


def test_a_merge_reads_what_its_transaction_copied(account):
    target, landing = account.full("TARGET"), account.full("LANDING")
    account.run(f"CREATE TABLE {target} (K VARCHAR, S VARCHAR, V INT)")
    account.run(f"CREATE TRANSIENT TABLE {landing} (K VARCHAR, S VARCHAR, V INT)")
    connection = account.connect(autocommit=False)
    cursor = connection.cursor()
    cursor.execute("BEGIN")
    cursor.execute(f"INSERT INTO {landing} VALUES ('a', '1', 1), ('a', '2', 2), ('b', '1', 3)")
    cursor.execute(f"MERGE INTO {target} AS t USING (SELECT * FROM {landing} QUALIFY ROW_NUMBER() OVER (PARTITION BY K ORDER BY S DESC) = 1) "
                   "AS s ON t.K = s.K AND t.K BETWEEN 'a' AND 'b' WHEN MATCHED AND s.S > t.S THEN UPDATE SET S = s.S, V = s.V "
                   "WHEN NOT MATCHED THEN INSERT (K, S, V) VALUES (s.K, s.S, s.V)")
    assert cursor.execute(f"DELETE FROM {landing}").fetchall() == [(3,)]
    connection.commit()
    connection.close()
    assert sorted(account.rows(f"SELECT K, V FROM {target}")) == [("a", 2), ("b", 3)]
    assert account.rows(f"SELECT COUNT(*) FROM {landing}") == [(0,)]


def test_the_account_is_what_it_is_said_to_be(account):
    """Nobody takes a run on the stand-in for one on an account."""
    version = account.rows("SELECT CURRENT_VERSION()")[0][0]
    print("live" if IS_LIVE else "stand-in", version)
    assert version
