"""The Snowflake stand-in driven by Snowflake's own clients: connector 4.8.1 and the ADBC driver (gosnowflake)."""
import base64
import gzip
import hashlib
import json
import os
import random
import threading
import time
import uuid

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import jwt
import pytest
import requests
import snowflake.connector
import zstandard
from cryptography.hazmat.primitives.asymmetric import rsa
from snowflake_fixtures import Error, in_thread, name, put, run, session, settings, stage, standin, until  # noqa: F401
from snowflake_rig import PASSWORD, ROOT, USER, Bare, StandIn


# --- logins and sessions

class TestLogin:
    def test_password(self, run):
        assert run("SELECT CURRENT_USER(), CURRENT_DATABASE(), CURRENT_SCHEMA(), CURRENT_WAREHOUSE()") == [(USER, "DB", "SCH", "WH")]

    @pytest.mark.parametrize("wrong", [{"password": "no"}, {"user": "NOBODY"}])
    def test_wrong_password(self, standin, wrong):
        with pytest.raises(Error) as found:
            standin.connect(**wrong)
        assert "Incorrect username or password" in str(found.value)

    def test_key_pair(self, standin):
        with standin.connect(password=None, private_key=standin.key) as connection:
            assert connection.cursor().execute("SELECT 1").fetchone() == (1,)

    def test_another_key_is_refused(self, standin):
        with pytest.raises(Error) as found:
            standin.connect(password=None, private_key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
        assert "JWT token is invalid" in str(found.value)

    @pytest.mark.parametrize("change, code", [({}, None), ({"sub": "ACME.OTHER"}, "390144"), ({"exp": -30}, "394304"),
                                              ({"iss": "ACME.LOADER.SHA256:AAAA"}, "390144"), ({"exp": 7200}, "390144")])
    def test_claims_are_checked(self, standin, change, code):
        from cryptography.hazmat.primitives import serialization
        der = standin.key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        now = int(time.time())
        print_ = base64.b64encode(hashlib.sha256(der).digest()).decode()
        claims = {"iss": f"ACME.{USER}.SHA256:{print_}", "sub": f"ACME.{USER}", "iat": now - 60, "exp": now + 60}
        claims.update({k: now + v if k == "exp" else v for k, v in change.items()})
        bare = standin.bare(PASSWORD=None, AUTHENTICATOR="SNOWFLAKE_JWT", TOKEN=jwt.encode(claims, standin.key, "RS256"))
        assert bare.answer["code"] == code

    def test_tokens(self, standin):
        assert standin.bare(AUTHENTICATOR="PROGRAMMATIC_ACCESS_TOKEN", TOKEN="pat-of-the-test").token
        assert standin.bare(AUTHENTICATOR="PROGRAMMATIC_ACCESS_TOKEN", TOKEN="x").answer["code"] == "394400"
        assert standin.bare(AUTHENTICATOR="OAUTH", TOKEN="oauth-of-the-test").token
        assert standin.bare(AUTHENTICATOR="OAUTH", TOKEN="x").answer["code"] == "390303"

    def test_expired_session_is_renewed_by_the_connector(self, standin, session, run):
        number = run("SELECT CURRENT_SESSION()")[0][0]
        standin.control("expire-sessions", {"session": int(number)})
        assert run("SELECT CURRENT_SESSION()") == [(number,)]

    def test_codes_of_the_session_life(self, standin):
        bare = standin.bare()
        number = bare.data["sessionId"]
        old = bare.token
        standin.control("expire-sessions", {"session": number})
        assert bare.query("SELECT 1")["code"] == "390112"
        renewed = bare.post("/session/token-request", {"oldSessionToken": old, "requestType": "RENEW"}, bare.data["masterToken"])
        bare.token = renewed["data"]["sessionToken"]
        assert renewed["data"]["sessionId"] == number and bare.query("SELECT 1")["success"]
        standin.control("expire-sessions", {"session": number, "master": True})
        assert bare.post("/session/token-request", {"oldSessionToken": bare.token, "requestType": "RENEW"}, bare.data["masterToken"])["code"] == "390114"
        other = standin.bare()
        assert other.post("/session/heartbeat", token=other.token)["success"]
        assert other.post("/session?delete=true", token=other.token)["success"]
        assert other.query("SELECT 1")["code"] == "390111"
        assert other.post("/session/heartbeat", token="nonsense")["code"] == "390104"


# --- SQL

class TestSql:
    def test_types_and_cells(self, run):
        table = name()
        run(f'CREATE TABLE {table} (N NUMBER(38,10), F FLOAT, B BOOLEAN, D DATE, TS TIMESTAMP_NTZ, BIN BINARY, V VARIANT, S VARCHAR(3), "a" INT, "A" INT)')
        run(f"""INSERT INTO {table} SELECT '1234567890123456789012345678.0123456789', 1.5, TRUE, '2024-02-29', '2024-02-29 12:34:56.789',
                TO_BINARY('00FF'), PARSE_JSON('{{"x": {{"y": [1, "zwei"]}}}}'), 'äöü', 1, 2""")
        row = run(f'SELECT N, F, B, D, TS, BIN, V:x.y[1]::VARCHAR, S, "a", "A", V:x:nothing FROM {table}')[0]
        assert str(row[0]) == "1234567890123456789012345678.0123456789"
        assert row[1:3] == (1.5, True) and row[3].isoformat() == "2024-02-29" and row[4].isoformat() == "2024-02-29T12:34:56.789000"
        assert row[5:] == (b"\0\xff", "zwei", "äöü", 1, 2, None)

    def test_names_fold_as_in_snowflake(self, run):
        table = name()
        run(f'CREATE TABLE "{table}" (id INT, "qu""oted name" INT)')
        run(f'insert into {table.lower()} (ID, "qu""oted name") values (1, 2)')
        assert run(f'SELECT t."ID", t."qu""oted name" FROM db.sch.{table.lower()} AS t') == [(1, 2)]
        with pytest.raises(Error) as found:
            run(f'SELECT * FROM "{table.lower()}"')
        assert (found.value.errno, found.value.sqlstate) == (2003, "42S02")

    @pytest.mark.parametrize("sql, number, state", [
        ("SELECT * FROM NOT_THERE", 2003, "42S02"), ("SELEC 1", 1003, "42000"), ("USE DATABASE NOPE", 2003, "02000"),
        ("CREATE TABLE DB.NOPE.T (A INT)", 2003, "02000"), ("LIST @NOPE", 2003, "02000"), ("ALTER SESSION SET NOPE = 1", 1030, "22023")])
    def test_failures(self, run, sql, number, state):
        with pytest.raises(Error) as found:
            run(sql)
        assert (found.value.errno, found.value.sqlstate) == (number, state)

    def test_existing_table_and_length(self, run):
        table = name()
        run(f"CREATE TABLE {table} (S VARCHAR(3))")
        run(f"CREATE TABLE IF NOT EXISTS {table} (S VARCHAR(3))")
        for sql, number in ((f"CREATE TABLE {table} (A INT)", 2002), (f"INSERT INTO {table} VALUES ('four')", 100078)):
            with pytest.raises(Error) as found:
                run(sql)
            assert found.value.errno == number

    def test_merge_alter_describe_information_schema(self, run):
        table = name()
        run(f"CREATE TABLE {table} (ID INT, S VARCHAR)")
        run(f"INSERT INTO {table} VALUES (1, 'a'), (2, 'b'), (3, 'c')")
        merged = run(f"""MERGE INTO {table} t USING (SELECT 1 AS id, 'x' AS s UNION ALL SELECT 2, NULL UNION ALL SELECT 9, 'n') u ON t.id = u.id
                         WHEN MATCHED AND u.s IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET S = u.s
                         WHEN NOT MATCHED THEN INSERT (ID, S) VALUES (u.id, u.s)""")
        assert merged == [(1, 1, 1)]
        assert run(f"SELECT * FROM {table} ORDER BY ID") == [(1, "x"), (3, "c"), (9, "n")]
        run(f"ALTER TABLE {table} ADD COLUMN EXTRA VARIANT")
        assert [r[:2] for r in run(f"DESCRIBE TABLE {table}")] == [("ID", "NUMBER(38,0)"), ("S", "VARCHAR(16777216)"), ("EXTRA", "VARIANT")]
        assert run(f"SELECT ROW_COUNT FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_NAME = '{table}'") == [(3,)]
        assert [r[1] for r in run(f"SHOW TABLES LIKE '{table}'")] == [table]
        assert run(f"DELETE FROM {table} WHERE ID > 2") == [(2,)]

    def test_rights(self, standin):
        table = name()
        with standin.connect() as owner:
            owner.cursor().execute(f"CREATE TABLE {table} (A INT)")
        standin.control("user", {"name": "POOR", "password": "p", "deny": ["CREATE TABLE", f"INSERT {table}", "CREATE STAGE"]})
        with standin.connect(user="POOR", password="p") as poor:
            for sql in (f"CREATE TABLE {name()} (A INT)", f"INSERT INTO {table} VALUES (1)", f"CREATE STAGE {name()}"):
                with pytest.raises(Error) as found:
                    poor.cursor().execute(sql)
                assert (found.value.errno, found.value.sqlstate) == (3001, "42501")
            assert poor.cursor().execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,)


# --- answers

class TestAnswers:
    def test_chunks(self, standin, run):
        standin.control("settings", {"chunk_rows": 10})
        rows = run("SELECT column0 AS I, 'text ' || column0 AS S FROM (SELECT unnest(range(50000)) AS column0) ORDER BY I")
        assert len(rows) == 50000 and rows[-1] == (49999, "text 49999") and rows == sorted(rows)

    def test_chunks_want_their_headers(self, standin):
        standin.control("settings", {"chunk_rows": 10})
        data = standin.bare().query("SELECT unnest(range(100)) AS I")["data"]
        chunk = data["chunks"][0]
        assert data["total"] == 100 and len(data["rowset"]) == 10 and chunk["rowCount"] == 90
        assert requests.get(chunk["url"]).status_code == 403
        body = requests.get(chunk["url"], headers=data["chunkHeaders"]).content
        assert body[:2] == b"\x1f\x8b" and json.loads(b"[" + gzip.decompress(body) + b"]")[0] == ["10"]

    def test_arrow_when_asked(self, standin):
        standin.control("settings", {"result_format": "arrow"})
        data = standin.bare().query("SELECT 1 AS A")["data"]
        assert data["queryResultFormat"] == "arrow" and "rowset" not in data and data["rowsetBase64"]

    def test_long_statements(self, standin, session):
        standin.control("settings", {"sync_seconds": 0.1})
        bare = standin.bare()
        answer = bare.query("SELECT SYSTEM$WAIT(1)")
        assert answer["code"] == "333333" and answer["success"]
        assert bare.get(f"/monitoring/queries/{answer['data']['queryId']}")["data"]["queries"][0]["status"] == "RUNNING"
        until(lambda: bare.get(answer["data"]["getResultUrl"])["code"] is None)
        assert session.cursor().execute("SELECT SYSTEM$WAIT(1)").fetchone() == ("waited 1 seconds",)

    def test_asynchronous(self, session):
        cursor = session.cursor()
        cursor.execute_async("SELECT 7 AS A")
        until(lambda: not session.is_still_running(session.get_query_status(cursor.sfqid)))
        cursor.get_results_from_sfqid(cursor.sfqid)
        assert cursor.fetchall() == [(7,)]

    def test_abort_cancels_a_running_statement(self, standin):
        bare, request = standin.bare(), str(uuid.uuid4())
        wait = in_thread(lambda: bare.query("SELECT SYSTEM$WAIT(60)", request))
        until(lambda: bare.post("/queries/v1/abort-request", {"requestId": request}, bare.token)["success"])
        assert wait()["code"] == "000604"
        assert bare.post("/queries/v1/abort-request", {"requestId": request}, bare.token)["code"] == "000605"

    def test_bindings(self, standin):
        rows = standin.bare().rows("SELECT ?, ? + 1", bindings={"1": {"type": "TEXT", "value": "it's"}, "2": {"type": "FIXED", "value": "41"}})
        assert rows == [["it's", "42"]]


# --- transactions and locks: two sessions of the connector

@pytest.fixture
def pair(standin):
    first, second = standin.connect(), standin.connect()
    yield first.cursor(), second.cursor()
    first.close()
    second.close()


@pytest.fixture
def fence(run):
    table = name("FENCE")
    run(f"CREATE TABLE {table} (P VARCHAR, G INT)")
    run(f"INSERT INTO {table} VALUES ('p', 0)")
    return table


def blocked(standin, table):
    return any((t["waits_for"] or "").endswith(table) for t in standin.control("transactions")["transactions"])


class TestTransactions:
    def test_isolation_and_rollback(self, pair, fence):
        a, b = pair
        a.execute("BEGIN")
        a.execute(f"INSERT INTO {fence} VALUES ('q', 1)")
        assert a.execute(f"SELECT COUNT(*) FROM {fence}").fetchone() == (2,)
        assert b.execute(f"SELECT COUNT(*) FROM {fence}").fetchone() == (1,)
        a.execute("ROLLBACK")
        assert a.execute(f"SELECT COUNT(*) FROM {fence}").fetchone() == (1,)

    def test_read_committed(self, pair, fence):
        a, b = pair
        a.execute("BEGIN")
        assert a.execute(f"SELECT G FROM {fence}").fetchone() == (0,)
        b.execute(f"UPDATE {fence} SET G = 5")
        assert a.execute(f"SELECT G FROM {fence}").fetchone() == (5,)
        a.execute("COMMIT")

    @pytest.mark.parametrize("end, seen", [("COMMIT", 2), ("ROLLBACK", 1)])
    def test_second_update_of_the_fence_waits(self, standin, pair, fence, end, seen):
        a, b = pair
        a.execute("BEGIN")
        a.execute(f"UPDATE {fence} SET G = G + 1 WHERE P = 'p'")
        b.execute("BEGIN")
        wait = in_thread(lambda: b.execute(f"UPDATE {fence} SET G = G + 1 WHERE P = 'p'").fetchone())
        until(lambda: blocked(standin, fence))
        assert wait.thread.is_alive()
        a.execute(end)
        assert wait()[0] == 1
        assert b.execute(f"SELECT G FROM {fence}").fetchone() == (seen,)
        b.execute("COMMIT")

    @pytest.mark.parametrize("second", ["UPDATE {} SET G = 1 WHERE P = 'other'", "DELETE FROM {} WHERE P = 'other'",
                                        "MERGE INTO {} f USING (SELECT 'z' AS P) s ON f.P = s.P WHEN NOT MATCHED THEN INSERT (P, G) VALUES (s.P, 0)"])
    def test_the_lock_is_the_tables(self, pair, fence, second):
        a, b = pair
        a.execute("BEGIN")
        a.execute(f"UPDATE {fence} SET G = 1 WHERE P = 'p'")
        b.execute("ALTER SESSION SET LOCK_TIMEOUT = 1")
        with pytest.raises(Error) as found:
            b.execute(second.format(fence))
        assert found.value.errno == 625
        a.execute("COMMIT")
        b.execute(second.format(fence))

    def test_insert_does_not_wait(self, pair, fence):
        a, b = pair
        a.execute("BEGIN")
        a.execute(f"UPDATE {fence} SET G = 1")
        b.execute(f"INSERT INTO {fence} VALUES ('q', 9)")
        a.execute("COMMIT")
        assert sorted(b.execute(f"SELECT G FROM {fence}").fetchall()) == [(1,), (9,)]

    def test_a_deadlock_is_an_error_for_one(self, standin, pair, fence, run):
        other = name("FENCE")
        run(f"CREATE TABLE {other} (G INT)")
        a, b = pair
        a.execute("BEGIN"), b.execute("BEGIN")
        a.execute(f"UPDATE {fence} SET G = 1"), b.execute(f"DELETE FROM {other}")
        wait = in_thread(lambda: a.execute(f"DELETE FROM {other}"))
        until(lambda: blocked(standin, other))
        with pytest.raises(Error):
            b.execute(f"UPDATE {fence} SET G = 2")
        b.execute("ROLLBACK")
        wait()
        a.execute("COMMIT")

    def test_a_failed_statement_does_not_end_the_transaction(self, pair, fence):
        a, _ = pair
        a.execute("BEGIN")
        a.execute(f"INSERT INTO {fence} VALUES ('q', 1)")
        with pytest.raises(Error):
            a.execute(f"INSERT INTO {fence} SELECT 'r', 'not a number'")
        a.execute("COMMIT")
        assert a.execute(f"SELECT COUNT(*) FROM {fence}").fetchone() == (2,)

    def test_transaction_abort_on_error(self, pair, fence):
        a, b = pair
        a.execute("ALTER SESSION SET TRANSACTION_ABORT_ON_ERROR = TRUE")
        a.execute("BEGIN")
        a.execute(f"UPDATE {fence} SET G = 7")
        with pytest.raises(Error):
            a.execute("SELECT * FROM NOT_THERE")
        with pytest.raises(Error):
            a.execute(f"INSERT INTO {fence} VALUES ('q', 1)")
        b.execute(f"UPDATE {fence} SET G = G + 1")
        a.execute("ROLLBACK")
        assert a.execute(f"SELECT G FROM {fence}").fetchall() == [(1,)]

    def test_ddl_commits(self, pair, fence):
        a, b = pair
        a.execute("BEGIN")
        a.execute(f"INSERT INTO {fence} VALUES ('q', 1)")
        a.execute(f"CREATE TABLE {name()} (A INT)")
        a.execute("ROLLBACK")
        assert b.execute(f"SELECT COUNT(*) FROM {fence}").fetchone() == (2,)

    def test_autocommit_off(self, standin, fence):
        with standin.connect(autocommit=False) as connection, standin.connect() as other:
            connection.cursor().execute(f"INSERT INTO {fence} VALUES ('q', 1)")
            assert other.cursor().execute(f"SELECT COUNT(*) FROM {fence}").fetchone() == (1,)
            connection.commit()
            assert other.cursor().execute(f"SELECT COUNT(*) FROM {fence}").fetchone() == (2,)

    def test_abandoned_transaction_keeps_its_lock_until_aborted(self, standin, pair, fence):
        _, b = pair
        lost = standin.connect()
        cursor = lost.cursor()
        cursor.execute("BEGIN NAME ABANDONED")
        cursor.execute(f"UPDATE {fence} SET G = 100")
        number = int(cursor.execute("SELECT CURRENT_SESSION()").fetchone()[0])
        standin.control("kill-sessions", {"session": number})
        b.execute("ALTER SESSION SET LOCK_TIMEOUT = 1")
        with pytest.raises(Error) as found:
            b.execute(f"UPDATE {fence} SET G = 1")
        assert found.value.errno == 625
        row = next(r for r in b.execute("SHOW TRANSACTIONS IN ACCOUNT").fetchall() if r[3] == "ABANDONED")
        assert f"{row[0]}" in b.execute(f"SELECT SYSTEM$ABORT_TRANSACTION({row[0]})").fetchone()[0]
        assert b.execute(f"UPDATE {fence} SET G = G + 1").fetchone()[0] == 1
        assert b.execute(f"SELECT G FROM {fence}").fetchone() == (1,)

    def test_client_that_dies_without_a_word_keeps_its_lock(self, standin, pair, fence):
        """Not even the session is ended: as after SIGKILL."""
        _, b = pair
        bare = standin.bare()
        bare.rows("BEGIN"), bare.rows(f"UPDATE {fence} SET G = 1")
        b.execute("ALTER SESSION SET LOCK_TIMEOUT = 1")
        with pytest.raises(Error):
            b.execute(f"UPDATE {fence} SET G = 1")

    def test_idle_blocker_is_aborted_after_a_while(self, standin, pair, fence):
        a, b = pair
        a.execute("BEGIN")
        a.execute(f"UPDATE {fence} SET G = 100")
        wait = in_thread(lambda: b.execute(f"UPDATE {fence} SET G = G + 1"))
        until(lambda: blocked(standin, fence))
        standin.control("age-transactions", {"seconds": 301})
        wait()
        assert b.execute(f"SELECT G FROM {fence}").fetchone() == (1,)
        with pytest.raises(Error) as found:
            a.execute("COMMIT")
        assert found.value.errno == 665

    def test_closing_a_session_rolls_back(self, standin, pair, fence):
        _, b = pair
        connection = standin.connect()
        connection.cursor().execute("BEGIN")
        connection.cursor().execute(f"UPDATE {fence} SET G = 9")
        connection.close()
        assert b.execute(f"UPDATE {fence} SET G = G + 1").fetchone()[0] == 1
        assert b.execute(f"SELECT G FROM {fence}").fetchone() == (1,)

    def test_waiting_statement_can_be_cancelled(self, standin, pair, fence):
        a, _ = pair
        a.execute("BEGIN")
        a.execute(f"UPDATE {fence} SET G = 1")
        bare, request = standin.bare(), str(uuid.uuid4())
        wait = in_thread(lambda: bare.query(f"UPDATE {fence} SET G = 2", request))
        until(lambda: blocked(standin, fence))
        assert bare.post("/queries/v1/abort-request", {"requestId": request}, bare.token)["success"]
        assert wait()["code"] == "000604"


# --- lost answers

class TestLostAnswers:
    def test_repeated_request_gets_the_first_answer(self, standin, run):
        table, bare, request = name(), standin.bare(), str(uuid.uuid4())
        run(f"CREATE TABLE {table} (A INT)")
        first = bare.query(f"INSERT INTO {table} VALUES (1)", request)
        again = bare.query(f"INSERT INTO {table} VALUES (1)", request)
        assert first["data"]["queryId"] == again["data"]["queryId"]
        assert run(f"SELECT COUNT(*) FROM {table}") == [(1,)]

    def test_repeat_waits_while_the_first_runs(self, standin):
        bare, request = standin.bare(), str(uuid.uuid4())
        first = in_thread(lambda: bare.query("SELECT SYSTEM$WAIT(1)", request))
        until(lambda: any(q["request"] == request for q in standin.control("queries")["queries"]))
        second = bare.query("SELECT SYSTEM$WAIT(1)", request)
        assert first()["data"]["queryId"] == second["data"]["queryId"]

    @pytest.mark.parametrize("action", [{"action": "apply_close"}, {"action": "apply_status", "status": 503},
                                        {"action": "status", "status": 503}, {"action": "status", "status": 429, "retry_after": 1},
                                        {"action": "close"}, {"action": "slow", "delay_ms": 50}, {"action": "expire"}])
    def test_the_connector_gets_over_it_and_inserts_once(self, standin, session, action):
        table = name()
        session.cursor().execute(f"CREATE TABLE {table} (A INT)")
        standin.faults({"sql": f"INSERT INTO {table}", **action})
        session.cursor().execute(f"INSERT INTO {table} VALUES (1)")
        assert standin.control("faults")["faults"][0]["done"] == 1
        assert session.cursor().execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (1,)

    def test_truncated_answer(self, standin, run):
        """Connector 4.8.1 gives up on it; a repeat of the request gets the whole answer."""
        table, bare, request = name(), standin.bare(), str(uuid.uuid4())
        run(f"CREATE TABLE {table} (A INT)")
        standin.faults({"sql": f"INSERT INTO {table}", "action": "truncate", "keep": 100})
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            bare.query(f"INSERT INTO {table} VALUES (1)", request)
        assert bare.query(f"INSERT INTO {table} VALUES (1)", request)["data"]["rowset"] == [["1"]]
        assert run(f"SELECT COUNT(*) FROM {table}") == [(1,)]

    def test_commit_is_applied_after_its_answer_was_lost(self, standin, run, fence):
        bare = standin.bare()
        bare.rows("BEGIN"), bare.rows(f"UPDATE {fence} SET G = 42")
        standin.faults({"sql": "^COMMIT", "action": "late", "delay_ms": 1500})
        with pytest.raises(requests.ConnectionError):
            bare.query("COMMIT")
        assert run(f"SELECT G FROM {fence}") == [(0,)]
        bare.post("/session?delete=true", token=bare.token)          # even closing does not take it back
        until(lambda: run(f"SELECT G FROM {fence}") == [(42,)])

    def test_late_commit_after_an_abort_does_nothing(self, standin, run, fence):
        bare = standin.bare()
        bare.rows("BEGIN NAME LATE"), bare.rows(f"UPDATE {fence} SET G = 42")
        standin.faults({"sql": "^COMMIT", "action": "late", "delay_ms": 800})
        request = str(uuid.uuid4())
        with pytest.raises(requests.ConnectionError):
            bare.query("COMMIT", request)
        number = next(r[0] for r in run("SHOW TRANSACTIONS") if r[3] == "LATE")
        run(f"SELECT SYSTEM$ABORT_TRANSACTION({number})")
        assert bare.query("COMMIT", request)["code"] == "000665"
        assert run(f"SELECT G FROM {fence}") == [(0,)]

    def test_killed_session_leaves_its_transaction(self, standin, run, fence):
        bare = standin.bare()
        bare.rows("BEGIN NAME LEFT"), bare.rows(f"UPDATE {fence} SET G = 42")
        standin.faults({"sql": "SELECT 'next'", "action": "kill"})
        assert bare.query("SELECT 'next'")["code"] == "390111"
        assert any(r[3] == "LEFT" for r in run("SHOW TRANSACTIONS"))


# --- stages

STORES = [("S3", False, 16), ("AZURE", False, 16), ("GCS", False, 32), ("GCS", True, 16), ("LOCAL_FS", False, 16)]


def staged(standin, run, location, encrypted=True, presigned=False, key_bytes=16):
    stage = name("STAGE")
    run(f"CREATE STAGE {stage}")
    standin.control("stage", {"stage": f"DB.SCH.{stage}", "location": location, "encrypted": encrypted, "presigned": presigned, "key_bytes": key_bytes})
    return stage


def lines(path, *objects):
    path.write_text("".join(json.dumps(o) + "\n" for o in objects))
    return path


class TestStages:
    @pytest.mark.parametrize("encrypted", [True, False])
    @pytest.mark.parametrize("location, presigned, key_bytes", STORES)
    def test_the_connectors_put_loads(self, standin, run, tmp_path, location, presigned, key_bytes, encrypted):
        stage, table = staged(standin, run, location, encrypted, presigned, key_bytes), name()
        run(f"CREATE TABLE {table} (V VARIANT)")
        path = lines(tmp_path / "a.json", {"i": 1}, {"i": 2})
        assert run(f"PUT file://{path} @{stage}/dir")[0][6] == "UPLOADED"
        assert run(f"COPY INTO {table} FROM @{stage}/dir FILES = ('a.json.gz') FILE_FORMAT = (TYPE = JSON)")[0][:4] == (f"{stage.lower()}/dir/a.json.gz", "LOADED", 2, 2)
        assert run(f"SELECT V:i::INT FROM {table} ORDER BY 1") == [(1,), (2,)]
        if not presigned and location != "LOCAL_FS":
            assert run(f"PUT file://{path} @{stage}/dir")[0][6] == "SKIPPED"
        headers = standin.control("stage", {"stage": f"DB.SCH.{stage}"})["files"][0]["headers"]
        if location == "S3":
            assert ("x-amz-meta-x-amz-key" in headers) is encrypted

    @pytest.mark.parametrize("location", ["S3", "AZURE"])
    def test_multi_part(self, standin, run, tmp_path, location):
        standin.control("settings", {"threshold_bytes": 9 << 20})
        stage, table = staged(standin, run, location), name()
        run(f"CREATE TABLE {table} (V VARIANT)")
        path = lines(tmp_path / "big.json", *({"i": i, "x": "y" * 1000} for i in range(20000)))
        run(f"PUT file://{path} @{stage} AUTO_COMPRESS=FALSE")
        assert run(f"COPY INTO {table} FROM @{stage} FILE_FORMAT = (TYPE = JSON)")[0][1:4] == ("LOADED", 20000, 20000)

    def test_list_and_remove(self, standin, run, tmp_path):
        stage = staged(standin, run, "S3")
        for file in ("a-1.json", "a-2.json", "b-1.json"):
            run(f"PUT file://{lines(tmp_path / file, {})} @{stage}/p AUTO_COMPRESS=FALSE")
        assert [r[0] for r in run(f"LIST @{stage}/p/a-")] == [f"{stage.lower()}/p/a-{i}.json" for i in (1, 2)]
        standin.control("settings", {"chunk_rows": 1, "rows_per_chunk": 1})
        assert [r[0] for r in run(f"LIST @{stage}/p")] == [f"{stage.lower()}/p/{i}.json" for i in ("a-1", "a-2", "b-1")]
        assert len(run(f"REMOVE @DB.SCH.\"{stage}\"/p/a-")) == 2
        assert [r[0] for r in run(f"LIST @{stage}")] == [f"{stage.lower()}/p/b-1.json"]

    def put_s3(self, standin, stage, content, change=None, sign=True, headers=None):
        """An encrypted upload by hand, signed by botocore. `change` spoils the metadata."""
        from cryptography.hazmat.primitives import padding
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        data = standin.bare().query(f"PUT file:///x/f.json @{stage}")["data"]
        info, material = data["stageInfo"], data["encryptionMaterial"]
        master, key, iv = base64.b64decode(material["queryStageMasterKey"]), os.urandom(16), os.urandom(16)

        def pad(b):
            padder = padding.PKCS7(128).padder()
            return padder.update(b) + padder.finalize()
        encrypt = lambda k, mode, b: (lambda e: e.update(pad(b)) + e.finalize())(Cipher(algorithms.AES(k), mode).encryptor())
        matdesc = f'{{"queryId":"{material["queryId"]}","smkId":"{material["smkId"]}","keySize":"{len(master) * 8}"}}'
        meta = {"x-amz-meta-sfc-digest": base64.b64encode(hashlib.sha256(content).digest()).decode(),
                "x-amz-meta-x-amz-key": base64.b64encode(encrypt(master, modes.ECB(), key)).decode(),
                "x-amz-meta-x-amz-iv": base64.b64encode(iv).decode(), "x-amz-meta-x-amz-matdesc": matdesc}
        if change:
            change(meta)
        request = botocore.awsrequest.AWSRequest("PUT", f"{info['endPoint']}/{info['location']}f.json", data=encrypt(key, modes.CBC(iv), content),
                                                 headers={**meta, "Content-Type": "application/octet-stream", **(headers or {})})
        creds = info["creds"]
        if sign:
            botocore.auth.S3SigV4Auth(botocore.credentials.Credentials(creds["AWS_KEY_ID"], creds["AWS_SECRET_KEY"], creds["AWS_TOKEN"]), "s3",
                                      info["region"]).add_auth(request)
        return request.prepare()

    def send(self, prepared):
        return requests.request(prepared.method, prepared.url, headers=dict(prepared.headers), data=prepared.body)

    @pytest.mark.parametrize("spoil", [
        lambda m: m.update({"x-amz-meta-sfc-digest": base64.b64encode(bytes(32)).decode()}),
        lambda m: m.pop("x-amz-meta-sfc-digest"), lambda m: m.pop("x-amz-meta-x-amz-key"), lambda m: m.pop("x-amz-meta-x-amz-matdesc"),
        lambda m: m.update({"x-amz-meta-x-amz-matdesc": m["x-amz-meta-x-amz-matdesc"].replace(",", ", ")}),
        lambda m: m.update({"x-amz-meta-x-amz-matdesc": json.dumps(dict(reversed(json.loads(m["x-amz-meta-x-amz-matdesc"]).items())), separators=(",", ":"))}),
        lambda m: m.update({"x-amz-meta-x-amz-matdesc": m["x-amz-meta-x-amz-matdesc"].replace('"128"', "128")}),
        lambda m: m.update({"x-amz-meta-x-amz-key": base64.b64encode(bytes(32)).decode()})])
    def test_bad_encryption_makes_copy_fail(self, standin, run, spoil):
        stage, table = staged(standin, run, "S3"), name()
        run(f"CREATE TABLE {table} (V VARIANT)")
        assert self.send(self.put_s3(standin, stage, b'{"a":1}\n', spoil)).status_code == 200
        with pytest.raises(Error) as found:
            run(f"COPY INTO {table} FROM @{stage} FILE_FORMAT = (TYPE = JSON)")
        assert found.value.errno == 100183
        assert self.send(self.put_s3(standin, stage, b'{"a":1}\n')).status_code == 200
        assert run(f"COPY INTO {table} FROM @{stage} FILE_FORMAT = (TYPE = JSON)")[0][1] == "LOADED"

    def test_signatures_and_conditions(self, standin, run):
        stage = staged(standin, run, "S3")
        assert self.send(self.put_s3(standin, stage, b"{}", sign=False)).status_code == 403
        good = self.put_s3(standin, stage, b"{}", headers={"If-None-Match": "*"})
        good.headers["x-amz-meta-sfc-digest"] = "changed"
        assert "SignatureDoesNotMatch" in self.send(good).text
        assert self.send(self.put_s3(standin, stage, b"{}", headers={"If-None-Match": "*"})).status_code == 200
        assert self.send(self.put_s3(standin, stage, b"{}", headers={"If-None-Match": "*"})).status_code == 412

    def test_expired_credentials(self, standin, run):
        stage = staged(standin, run, "S3")
        prepared = self.put_s3(standin, stage, b"{}")
        azure, gcs = staged(standin, run, "AZURE"), staged(standin, run, "GCS")
        bare = standin.bare()
        a = bare.query(f"PUT file:///x/f @{azure}")["data"]["stageInfo"]
        g = bare.query(f"PUT file:///x/f @{gcs}")["data"]["stageInfo"]
        send_azure = lambda: requests.put(f"{a['endPoint']}/{a['location']}f{a['creds']['AZURE_SAS_TOKEN']}", data=b"x", headers={"x-ms-blob-type": "BlockBlob"})
        send_gcs = lambda: requests.put(f"{g['endPoint']}/{g['location']}f", data=b"x", headers={"Authorization": "Bearer " + g["creds"]["GCS_ACCESS_TOKEN"]})
        assert (send_azure().status_code, send_gcs().status_code) == (201, 200)
        a["creds"]["AZURE_SAS_TOKEN"], good = a["creds"]["AZURE_SAS_TOKEN"].replace("sig=", "sig=A"), a["creds"]["AZURE_SAS_TOKEN"]
        assert send_azure().status_code == 403
        a["creds"]["AZURE_SAS_TOKEN"] = good
        time.sleep(1.1)
        standin.control("expire-credentials", {})
        answer = self.send(prepared)
        assert answer.status_code == 400 and "ExpiredToken" in answer.text
        assert "not valid in the specified time frame" in send_azure().text
        assert send_gcs().status_code == 401
        assert self.send(self.put_s3(standin, stage, b"{}")).status_code == 200

    def test_the_connector_renews_expired_credentials(self, standin, run, tmp_path):
        stage = staged(standin, run, "S3")
        standin.faults({"service": "s3", "method": "PUT", "action": "status", "status": 400, "times": 2,
                        "body": "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"})
        assert run(f"PUT file://{lines(tmp_path / 'f.json', {})} @{stage}")[0][6] == "UPLOADED"
        assert sum(q["sql"].startswith("PUT") and stage in q["sql"] for q in standin.control("queries")["queries"]) > 1


def test_encryption_vectors():
    """The stand-in's decryption against vectors of the official client's own code."""
    import sys
    sys.path.insert(0, str(ROOT))
    from Sandbox.snowflake.encryption import decryptor
    vectors = json.loads((ROOT / "Tests" / "RefereeTests" / "encryption_vectors.json").read_text())
    for vector in vectors:
        step = decryptor(vector["queryStageMasterKey"], vector["x-amz-key"], vector["x-amz-iv"])
        assert (step(bytes.fromhex(vector["ciphertext_hex"])) + step(None)).hex() == vector["plaintext_hex"]


# --- COPY

class TestCopy:
    def test_transformation(self, run, put, stage):
        table = name()
        run(f'CREATE TABLE {table} (D VARIANT, B VARIANT, N VARIANT, O VARCHAR, T TIMESTAMP_NTZ, F VARCHAR, R NUMBER)')
        big = "12345678901234567890123456789012345.123456789"
        put("x.json.zst", zstandard.compress((
            '{"d":{"n":9223372036854775807,"x":%s,"s":"\\u00e9\\/\\n"},"n":null,"o":"insert","t":"2024-01-01T00:00:00.123Z"}\n'
            '{"d":{ "spaced" : [1.10, 1e400] },"o":7,"t":null}\n' % big).encode()))
        rows = run(f"COPY INTO {table} (D, B, N, O, T, F, R) FROM (SELECT $1:d, $1:b, $1:n, $1:o::VARCHAR, $1:t::TIMESTAMP_NTZ, METADATA$FILENAME, "
                   f"METADATA$FILE_ROW_NUMBER FROM @{stage}) FILES = ('x.json.zst') FILE_FORMAT = (TYPE = JSON COMPRESSION = ZSTD) ON_ERROR = ABORT_STATEMENT")
        assert rows == [(f"{stage.lower()}/x.json.zst", "LOADED", 2, 2, 1, 0, None, None, None, None)]
        first, second = run(f"SELECT D::VARCHAR, B IS NULL, N::VARIANT, N IS NULL, O, TO_VARCHAR(T), F, R FROM {table} ORDER BY R")
        assert f'"x":{big}' in first[0] and '"n":9223372036854775807' in first[0] and json.loads(first[0])["s"] == "é/\n"
        assert first[1:] == (True, "null", False, "insert", "2024-01-01 00:00:00.123", "x.json.zst", 1)
        assert "1.10" in second[0] and "1e400" in second[0] and second[4:] == ("7", None, "x.json.zst", 2) and second[3] is True

    def test_load_history_is_by_content(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (V VARIANT)")
        put("f.json", '{"a":1}\n'), put("g.json", '{"a":9}\n')
        copy = f"COPY INTO {table} FROM @{stage} FILES = ('f.json') FILE_FORMAT = (TYPE = JSON)"
        assert run(copy)[0][1] == "LOADED"
        assert run(copy)[0][1:7] == ("LOAD_SKIPPED", 0, 0, 1, 1, "File was loaded before.")
        put("f.json", '{"a":1}\n')
        assert run(copy)[0][1] == "LOAD_SKIPPED"
        put("f.json", '{"a":2}\n')
        assert run(copy)[0][1] == "LOADED"
        assert run(copy + " FORCE = FALSE")[0][1] == "LOAD_SKIPPED"
        assert run(copy + " FORCE = TRUE")[0][1] == "LOADED"
        assert run(f"SELECT COUNT(*) FROM {table}") == [(3,)]
        assert run(f"COPY INTO {table} FROM @{stage} FILES = ('f.json', 'g.json') FILE_FORMAT = (TYPE = JSON)")[1][1] == "LOADED"
        assert run(f"COPY INTO {table} FROM @{stage} FILE_FORMAT = (TYPE = JSON)") == [("Copy executed with 0 files processed.",)]

    @pytest.mark.parametrize("location", ["S3"])
    def test_content_counts_not_ciphertext(self, standin, run, tmp_path, location):
        stage, table = staged(standin, run, location), name()
        run(f"CREATE TABLE {table} (V VARIANT)")
        copy = f"COPY INTO {table} FROM @{stage} FILES = ('f.json') FILE_FORMAT = (TYPE = JSON)"
        for content, status in (({"a": 1}, "LOADED"), ({"a": 1}, "LOAD_SKIPPED"), ({"a": 2}, "LOADED")):
            run(f"PUT file://{lines(tmp_path / 'f.json', content)} @{stage} AUTO_COMPRESS=FALSE OVERWRITE=TRUE")
            assert run(copy)[0][1] == status

    def test_rollback_takes_the_history_back(self, session, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (V VARIANT)")
        put("f.json", '{"a":1}\n')
        copy = f"COPY INTO {table} FROM @{stage} FILES = ('f.json') FILE_FORMAT = (TYPE = JSON)"
        run("BEGIN")
        assert run(copy)[0][1] == "LOADED" and run(copy)[0][1] == "LOAD_SKIPPED"
        run("ROLLBACK")
        assert run(f"SELECT COUNT(*) FROM {table}") == [(0,)]
        assert run(copy)[0][1] == "LOADED"

    def test_all_or_nothing(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (A INT)")
        put("1.json", '{"a":1}\n'), put("2.json", '{"a":2}\n{"a":"x"}\n')
        copy = f"COPY INTO {table} FROM (SELECT $1:a::INT FROM @{stage}) FILES = ('1.json', '2.json') FILE_FORMAT = (TYPE = JSON)"
        with pytest.raises(Error) as found:
            run(copy)
        assert found.value.errno == 100038 and "File '2.json', line 2" in str(found.value) and "Numeric value 'x'" in str(found.value)
        assert run(f"SELECT COUNT(*) FROM {table}") == [(0,)]
        put("2.json", '{"a":2}\n{"a":3}\n')
        assert [r[1] for r in run(copy)] == ["LOADED", "LOADED"]
        assert run(f"SELECT SUM(A) FROM {table}") == [(6,)]

    def test_missing_file(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (V VARIANT)")
        put("1.json", '{"a":1}\n')
        with pytest.raises(Error) as found:
            run(f"COPY INTO {table} FROM @{stage} FILES = ('1.json', 'nope.json') FILE_FORMAT = (TYPE = JSON)")
        assert found.value.errno == 91016
        assert run(f"SELECT COUNT(*) FROM {table}") == [(0,)]

    @pytest.mark.parametrize("bad, number", [('{"a":1', 100069), ('{"a":{"b":' + '"x' + "y" * 2000 + '"}}', 100082)])
    def test_bad_json(self, standin, run, put, stage, bad, number):
        standin.control("settings", {"max_variant_bytes": 1000})
        table = name()
        run(f"CREATE TABLE {table} (V VARIANT)")
        put("b.json", '{"a":0}\n' + bad + "\n")
        copy = f"COPY INTO {table} FROM @{stage} FILES = ('b.json') FILE_FORMAT = (TYPE = JSON)"
        with pytest.raises(Error) as found:
            run(copy)
        assert found.value.errno == number
        row = run(copy + " ON_ERROR = CONTINUE")[0]
        assert row[1:4] == ("PARTIALLY_LOADED", 2, 1) and row[5] == 1
        assert run(f"SELECT COUNT(*) FROM {table}") == [(1,)]

    def test_not_a_number_is_not_json(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (V VARIANT)")
        put("n.json", '{"a":"NaN"}\n'), put("bad.json", '{"a":NaN}\n')
        copy = f"COPY INTO {table} FROM @{stage} FILES = ('{{}}') FILE_FORMAT = (TYPE = JSON)"
        assert run(copy.format("n.json"))[0][1] == "LOADED"
        with pytest.raises(Error) as found:
            run(copy.format("bad.json"))
        assert found.value.errno == 100069

    @pytest.mark.parametrize("twice", ['{"a":1,"b":3,"a":2.50}', '{"o":{"a":1,"b":3,"a":2.50}}', '[{"a":1,"b":3,"a":2.50}]'])
    def test_a_name_twice_in_an_object(self, run, put, stage, twice):
        table = name()
        run(f"CREATE TABLE {table} (V VARIANT)")
        put("d.json", '{"a":0}\n' + twice + '\n{"x":[{"a":1},{"a":2}],"a":3}\n')
        copy = f"COPY INTO {table} FROM @{stage} FILES = ('d.json') FILE_FORMAT = (TYPE = JSON {{}})"
        with pytest.raises(Error) as found:
            run(copy.format(""))
        assert found.value.errno == 100069 and 'duplicate object attribute "a"' in str(found.value)
        assert run(copy.format("ALLOW_DUPLICATE = TRUE"))[0][1:4] == ("LOADED", 3, 3)
        kept = [row for row, in run(f"SELECT V::VARCHAR FROM {table}")]
        assert len(kept) == 3 and twice.replace('"a":1,"b":3,"a":2.50', '"a":2.50,"b":3') in kept

    def test_a_name_twice_is_one_bad_row_where_errors_are_passed_over(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (V VARIANT)")
        put("d.json", '{"a":0}\n{"a":1,"a":2}\n')
        assert run(f"COPY INTO {table} FROM @{stage} FILE_FORMAT = (TYPE = JSON) ON_ERROR = CONTINUE")[0][1:4] == ("PARTIALLY_LOADED", 2, 1)

    def test_a_cast_cuts_where_the_column_refuses(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (S VARCHAR(3))")
        put("t.json", '{"s":"abcdef"}\n')
        copy = f"COPY INTO {table} FROM (SELECT $1:s::{{}} FROM @{stage}) FILES = ('t.json') FILE_FORMAT = (TYPE = JSON)"
        with pytest.raises(Error) as found:
            run(copy.format("VARCHAR"))
        assert found.value.errno == 100078
        with pytest.raises(Error):
            run(copy.format("VARCHAR(5)"))
        run(copy.format("VARCHAR(3)"))
        assert run(f"SELECT S FROM {table}") == [("abc",)]

    @pytest.mark.parametrize("content", ["a\n\nb\n", "\na\n", "a\n\n", "\n"])
    def test_a_blank_line_of_csv(self, run, put, stage, content):
        table = name()
        run(f"CREATE TABLE {table} (A VARCHAR)")
        put("b.csv", content)
        copy = f"COPY INTO {table} FROM @{stage} FILES = ('b.csv') {self.CSV}"
        with pytest.raises(Error) as found:
            run(copy.format(""))
        assert found.value.errno == 100076 and "End of record" in str(found.value)
        loaded = run(copy.format("SKIP_BLANK_LINES = TRUE"))[0]
        assert loaded[3] == len(content.split())

    def test_what_looks_like_a_blank_line_in_quotes_is_none(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (A VARCHAR)")
        put("q.csv", '"one\n\ntwo"\n""\n')
        assert run(f"COPY INTO {table} FROM @{stage} FILES = ('q.csv') {self.CSV.format('')}")[0][1:4] == ("LOADED", 2, 2)
        assert sorted(run(f"SELECT A FROM {table}")) == [("",), ("one\n\ntwo",)]

    def test_a_row_of_another_width_is_found_by_the_slow_reader_too(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (A VARCHAR, B VARCHAR)")
        put("w.csv", "a\\tb,c\nd\n")
        with pytest.raises(Error) as found:
            run(f"COPY INTO {table} FROM @{stage} FILES = ('w.csv') FILE_FORMAT = (TYPE = CSV)")
        assert found.value.errno == 100080

    CSV = "FILE_FORMAT = (TYPE = CSV FIELD_OPTIONALLY_ENCLOSED_BY = '\"' ESCAPE_UNENCLOSED_FIELD = NONE NULL_IF = () {})"

    def test_csv(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (A VARCHAR, B VARCHAR, C NUMBER(10,2), D VARIANT)")
        put("a.csv.gz", gzip.compress('h1,h2,h3,h4\n"say ""hi"", you\nthere",,1.50,"{""a"": 1}"\n"",\\N,2,\nback\\slash,é,,null\n'.encode()))
        row = run(f"COPY INTO {table} FROM (SELECT $1, $2, $3, PARSE_JSON($4) FROM @{stage}) FILES = ('a.csv.gz') {self.CSV.format('SKIP_HEADER = 1 COMPRESSION = GZIP')}")[0]
        assert row[1:4] == ("LOADED", 3, 3)
        found = {r[0]: r[1:] for r in run(f"SELECT A, B, TO_VARCHAR(C), D FROM {table}")}
        assert found['say "hi", you\nthere'] == (None, "1.50", '{"a": 1}')
        assert found[""] == ("\\N", "2.00", None) and found["back\\slash"] == ("é", None, "null")

    def test_backslashes_bite_by_default(self, run, put, stage):
        """ESCAPE_UNENCLOSED_FIELD is a backslash unless said otherwise."""
        table = name()
        run(f"CREATE TABLE {table} (A VARCHAR, B VARCHAR)")
        put("a.csv", "a\\tb,\\N\n")
        run(f"COPY INTO {table} FROM @{stage} FILES = ('a.csv') FILE_FORMAT = (TYPE = CSV)")
        assert run(f"SELECT * FROM {table}") == [("a\tb", None)]

    @pytest.mark.parametrize("content, number, line", [("1,abc,x\n2,toolong,x\n", 100078, 2), ("1,abc\n", 100080, 1), ("1,abc,x\n2,y\n", 100080, 2),
                                                       ("1,abc,x\nzz,y,z\n", 100038, 2), ("1,a,x\n99999,y,z\n", 100038, 2), ("1,a,x\n2,,y\n", 100072, 2)])
    def test_csv_errors(self, run, put, stage, content, number, line):
        table = name()
        run(f"CREATE TABLE {table} (N NUMBER(3,0), S VARCHAR(5) NOT NULL, T VARCHAR)")
        put("e.csv", content)
        copy = f"COPY INTO {table} FROM @{stage} FILES = ('e.csv') {self.CSV.format('')}"
        with pytest.raises(Error) as found:
            run(copy)
        assert found.value.errno == number and f"line {line}" in str(found.value)
        if line == 2:
            assert run(copy + " ON_ERROR = SKIP_FILE")[0][1:4] == ("LOAD_FAILED", 2, 0)
            row = run(copy + " ON_ERROR = CONTINUE")[0]
            assert row[1:4] == ("PARTIALLY_LOADED", 2, 1) and row[5] == 1 and row[7] == 2

    def test_truncatecolumns(self, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (S VARCHAR(3))")
        put("e.csv", "abcdef\n")
        run(f"COPY INTO {table} FROM @{stage} FILES = ('e.csv') FILE_FORMAT = (TYPE = CSV) TRUNCATECOLUMNS = TRUE")
        assert run(f"SELECT S FROM {table}") == [("abc",)]

    def test_match_by_column_name(self, run, put, stage):
        table = name()
        run(f'CREATE TABLE {table} (ID INT, "Name" VARCHAR, MISSING VARCHAR)')
        put("m.json", '{"id": 1, "Name": "n", "other": 2}\n')
        run(f"COPY INTO {table} FROM @{stage} FILES = ('m.json') FILE_FORMAT = (TYPE = JSON) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE")
        assert run(f"SELECT * FROM {table}") == [(1, "n", None)]

    @pytest.mark.parametrize("options", ["FILE_FORMAT = (TYPE = AVRO)", "FILE_FORMAT = (TYPE = CSV NOPE = 1)", "SIZE_LIMIT = 5", "ON_ERROR = SKIP_FILE_0",
                                         "FILE_FORMAT = (TYPE = CSV ENCODING = 'LATIN1')", "FILE_FORMAT = (TYPE = JSON STRIP_NULL_VALUES = TRUE)",
                                         "FILES = (" + ",".join(f"'{i}'" for i in range(1001)) + ")"])
    def test_unknown_options_are_refused(self, run, put, stage, options):
        table = name()
        run(f"CREATE TABLE {table} (V VARIANT)")
        with pytest.raises(Error):
            run(f"COPY INTO {table} FROM @{stage} {options}")

    def test_concurrent_copies(self, standin, run, put, stage):
        table = name()
        run(f"CREATE TABLE {table} (V VARIANT)")
        for i in range(8):
            put(f"{i}.json", "".join(f'{{"i":{i * 1000 + j}}}\n' for j in range(1000)))

        def load(i):
            with standin.connect() as connection:
                return connection.cursor().execute(f"COPY INTO {table} FROM @{stage} FILES = ('{i}.json') FILE_FORMAT = (TYPE = JSON)").fetchall()
        for wait in [in_thread(lambda i=i: load(i)) for i in range(8)]:
            assert wait()[0][1] == "LOADED"
        assert run(f"SELECT COUNT(DISTINCT V:i::INT), COUNT(*) FROM {table}") == [(8000, 8000)]

    def test_export(self, standin, run):
        import pyarrow.parquet
        table = name()
        run(f"CREATE TABLE {table} (A INT, V VARIANT)")
        run(f"INSERT INTO {table} SELECT 1, PARSE_JSON('{{\"x\":1}}')")
        made = standin.control(f"export?table=DB.SCH.{table}&format=parquet")
        assert made["rows"] == 1
        assert pyarrow.parquet.read_table(made["path"]).column("V").to_pylist() == ['{"x":1}']


class TestControl:
    def test_comments_of_tables(self, session, run):
        table = name()
        run(f"CREATE TABLE IF NOT EXISTS {table} (A INT) COMMENT = 'it''s \\\\ one'")
        comments = lambda: [dict(zip([d[0] for d in cursor.description], row)).get("comment")
                            for cursor in [session.cursor().execute(f"SHOW TABLES LIKE '{table}' IN SCHEMA DB.SCH")] for row in cursor.fetchall()]
        assert comments() == ["it's \\ one"]
        run(f"COMMENT ON TABLE DB.SCH.{table} IS 'two'")
        assert comments() == ["two"]
        run(f"ALTER TABLE {table} SET COMMENT = ''")
        assert comments() == [""]
        run("COMMENT IF EXISTS ON TABLE NO_SUCH_TABLE IS 'x'")

    def test_a_slow_statement_is_asked_for_again(self, standin, run):
        standin.control("settings", {"sync_seconds": 0.05})
        standin.faults({"sql": "^SELECT 41", "action": "slow_execution", "delay_ms": 400},
                       {"method": "GET", "path": "^/queries/.*/result", "action": "slow", "nth": 10**6})
        assert run("SELECT 41 + 1") == [(42,)]
        assert standin.control("faults")["faults"][1]["seen"] > 0

    def test_stall(self, standin):
        bare = standin.bare()
        standin.control("stall", {"seconds": 1.5})
        start = time.monotonic()
        assert bare.rows("SELECT 1") == [["1"]]
        assert time.monotonic() - start > 1

    def test_sabotage(self, standin, run):
        table = name()
        run(f"CREATE TABLE {table} (A INT)")
        run(f"INSERT INTO {table} VALUES (1), (2), (3)")
        standin.control("sabotage", {"sabotage": "delete", "table": f"DB.SCH.{table}"})
        standin.control("sabotage", {"sabotage": "double", "table": f"DB.SCH.{table}"})
        assert sorted(run(f"SELECT A FROM {table}")) == [(2,), (3,), (3,)]

    def test_a_zombie_that_was_aborted_can_be_left_unwarned(self, standin, run, fence):
        """aborted_transaction=silent: what comes after an abort is carried out as if there had been no transaction."""
        standin.control("settings", {"aborted_transaction": "silent"})
        bare = standin.bare()
        bare.rows("BEGIN NAME Z"), bare.rows(f"UPDATE {fence} SET G = 1")
        number = next(r[0] for r in run("SHOW TRANSACTIONS") if r[3] == "Z")
        run(f"SELECT SYSTEM$ABORT_TRANSACTION({number})")
        bare.rows(f"INSERT INTO {fence} VALUES ('zombie', 0)"), bare.rows("COMMIT")
        assert sorted(run(f"SELECT P, G FROM {fence}")) == [("p", 0), ("zombie", 0)]


# --- many writers, many deaths

def test_random_writers_commit_each_epoch_once(standin, run):
    """Six writers fence, COPY, write a ledger row and commit, while sessions vanish, close and are aborted:
    whoever was told that COMMIT succeeded finds the epoch, whole and once."""
    count, rows = 40, 50
    fence, ledger, table, stage = name("F"), name("L"), name("T"), name("S")
    for sql in (f"CREATE TABLE {fence} (G INT)", f"INSERT INTO {fence} VALUES (0)", f"CREATE TABLE {ledger} (E VARCHAR)",
                f"CREATE TABLE {table} (V VARIANT)", f"CREATE STAGE {stage}"):
        run(sql)
    standin.control("stage", {"stage": f"DB.SCH.{stage}", "location": "LOCAL_FS"})
    folder = standin.bare().query(f"PUT file:///x @{stage}")["data"]["stageInfo"]["location"]
    for i in range(count):
        with open(f"{folder}/{i}.json", "w") as file:
            file.writelines(f'{{"i":{i},"j":{j}}}\n' for j in range(rows))
    done, told, refused, lock, stop = set(), [], set(), threading.Lock(), threading.Event()

    def epoch(i, bare, seed):
        for sql in ("BEGIN", f"UPDATE {fence} SET G = G + 1", f"SELECT COUNT(*) FROM {ledger} WHERE E = '{i}'",
                    f"COPY INTO {table} FROM @{stage} FILES = ('{i}.json') FILE_FORMAT = (TYPE = JSON)",
                    f"INSERT INTO {ledger} SELECT '{i}' FROM {fence}", "COMMIT"):
            dice = seed.random()
            if dice < 0.03:
                return                                       # vanishes; the transaction stays
            if dice < 0.05:
                bare.post("/session?delete=true", token=bare.token)
                return
            if dice < 0.08:
                for transaction in standin.control("transactions")["transactions"][:1]:
                    standin.control("abort-transaction", {"id": transaction["id"]})
            answer = bare.query(sql)
            if not answer["success"]:
                refused.add(answer["code"])
                return bare.query("ROLLBACK")
            if sql.startswith("SELECT") and answer["data"]["rowset"] != [["0"]]:
                done.add(i)
                return bare.query("ROLLBACK")
        with lock:
            told.append(i)
            done.add(i)

    def writer(seed):
        seed = random.Random(seed)
        while left := [i for i in range(count) if i not in done]:
            epoch(seed.choice(left), standin.bare(), seed)

    def reaper():
        while not stop.wait(0.2):
            standin.control("age-transactions", {"seconds": 400})

    reaping = in_thread(reaper)
    try:
        for wait in [in_thread(lambda s=s: writer(s)) for s in range(6)]:
            wait(120)
    finally:
        stop.set()
        reaping()
    for transaction in standin.control("transactions")["transactions"]:
        standin.control("abort-transaction", {"id": transaction["id"]})
    assert refused <= {"000665", "000604", "390111"}
    assert run(f"SELECT COUNT(*), COUNT(DISTINCT E) FROM {ledger}") == [(count, count)]
    assert len(told) == len(set(told)) and set(told) <= {int(e) for (e,) in run(f"SELECT E FROM {ledger}")}
    assert run(f"SELECT COUNT(*), COUNT(DISTINCT V:i::INT * 1000 + V:j::INT) FROM {table}") == [(count * rows, count * rows)]
    assert run(f"SELECT G FROM {fence}") == [(count,)]


def test_commit_and_abort_exclude_each_other():
    """An idle holder is aborted for its waiter, but not while it commits; what was aborted can't commit."""
    import sys
    import types
    sys.path.insert(0, str(ROOT))
    from Sandbox.snowflake.errors import SnowflakeError
    from Sandbox.snowflake.settings import Settings
    from Sandbox.snowflake.transactions import Transactions
    transactions, ended = Transactions(Settings()), []
    transactions.abort = ended.append
    query = types.SimpleNamespace(session=types.SimpleNamespace(parameter=lambda name: 1), canceled=False, id="q", status="")
    holder, waiter = transactions.begin(None), transactions.begin(None)
    transactions.lock(holder, 1, "FENCE", query)
    assert transactions.claim(holder, "committing", lambda: None)
    holder.last_used = 0
    with pytest.raises(SnowflakeError) as found:
        transactions.lock(waiter, 1, "FENCE", query)
    assert found.value.code == "000625" and not ended
    assert not transactions.claim(holder, "aborted", lambda: None)
    assert transactions.claim(waiter, "aborted", lambda: None)
    with pytest.raises(SnowflakeError):
        transactions.committing(waiter)


# --- death of the stand-in itself

def test_what_was_not_committed_is_gone_after_a_restart(tmp_path):
    standin = StandIn(tmp_path)
    try:
        a, b = standin.bare(), standin.bare()
        a.rows("CREATE TABLE T (A INT)"), a.rows("INSERT INTO T VALUES (1), (2)")
        b.rows("BEGIN"), b.rows("INSERT INTO T VALUES (3)"), b.rows("DELETE FROM T WHERE A = 1")
        standin.kill()
        standin.start()
        assert sorted(standin.bare().rows("SELECT A FROM T")) == [["1"], ["2"]]
    finally:
        standin.stop()


# --- ADBC, which embeds gosnowflake

class TestAdbc:
    @pytest.fixture
    def adbc(self, standin):
        import adbc_driver_snowflake.dbapi as dbapi
        connection = dbapi.connect(db_kwargs={
            "adbc.snowflake.sql.uri.protocol": "http", "adbc.snowflake.sql.uri.host": "127.0.0.1",
            "adbc.snowflake.sql.uri.port": str(standin.port), "adbc.snowflake.sql.account": "acme", "username": USER, "password": PASSWORD,
            "adbc.snowflake.sql.db": "DB", "adbc.snowflake.sql.schema": "SCH"}, autocommit=False)
        yield connection
        connection.close()

    def test_query(self, adbc):
        with adbc.cursor() as cursor:
            cursor.execute("SELECT 1 AS A, 'x' AS B, 1.25::NUMBER(10,2) AS C")
            table = cursor.fetch_arrow_table()
        assert table.column_names == ["A", "B", "C"] and table.to_pylist()[0]["B"] == "x" and int(table.to_pylist()[0]["A"]) == 1

    def test_transaction(self, adbc, run):
        table = name()
        run(f"CREATE TABLE {table} (A INT)")
        with adbc.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table} VALUES (1)")
            assert run(f"SELECT COUNT(*) FROM {table}") == [(0,)]
            adbc.rollback()
            cursor.execute(f"INSERT INTO {table} VALUES (2)")
            adbc.commit()
        assert run(f"SELECT A FROM {table}") == [(2,)]

    def test_bulk_load(self, standin, adbc, run):
        """Parquet through a stage and COPY, as the driver does it by itself."""
        import pyarrow
        standin.control("settings", {"default_location": "GCS", "gcs_presigned": True, "endpoint_style": "url", "strict_digest": False})
        table = name()
        with adbc.cursor() as cursor:
            cursor.adbc_ingest(table, pyarrow.table({"ID": list(range(5000)), "S": [f"s{i}" for i in range(5000)]}), mode="create")
        adbc.commit()
        assert run(f"SELECT COUNT(*), SUM(ID), MAX(S) FROM {table}") == [(5000, 12497500, "s999")]
