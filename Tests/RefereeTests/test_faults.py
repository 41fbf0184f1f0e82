"""Wrong credentials, missing rights, the network, state and configuration, through the real program: a clear error, and with
the fault mended the same command moves everything once."""
import json
import socket
import sqlite3

import pytest
from certificates import private_key_pem, self_signed
from pipelines import ONCE, Files, mongo

from Sandbox.mongo.client import Client
from Sandbox.program import call, settings
from Sandbox.stack import DATABASE, PASSWORD, SCHEMA

NUMBERS = [{"n": n} for n in range(10)]


@pytest.fixture
def numbers(files):
    return files.write("numbers.jsonl", "".join(json.dumps(line) + "\n" for line in NUMBERS))


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


# --- Credentials -----------------------------------------------------------------------------------------------------

def mongo_to_file(files: Files, uri: str, *extra: str):
    return call("run", "--source", "mongo", "--dest", "file", "--until-caught-up", "--state", files.state, *ONCE, *extra,
                *settings(source__database="shop", source__collection="orders", destination__path=files.out),
                env={"MONGO_URI": uri})


def test_a_wrong_mongo_password(files):
    with mongo(files.folder, "--user", "reader", "--password", "right", "--documents", 20) as port:
        place = f"127.0.0.1:{port}/?replicaSet=rs0"
        ended = mongo_to_file(files, f"mongodb://reader:wr0ng-pass@{place}")
        error = ended.failed("mongo.authentication_failed", 3)
        assert f"127.0.0.1:{port}" in error["message"] and "password" in error["remedy"]
        assert "wr0ng-pass" not in str(ended) and files.lines() == []
        unnamed = mongo_to_file(files, f"mongodb://{place}").failed("mongo.not_permitted", 3)
        assert "requires authentication" in unnamed["message"]
        mongo_to_file(files, f"mongodb://reader:right@{place}").done(committed=20)
        assert len({line["documentKey"]["_id"] for line in files.lines()}) == 20


def test_a_wrong_snowflake_password(target, numbers):
    table = target()
    table.environment["SNOWFLAKE_PASSWORD"] = "wr0ng-pass"
    ended = table.file(numbers)
    error = ended.failed("snowflake.login_failed", 3)
    assert "password" in error["remedy"] and "390100" in error["native"]
    assert "wr0ng-pass" not in str(ended) and not table.exists
    table.environment["SNOWFLAKE_PASSWORD"] = PASSWORD
    table.file(numbers).done(committed=10)
    assert [json.loads(n) for n, in table.select("N", "N::INT")] == list(range(10))


def test_a_key_that_snowflake_does_not_know(target, numbers):
    table = target()
    del table.environment["SNOWFLAKE_PASSWORD"]
    table.environment["SNOWFLAKE_PRIVATE_KEY"] = private_key_pem()
    error = table.file(numbers).failed("snowflake.login_failed", 3)
    assert "key" in error["remedy"]
    table.environment["SNOWFLAKE_PRIVATE_KEY"] = "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n"
    ended = table.file(numbers)
    error = ended.failed("snowflake.bad_key", 2)
    assert "PKCS#8" in error["remedy"] and "bm90IGEga2V5" not in str(ended)
    assert not table.exists


# --- Rights ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("right, grant", [
    ("CREATE TABLE", f'GRANT CREATE TABLE ON SCHEMA "{DATABASE}"."{SCHEMA}" TO ROLE <role>;'),
    ("CREATE STAGE", f'GRANT CREATE STAGE ON SCHEMA "{DATABASE}"."{SCHEMA}" TO ROLE <role>;'),
    ("WRITE", f'GRANT READ, WRITE ON STAGE "{DATABASE}"."{SCHEMA}"."NEBULA_STAGE" TO ROLE <role>;'),
    ("INSERT {table}", f'GRANT INSERT, SELECT ON TABLE "{DATABASE}"."{SCHEMA}"."{{table}}" TO ROLE <role>;'),
    ("UPDATE", "GRANT SELECT, INSERT, UPDATE ON TABLE"),
    ("INSERT NEBULA_LEDGER", f'GRANT SELECT, INSERT, UPDATE ON TABLE "{DATABASE}"."{SCHEMA}"."NEBULA_LEDGER" TO ROLE <role>;'),
])
def test_a_missing_snowflake_right(target, stack, numbers, right, grant):
    """The error prints the GRANT; with the right given, the same command loads everything once."""
    table = target(SNOWFLAKE_USER="NARROW", SNOWFLAKE_PASSWORD="narrow-pass")
    if right == "CREATE STAGE":
        table.environment["SNOWFLAKE_SCHEMA"] = "FRESH"
        stack.sql(f"CREATE SCHEMA IF NOT EXISTS {DATABASE}.FRESH")
        grant = grant.replace(SCHEMA, "FRESH")
    denied = {"name": "NARROW", "password": "narrow-pass", "deny": [right.format(table=table.table)]}
    stack.snowflake("user", denied)
    error = table.file(numbers).failed("snowflake.not_permitted", 3)
    assert grant.format(table=table.table) in error["remedy"], error
    assert "003001" in error["native"] and "Insufficient privileges" in error["message"]
    stack.snowflake("user", denied | {"deny": []})
    table.file(numbers).done()
    schema = table.environment["SNOWFLAKE_SCHEMA"]
    [rows] = stack.sql(f'SELECT N FROM "{DATABASE}"."{schema}"."{table.table}" ORDER BY N::INT')
    assert [json.loads(n) for n, in rows] == list(range(10))


@pytest.mark.parametrize("command", ["find", "changeStream"])
def test_a_missing_mongo_right(files, command):
    with mongo(files.folder, "--documents", 20) as port:
        uri = f"mongodb://127.0.0.1:{port}/?replicaSet=rs0"
        server = Client(port)
        server.command("admin", {"sandboxFaults": [
            {"command": command, "code": 13, "message": "not authorized on shop to execute command", "times": -1}]})
        error = mongo_to_file(files, uri).failed("mongo.not_permitted", 3)
        assert "not authorized on shop" in error["message"] and "changeStream" in error["remedy"]
        assert "13" in error["native"]
        server.command("admin", {"sandboxFaults": []})
        server.close()
        mongo_to_file(files, uri).done(committed=20)


# --- The network -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("host, says", [("127.0.0.1:{port}", "127.0.0.1:{port}"), ("no-such-host.invalid:27017", "no-such-host.invalid")])
def test_an_unreachable_mongo(files, host, says):
    port = closed_port()
    uri = f"mongodb://{host.format(port=port)}/?replicaSet=rs0&serverSelectionTimeoutMS=500"
    error = mongo_to_file(files, uri).failed("mongo.unreachable", 3)
    assert says.format(port=port) in error["message"] and "firewall" in error["remedy"]


@pytest.mark.parametrize("host, code", [
    ("http://127.0.0.1:{port}", "http.refused"), ("https://no-such-host.invalid", "http.not_resolved")])
def test_an_unreachable_snowflake(target, numbers, host, code):
    port = closed_port()
    table = target(SNOWFLAKE_HOST=host.format(port=port))
    error = table.file(numbers).failed(code, 3)
    assert host.format(port=port).rpartition("/")[2] in error["message"] and "Check" in error["remedy"]
    table.environment["SNOWFLAKE_HOST"] = table.stack.snowflake_url
    table.file(numbers).done(committed=10)


@pytest.mark.parametrize("fault", ["unknown authority", "another host's name"])
def test_a_mongo_certificate_that_does_not_verify(files, fault):
    name = "localhost" if fault == "unknown authority" else "db1.example.com"
    certificate, key = self_signed(files.folder, name)
    with mongo(files.folder, "--tls-cert", certificate, "--tls-key", key, "--documents", 20, "--host-name", "localhost") as port:
        uri = f"mongodb://localhost:{port}/?replicaSet=rs0&tls=true&serverSelectionTimeoutMS=2000"
        if fault != "unknown authority":
            uri += f"&tlsCAFile={certificate}"
        error = mongo_to_file(files, uri).failed("mongo.certificate_refused", 3)
        assert f"localhost:{port}" in error["message"] and "tlsCAFile" in error["remedy"]
        assert files.lines() == []
        if fault == "unknown authority":
            mongo_to_file(files, uri + f"&tlsCAFile={certificate}").done(committed=20)


def test_a_snowflake_certificate_that_does_not_verify(target, stack, numbers):
    ready = next(line for line in (stack.folder / "snowflake.log").read_text().splitlines() if line.startswith("ready "))
    ports = json.loads(ready[ready.index("{"):])
    table = target(SNOWFLAKE_HOST=f"https://localhost:{ports['tls_api']}")
    error = table.file(numbers).failed("http.tls_failed", 3)
    assert "localhost" in error["message"] and "certificate" in error["remedy"]
    assert not table.exists


# --- State and configuration -----------------------------------------------------------------------------------------

def test_a_state_file_of_a_newer_version(files, numbers):
    files.run(numbers).done(committed=10)
    path = files.state / "state.sqlite"

    def version(number: int) -> None:
        database = sqlite3.connect(path)
        database.execute(f"PRAGMA user_version={number}")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()

    version(99)
    before = path.read_bytes()
    with numbers.open("a") as file:
        file.write('{"n":10}\n')
    for verb in (files.run(numbers), call("state", "show", "--state", files.state),
                 call("state", "reset", "--state", files.state, "--yes")):
        error = verb.failed("state.newer_version", 3)
        assert "99" in error["message"] and "newer" in error["remedy"] and error["place"]["path"] == str(path)
    assert path.read_bytes() == before and files.lines() == NUMBERS
    version(1)
    files.run(numbers).done(committed=1)
    assert files.lines() == NUMBERS + [{"n": 10}]


def test_a_damaged_state_file(files, numbers):
    files.run(numbers).done(committed=10)
    path = files.state / "state.sqlite"
    for old in files.state.glob("state.sqlite-*"):
        old.unlink()
    path.write_bytes(b"not a database" * 400)
    error = files.run(numbers).failed("state.corrupt", 1)
    assert error["place"]["path"] == str(path) and "backup" in error["remedy"]
    assert files.lines() == NUMBERS


def test_typos_in_a_configuration(tmp_path):
    """File, line and column, what was meant, and all errors at once; nothing is touched."""
    path = tmp_path / "orders.yaml"
    path.write_text("""\
name: orders
source:
  type: mongo
  properties:
    uri: mongodb://127.0.0.1:1/
    databse: shop
    batch_size: many
destination:
  type: snowflake_optimised
pipelines: {}
""")
    ended = call("run", path, "--state", tmp_path / "state")
    assert ended.code == 2
    found = {(e["place"]["line"], e["place"]["column"]): e for e in ended.errors}
    assert {e["place"]["path"] for e in ended.errors} == {str(path)}
    for place, code, meant in [((6, 5), "config.unknown_property", "Did you mean 'database'?"),
                               ((7, 17), "config.bad_property", ""),
                               ((9, 9), "config.unknown_connector", "Did you mean 'snowflake_optimized'?"),
                               ((10, 1), "config.unknown_property", "Did you mean 'pipeline'?")]:
        assert found[place]["code"] == code and meant in found[place]["remedy"], ended.errors
    assert len(found) == 4 and not (tmp_path / "state").exists()


@pytest.mark.parametrize("text, line", [("source: {type: file\n", 2), ("source:\n\ttype: file\n", 2), ("a: *nobody\n", 1),
                                        ("a: 1\na: 2\n", 2)])
def test_a_configuration_that_is_no_yaml(tmp_path, text, line):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    ended = call("validate", path)
    assert ended.code == 2
    assert (ended.errors[0]["place"]["path"], ended.errors[0]["place"]["line"]) == (str(path), line), ended.errors


@pytest.mark.parametrize("name, value, needle", [
    ("destination__enable_streaming", "true", "not supported yet"), ("destination__write_mode", "merge", "'key' is missing"),
    ("destination__use_external_stage", "true", "external_stage_url"),
    ("destination__parallel_uploads", "0", "parallel_uploads"), ("destination__max_file_size", "lots", "max_file_size"),
    ("destination__host", "http://snowflake.example.com", "http:// is accepted to loopback addresses only"),
])
def test_a_setting_that_cannot_be_kept_is_refused(target, numbers, name, value, needle):
    ended = target().file(numbers, *settings(**{name: value}))
    assert ended.code == 2 and len(ended.errors) == 1
    assert needle in ended.errors[0]["message"] + ended.errors[0]["remedy"], ended.errors
