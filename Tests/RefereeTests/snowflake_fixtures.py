"""Fixtures and helpers of the test_snowflake_standin_* files: import them by name."""
import threading
import time
import uuid

import pytest
import snowflake.connector
from snowflake_rig import StandIn, resolve_localhost_names, trust

Error = snowflake.connector.errors.Error


@pytest.fixture(scope="module")
def standin(tmp_path_factory):
    resolve_localhost_names()
    standin = StandIn(tmp_path_factory.mktemp("snowflake"))
    trust(standin.folder / "data" / "ca.pem")
    yield standin
    standin.stop()


@pytest.fixture(autouse=True)
def settings(request):
    """Every test starts with default settings and without faults."""
    if "standin" not in request.fixturenames:
        yield
        return
    standin = request.getfixturevalue("standin")
    before = standin.control("settings")
    standin.faults()
    yield
    standin.faults()
    standin.control("settings", before)
    for transaction in standin.control("transactions")["transactions"]:
        standin.control("abort-transaction", {"id": transaction["id"]})


@pytest.fixture
def session(standin):
    connection = standin.connect()
    yield connection
    connection.close()


@pytest.fixture
def run(session):
    return lambda sql, *parameters: session.cursor().execute(sql, *parameters).fetchall()


@pytest.fixture
def stage(run):
    """The name of a new stage."""
    stage = name("STAGE")
    run(f"CREATE STAGE {stage}")
    return stage


@pytest.fixture
def put(standin, run, stage, tmp_path):
    """put(name, content) into the stage, by the connector."""
    standin.control("stage", {"stage": f"DB.SCH.{stage}", "location": "LOCAL_FS"})

    def put(file, content):
        path = tmp_path / file
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        run(f"PUT file://{path} @{stage} AUTO_COMPRESS=FALSE OVERWRITE=TRUE")
    return put


def name(prefix="T"):
    return f"{prefix}_{uuid.uuid4().hex[:10].upper()}"


def in_thread(action):
    """Starts it; the returned function waits for its result."""
    box = {}

    def work():
        try:
            box["value"] = action()
        except BaseException as error:
            box["error"] = error

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def wait(seconds=30):
        thread.join(seconds)
        assert not thread.is_alive(), "still waiting"
        if "error" in box:
            raise box["error"]
        return box["value"]

    wait.thread = thread
    return wait


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
    return found


def named_rows(cursor):
    """Rows as dictionaries by column name."""
    heads = [d[0] for d in cursor.description]
    return [dict(zip(heads, row)) for row in cursor.fetchall()]
