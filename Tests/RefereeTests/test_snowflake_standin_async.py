"""Asynchronous statements of the Snowflake stand-in, driven by connector 4.8.1: submitted, polled, lost, killed, cancelled."""
import uuid

import pytest
import requests
from snowflake.connector.constants import QueryStatus
from snowflake_fixtures import Error, in_thread, name, named_rows, run, session, settings, standin, until  # noqa: F401


@pytest.fixture
def table(run):
    made = name()
    run(f"CREATE TABLE {made} (A INT)")
    return made


def status(session, query):
    return session.get_query_status(query)


def finished(session, query):
    until(lambda: not session.is_still_running(status(session, query)))
    return status(session, query)


class TestConnector:
    def test_submitted_polled_and_read(self, standin, session, table):
        standin.faults({"sql": f"INSERT INTO {table}", "action": "slow_execution", "delay_ms": 500})
        cursor = session.cursor()
        cursor.execute_async(f"INSERT INTO {table} SELECT 1")
        assert status(session, cursor.sfqid) == QueryStatus.RUNNING
        assert finished(session, cursor.sfqid) == QueryStatus.SUCCESS
        cursor.get_results_from_sfqid(cursor.sfqid)
        assert cursor.fetchall() == [(1,)]

    def test_another_connection_reads_the_result(self, standin, session):
        cursor = session.cursor()
        cursor.execute_async("SELECT 7 AS A")
        finished(session, cursor.sfqid)
        with standin.connect() as other:
            there = other.cursor()
            there.get_results_from_sfqid(cursor.sfqid)
            assert there.fetchall() == [(7,)]

    @pytest.mark.parametrize("fault", [None, {"action": "fail_execution", "delay_ms": 100, "code": "100038", "message": "Numeric value 'x' is not recognized"}])
    def test_failure_after_the_submit(self, standin, session, table, fault):
        if fault:
            standin.faults({"sql": f"INSERT INTO {table}", **fault})
        cursor = session.cursor()
        cursor.execute_async(f"INSERT INTO {table} SELECT 'x'")
        assert finished(session, cursor.sfqid) == QueryStatus.FAILED_WITH_ERROR
        with pytest.raises(Error) as found:
            session.get_query_status_throw_if_error(cursor.sfqid)
        assert found.value.errno == 100038

    def test_states_before_it_runs(self, standin, session):
        standin.control("settings", {"no_data_seconds": 0.4})
        standin.faults({"sql": "^SELECT 5", "action": "slow_execution", "delay_ms": 900, "state": "QUEUED"})
        cursor = session.cursor()
        cursor.execute_async("SELECT 5")
        assert status(session, cursor.sfqid) == QueryStatus.NO_DATA
        assert until(lambda: (s := status(session, cursor.sfqid)) != QueryStatus.NO_DATA and s) == QueryStatus.QUEUED
        assert finished(session, cursor.sfqid) == QueryStatus.SUCCESS

    def test_a_blocked_one(self, standin, session, table):
        with standin.connect() as holder:
            holder.cursor().execute("BEGIN")
            holder.cursor().execute(f"UPDATE {table} SET A = 1")
            cursor = session.cursor()
            cursor.execute_async(f"DELETE FROM {table}")
            until(lambda: status(session, cursor.sfqid) == QueryStatus.BLOCKED)
            holder.cursor().execute("COMMIT")
        assert finished(session, cursor.sfqid) == QueryStatus.SUCCESS

    def test_cancelled_by_id(self, session, run):
        cursor = session.cursor()
        cursor.execute_async("SELECT SYSTEM$WAIT(60)")
        until(lambda: status(session, cursor.sfqid) == QueryStatus.RUNNING)
        assert run(f"SELECT SYSTEM$CANCEL_QUERY('{cursor.sfqid}')") == [(f"query [{cursor.sfqid}] terminated.",)]
        assert finished(session, cursor.sfqid) == QueryStatus.FAILED_WITH_ERROR
        assert "not currently executing" in run(f"SELECT SYSTEM$CANCEL_QUERY('{cursor.sfqid}')")[0][0]

    @pytest.mark.parametrize("fault", [{"action": "apply_close"}, {"action": "apply_status", "status": 503}, {"action": "status", "status": 503}, {"action": "expire"}])
    def test_a_lost_answer_at_the_submit(self, standin, session, table, fault):
        standin.faults({"sql": f"INSERT INTO {table}", **fault})
        cursor = session.cursor()
        cursor.execute_async(f"INSERT INTO {table} SELECT 1")
        finished(session, cursor.sfqid)
        assert session.cursor().execute(f"SELECT COUNT(*) FROM {table}").fetchall() == [(1,)]

    def test_a_lost_answer_at_a_poll(self, standin, session):
        cursor = session.cursor()
        cursor.execute_async("SELECT 9")
        standin.faults({"path": "^/monitoring", "action": "close", "times": 2})
        assert finished(session, cursor.sfqid) == QueryStatus.SUCCESS

    def test_history_by_tag(self, session, run, table):
        tag = f"it's {uuid.uuid4()}"
        run("ALTER SESSION SET QUERY_TAG = '" + tag.replace("'", "\\'") + "'")
        cursor = session.cursor()
        cursor.execute_async("SELECT SYSTEM$WAIT(60)")
        run("ALTER SESSION UNSET QUERY_TAG")
        wanted = "WHERE QUERY_TAG = '" + tag.replace("'", "''") + "' AND QUERY_TEXT LIKE 'SELECT SYSTEM$WAIT%'"
        for function in ("QUERY_HISTORY", "QUERY_HISTORY_BY_SESSION"):
            rows = named_rows(session.cursor().execute(f"SELECT * FROM TABLE(INFORMATION_SCHEMA.{function}(RESULT_LIMIT => 1000)) {wanted}"))
            assert [(r["QUERY_ID"], r["EXECUTION_STATUS"], r["END_TIME"]) for r in rows] == [(cursor.sfqid, "RUNNING", None)]
        run(f"SELECT SYSTEM$CANCEL_QUERY('{cursor.sfqid}')")
        finished(session, cursor.sfqid)
        assert run(f"SELECT EXECUTION_STATUS, ERROR_CODE FROM TABLE(DB.INFORMATION_SCHEMA.QUERY_HISTORY(END_TIME_RANGE_START => "
                   f"DATEADD('hour', -1, CURRENT_TIMESTAMP()), RESULT_LIMIT => 10000)) h {wanted} ORDER BY START_TIME DESC") == [("FAILED_WITH_ERROR", "000604")]

    def test_result_scan_is_a_table(self, run, session):
        cursor = session.cursor().execute("SELECT 1 AS A, 'x' AS \"b\", '2024-01-02'::DATE AS D, TRUE AS T")
        assert run(f"SELECT r.\"b\", A + 1, D, T FROM TABLE(RESULT_SCAN('{cursor.sfqid}')) r WHERE A = 1")[0][:2] == ("x", 2)


# --- the wire itself, and what becomes of transactions

def submit(bare, sql, request=None):
    answer = bare.query(sql, request, asyncExec=True)
    assert answer["code"] == "333334" and answer["success"], answer
    return answer["data"]


class TestTransactions:
    def test_it_belongs_to_the_sessions_transaction(self, standin, run, table):
        bare = standin.bare()
        bare.rows("BEGIN")
        standin.faults({"sql": f"INSERT INTO {table}", "action": "slow_execution", "delay_ms": 400})
        data = submit(bare, f"INSERT INTO {table} SELECT 1")
        assert bare.rows("SELECT 1") == [["1"]]                 # waits for its turn
        assert bare.get(data["getResultUrl"])["data"]["rowset"] == [["1"]]
        assert run(f"SELECT COUNT(*) FROM {table}") == [(0,)]
        bare.rows("COMMIT")
        assert run(f"SELECT COUNT(*) FROM {table}") == [(1,)]

    def test_commit_comes_after_what_was_submitted_before(self, standin, run, table):
        bare = standin.bare()
        bare.rows("BEGIN")
        standin.faults({"sql": f"INSERT INTO {table}", "action": "slow_execution", "delay_ms": 300})
        submit(bare, f"INSERT INTO {table} SELECT 1")
        bare.rows("COMMIT")
        assert run(f"SELECT COUNT(*) FROM {table}") == [(1,)]

    def killed(self, standin, table, **fault):
        """(session, the running statement) of a client that vanished."""
        bare = standin.bare()
        bare.rows("BEGIN NAME DETACHED"), bare.rows(f"UPDATE {table} SET A = 1")
        standin.faults({"sql": f"INSERT INTO {table}", "action": "slow_execution", **fault})
        data = submit(bare, f"INSERT INTO {table} SELECT 1")
        standin.control("kill-sessions", {"session": bare.data["sessionId"]})
        assert bare.get(data["getResultUrl"])["code"] == "390111"
        return data

    def test_the_session_is_killed_and_the_transaction_lives_on(self, standin, session, run, table):
        data = self.killed(standin, table, gate="go on")
        number = next(r[0] for r in run("SHOW TRANSACTIONS") if r[3] == "DETACHED")
        assert status(session, data["queryId"]) == QueryStatus.RUNNING
        standin.control("open-gate", {"gate": "go on"})
        assert finished(session, data["queryId"]) == QueryStatus.SUCCESS
        assert run(f"SELECT COUNT(*) FROM {table}") == [(0,)]
        assert "Aborted" in run(f"SELECT SYSTEM$ABORT_TRANSACTION({number})")[0][0]
        assert run(f"SELECT COUNT(*) FROM {table}") == [(0,)]
        assert "does not exist" in run(f"SELECT SYSTEM$ABORT_TRANSACTION({number})")[0][0]

    @pytest.mark.parametrize("silent", ["error", "silent"])
    def test_abort_waits_for_the_running_statement(self, standin, session, run, table, silent):
        standin.control("settings", {"cancel_delay_seconds": 0.7, "aborted_transaction": silent})
        data = self.killed(standin, table, delay_ms=60000)
        number = next(r[0] for r in run("SHOW TRANSACTIONS") if r[3] == "DETACHED")
        abort = in_thread(lambda: standin.bare().rows(f"SELECT SYSTEM$ABORT_TRANSACTION({number})"))
        assert status(session, data["queryId"]) == QueryStatus.RUNNING and abort.thread.is_alive()
        assert "Aborted" in abort()[0][0]
        assert finished(session, data["queryId"]) == QueryStatus.FAILED_WITH_ERROR
        assert run(f"SELECT COUNT(*) FROM {table}") == [(0,)]

    @pytest.mark.parametrize("cancels", [True, False])
    def test_a_session_that_closes_cancels_what_runs_in_it(self, standin, session, run, table, cancels):
        standin.control("settings", {"close_cancels": cancels})
        bare = standin.bare()
        standin.faults({"sql": f"INSERT INTO {table}", "action": "slow_execution", "delay_ms": 500})
        data = submit(bare, f"INSERT INTO {table} SELECT 1")
        bare.post("/session?delete=true", token=bare.token)
        assert finished(session, data["queryId"]) == (QueryStatus.FAILED_WITH_ERROR if cancels else QueryStatus.SUCCESS)
        assert run(f"SELECT COUNT(*) FROM {table}") == [(0 if cancels else 1,)]

    def test_closing_rolls_back_with_the_statement(self, standin, run, table):
        bare = standin.bare()
        bare.rows("BEGIN")
        standin.faults({"sql": f"INSERT INTO {table}", "action": "slow_execution", "delay_ms": 60000})
        submit(bare, f"INSERT INTO {table} SELECT 1")
        bare.post("/session?delete=true", token=bare.token)
        assert run(f"SELECT COUNT(*) FROM {table}") == [(0,)] and not run("SHOW TRANSACTIONS")


class TestWire:
    def test_answer_monitoring_and_result(self, standin):
        bare, request = standin.bare(), str(uuid.uuid4())
        data = submit(bare, "SELECT SYSTEM$WAIT(0.5)", request)
        assert data["getResultUrl"] == f"/queries/{data['queryId']}/result"
        assert submit(bare, "SELECT SYSTEM$WAIT(0.5)", request)["queryId"] == data["queryId"]
        assert bare.get(f"/monitoring/queries/{data['queryId']}")["data"]["queries"][0]["status"] == "RUNNING"
        standin.control("settings", {"sync_seconds": 0.05})
        assert bare.get(data["getResultUrl"])["code"] == "333334"
        until(lambda: bare.get(data["getResultUrl"])["code"] is None)
        assert bare.get(f"/monitoring/queries/{data['queryId']}")["data"]["queries"][0]["status"] == "SUCCESS"
        assert bare.get(f"/monitoring/queries/{uuid.uuid4()}")["data"]["queries"] == []

    def test_abort_by_query_id(self, standin):
        bare = standin.bare()
        data = submit(bare, "SELECT SYSTEM$WAIT(60)")
        assert bare.post(f"/queries/{data['queryId']}/abort-request", token=bare.token)["success"]
        assert until(lambda: (a := bare.get(data["getResultUrl"]))["code"] != "333334" and a)["code"] == "000604"
        assert bare.post(f"/queries/{data['queryId']}/abort-request", token=bare.token)["code"] == "000605"

    def test_a_submit_that_arrives_late(self, standin, run, table):
        bare, request = standin.bare(), str(uuid.uuid4())
        standin.faults({"sql": f"INSERT INTO {table}", "action": "late", "delay_ms": 400})
        with pytest.raises(requests.ConnectionError):
            bare.query(f"INSERT INTO {table} SELECT 1", request, asyncExec=True)
        data = submit(bare, f"INSERT INTO {table} SELECT 1", request)
        until(lambda: bare.get(data["getResultUrl"])["code"] is None)
        assert run(f"SELECT COUNT(*) FROM {table}") == [(1,)]
