"""Bad input and faults through the real program: a clear error or a dead letter, and nothing lost.

Where rows are owed, they are read back by others: Python's json and csv, and Snowflake's own connector.
"""
import base64
import csv
import io
import json
import math
import socket
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import bson
import pytest
from certificates import private_key_pem, self_signed

from Sandbox.mongo.client import Client
from Sandbox.program import call, settings
from Sandbox.stack import DATABASE, PASSWORD, ROOT, SCHEMA, USER, Stack

ONCE = settings(pipeline__retry_for="1s")
NUMBERS = [{"n": n} for n in range(10)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(str(tmp_path_factory.mktemp("stack")), snowflake=["--tls"]) as running:
        yield running


@contextmanager
def mongo(folder: Path, *arguments: object):
    """A MongoDB stand-in of a test's own; gives its port."""
    port = folder / "mongo.port"
    child = subprocess.Popen([sys.executable, "-m", "Sandbox.mongo", "--port-file", str(port), *map(str, arguments)],
                             cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        assert child.stdout.readline().startswith("mongodb://")
        yield int(port.read_text())
    finally:
        child.terminate()
        assert child.wait(20) == 0


@pytest.fixture
def files(tmp_path):
    """Runs file -> file in the test's folder, and reads back."""
    return Files(tmp_path)


class Files:
    def __init__(self, folder: Path):
        self.folder, self.out, self.state = folder, folder / "out", folder / "state"

    def write(self, name: str, content: bytes | str) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run(self, source: Path, *extra: str):
        return call("run", "--source", "file", "--dest", "file", "--state", self.state,
                    *settings(source__path=source, destination__path=self.out), *ONCE, *extra)

    def lines(self) -> list:
        return [json.loads(line) for path in sorted(self.out.rglob("*.jsonl")) for line in path.read_bytes().splitlines()]

    def rows(self) -> list[dict]:
        return [row for path in sorted(self.out.rglob("*.csv")) for row in
                csv.DictReader(io.StringIO(path.read_text(), newline=""))]

    def letters(self) -> list[dict]:
        return dead_letters(self.state)


def dead_letters(state: Path) -> list[dict]:
    folder = state / "dead-letters"
    assert not list(folder.glob(".*")), "dead letters of a finished run are visible"
    for path in folder.glob("*.jsonl"):
        assert path.stat().st_mode & 0o777 == 0o600
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def payload(letter: dict) -> bytes:
    return letter["payload"].encode() if "payload" in letter else base64.b64decode(letter["payloadBase64"])


class ToSnowflake:
    """One table; runs a file or a collection into it until it is caught up."""

    def __init__(self, stack: Stack, folder: Path, name: str, **environment: str):
        self.stack, self.name, self.table, self.state = stack, name, name.upper(), folder / "table-state"
        self.environment = stack.environment("bad", name, self.table) | environment

    def run(self, source: str, *extra: str):
        return call("run", "--source", source, "--dest", "snowflake_optimized", "--until-caught-up", "--state", self.state,
                    *settings(destination__micro_batch_timeout_ms=200, destination__stage_prefix=self.name), *ONCE, *extra,
                    env=self.environment)

    def file(self, path: Path, *extra: str):
        return self.run("file", *settings(source__path=path), *extra)

    def put(self, *documents: bytes | dict) -> None:
        for document in documents:
            raw = document if isinstance(document, bytes) else bson.encode(document)
            self.stack.mongo({"sandboxPut": f"bad.{self.name}", "bson": bson.Binary(raw)})

    def select(self, columns: str, order: str = "1") -> list[tuple]:
        return self.stack.sql(f'SELECT {columns} FROM "{DATABASE}"."{SCHEMA}"."{self.table}" ORDER BY {order}')[0]

    @property
    def exists(self) -> bool:
        return bool(self.stack.sql(f"SHOW TABLES LIKE '{self.table}' IN SCHEMA {DATABASE}.{SCHEMA}")[0])

    def documents(self) -> list:
        return [json.loads(text) for text, in self.select("DOCUMENT", "SEQUENCE")]


@pytest.fixture
def target(stack, tmp_path, request):
    def make(**environment: str) -> ToSnowflake:
        name = "".join(c if c.isalnum() else "_" for c in request.node.name.removeprefix("test_")).strip("_")
        return ToSnowflake(stack, tmp_path, name[:60], **environment)
    return make


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
    ("destination__schema_evolution", "true", "not supported yet"), ("destination__enable_streaming", "true", "not supported yet"),
    ("destination__write_mode", "merge", "not supported yet"), ("destination__use_external_stage", "true", "not supported yet"),
    ("destination__parallel_uploads", "0", "parallel_uploads"), ("destination__max_file_size", "lots", "max_file_size"),
    ("destination__host", "http://snowflake.example.com", "http:// is accepted to loopback addresses only"),
])
def test_a_setting_that_cannot_be_kept_is_refused(target, numbers, name, value, needle):
    ended = target().file(numbers, *settings(**{name: value}))
    assert ended.code == 2 and len(ended.errors) == 1
    assert needle in ended.errors[0]["message"] + ended.errors[0]["remedy"], ended.errors


# --- Malformed records -----------------------------------------------------------------------------------------------

BAD_JSON = {2: b'{"n": 1', 3: b"{'n': 1}", 4: b'{"n":NaN}', 5: b'{"n":Infinity}', 6: b'{"n":-Infinity}', 7: b'{"n":01}',
            8: b'{"s":"\xff\xfe"}', 9: b'{"s":"\xc0\xaf"}', 10: b'{"s":"\xed\xa0\x80"}', 11: b'{"n":1}{"n":2}', 12: b"plain text",
            13: b'{"s":"a\tb"}', 14: b'{"n":1,}', 15: b"\x00"}


def test_malformed_json_lines(files):
    lines = [b'{"n":1}', *BAD_JSON.values(), '{"s":"é \U0001f600"}'.encode(), b'{"n":18446744073709551616,"d":0.10}']
    source = files.write("in.jsonl", b"\n".join(lines) + b"\n")
    ended = files.run(source).done(read=len(lines), committed=3, rejected=len(BAD_JSON))
    assert ended.summary["dead_letters"] == str(files.state / "dead-letters")
    assert files.lines() == [{"n": 1}, {"s": "é \U0001f600"}, {"n": 18446744073709551616, "d": 0.1}]
    assert '"n":18446744073709551616,"d":0.10' in next(files.out.glob("*.jsonl")).read_text(), "numbers keep their text"
    letters = files.letters()
    assert {letter["place"]: payload(letter) for letter in letters} == {f"{source}:{n}": line for n, line in BAD_JSON.items()}
    assert {letter["code"] for letter in letters} == {"file.bad_line"} and all(letter["remedy"] for letter in letters)
    files.run(source).done(read=0, committed=0, rejected=0)


def test_malformed_csv_rows(files):
    good = [{"id": "1", "text": "a"}, {"id": "2", "text": "two\nlines, and a \"quote\""}, {"id": "3", "text": ""}]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["id", "text"], lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(good)
    bad = [b"4", b"5,b,c", b"6,\xff", b'7,"x"y', b'8,"never closed\n']
    source = files.write("in.csv", text.getvalue().encode() + b"\r\n".join(bad))
    files.run(source).done(read=8, committed=3, rejected=5)
    assert files.lines() == good
    letters = files.letters()
    # The second row has two lines, so the first bad one stands in line 6.
    assert [letter["place"] for letter in letters] == [f"{source}:{line}" for line in range(6, 11)]
    assert [payload(letter).rstrip(b"\n") for letter in letters] == [line.rstrip(b"\n") for line in bad]
    assert [letter["code"] for letter in letters[:2]] == ["file.wrong_width"] * 2


def test_values_that_do_not_fit_their_declared_type(files):
    source = files.write("in.csv", "n,d,b\n1,1.5,true\nx,1,true\n2,NaN,true\n3,1,maybe\n9007199254740993,1e400,false\n")
    files.run(source, *settings(source__columns="{n: integer, d: number, b: boolean}")).done(committed=2, rejected=3)
    assert next(files.out.glob("*.jsonl")).read_text().splitlines() == [
        '{"n":1,"d":1.5,"b":true}', '{"n":9007199254740993,"d":1e400,"b":false}']
    assert [(letter["place"], letter["code"]) for letter in files.letters()] == [
        (f"{source}:{line}", "file.bad_value") for line in (3, 4, 5)]


def test_more_rejects_than_allowed_stop_the_run(files):
    source = files.write("in.jsonl", b'{"n":1}\n' + b"bad\n" * 5 + b'{"n":2}\n')
    error = files.run(source, *settings(pipeline__max_rejected=3)).failed("pipeline.too_many_rejected", 1)
    assert "max_rejected" in error["message"] and f"{source}:" in error["message"]
    files.run(source, *settings(pipeline__max_rejected=5)).done(committed=2, rejected=5)
    assert files.lines() == [{"n": 1}, {"n": 2}]


def test_truncated_and_damaged_compressed_files(files):
    import gzip
    whole = gzip.compress(b"".join(json.dumps({"n": n, "pad": "x" * n}).encode() + b"\n" for n in range(5000)))
    source = files.write("in.jsonl.gz", whole[:-200])
    ended = files.run(source)
    assert ended.code != 0 and len(ended.errors) == 1 and str(source) in json.dumps(ended.errors), str(ended)
    source.write_bytes(whole)
    files.run(source).done()
    assert files.lines() == [{"n": n, "pad": "x" * n} for n in range(5000)]


def raw_document(number: int, element: bytes) -> bytes:
    body = b"\x10_id\x00" + number.to_bytes(4, "little") + element + b"\x00"
    return (len(body) + 4).to_bytes(4, "little") + body


MALFORMED_BSON = {
    1: b"\x02s\x00\x03\x00\x00\x00\xff\xfe\x00",            # text that is not UTF-8
    2: b"\x02s\x00\x40\x00\x00\x00ab\x00",                  # text longer than the document
    3: b"\x08b\x00\x02",                                    # neither true nor false
    4: b"\x7ex\x00\x01\x02",                                # no such type
    5: b"\x03d\x00\x30\x00\x00\x00\x00",                    # inner document longer than the outer one
    6: b"\x02s\x00\x02\x00\x00\x00ab",                      # text without its end
}


@pytest.mark.parametrize("late", [False, True], ids=["copied", "changed"])
def test_malformed_bson(target, stack, late):
    """A document that cannot be read is one dead letter with its key; those around it arrive."""
    table = target()
    if late:
        table.put({"_id": 100})
        table.run("mongo").done(committed=1)
    else:
        table.put({"_id": 100})
    table.put({"_id": 0, "ok": True}, *[raw_document(n, element) for n, element in MALFORMED_BSON.items()], {"_id": 7, "ok": True})
    ended = table.run("mongo").done(committed=2 if late else 3, rejected=6)
    assert sorted(d["_id"] for d in table.documents()) == [0, 7, 100]
    letters = dead_letters(table.state)
    # The last "_id" of an event is that of its documentKey.
    numbers = [int.from_bytes(raw[raw.rindex(b"\x10_id\x00") + 5:][:4], "little") for raw in map(payload, letters)]
    assert sorted(numbers) == list(MALFORMED_BSON)
    assert all(letter["place"].partition(" ")[0] == f"bad.{table.name}" for letter in letters)
    assert {(letter["code"], letter["format"]) for letter in letters} == {("formats.malformed_bson", "bson")}
    assert all("at byte" in letter["message"] and letter["remedy"] for letter in letters) and ended.code == 0


def test_invalid_utf8_and_csv_into_snowflake(target, files):
    source = files.write("in.csv", b"id,text\n1,caf\xc3\xa9\n2,caf\xe9\n3,\"line\nbreak\"\n4,\n5,\"\"\n")
    table = target()
    table.file(source).done(committed=4, rejected=1)
    assert table.select("ID, TEXT") == [("1", "café"), ("3", "line\nbreak"), ("4", None), ("5", "")]
    [letter] = dead_letters(table.state)
    assert letter["place"] == f"{source}:3" and payload(letter) == b"2,caf\xe9"


# --- Large and odd ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("late", [False, True], ids=["copied", "changed"])
def test_a_document_of_15_9_megabytes(target, late):
    table = target()
    large = {"_id": 1, "text": "äb\"\\\n" * 100_000, "bytes": b"\x00\xff" * 1000}
    large["pad"] = "x" * (15_900_000 - len(bson.encode(large | {"pad": ""})))
    assert len(bson.encode(large)) == 15_900_000
    table.put({"_id": 0})
    if late:
        table.run("mongo").done(committed=1)
    table.put(large, {"_id": 2})
    table.run("mongo").done(committed=2 if late else 3, rejected=0)
    found = {d["_id"]: d for d in table.documents()}
    assert set(found) == {0, 1, 2}
    assert found[1]["text"] == large["text"] and found[1]["pad"] == large["pad"]


def test_a_row_over_max_row_bytes_is_one_dead_letter(target):
    table = target()
    table.put({"_id": 0}, {"_id": 1, "text": "x" * 5000}, {"_id": 2})
    table.run("mongo", *settings(destination__max_row_bytes="2KiB")).done(committed=2, rejected=1)
    assert [d["_id"] for d in table.documents()] == [0, 2]
    [letter] = dead_letters(table.state)
    assert letter["code"] == "snowflake.row_too_large" and "max_row_bytes" in letter["remedy"]
    assert bson.decode(payload(letter))["_id"] == 1 or b'"text"' in payload(letter)


def test_a_line_over_max_line_bytes_is_one_dead_letter(files):
    source = files.write("in.jsonl", b'{"n":0}\n{"n":1,"s":"' + b"x" * 300_000 + b'"}\n{"n":2}\n')
    files.run(source, *settings(source__max_line_bytes="64KiB")).done(committed=2, rejected=1)
    assert files.lines() == [{"n": 0}, {"n": 2}]
    [letter] = files.letters()
    assert (letter["code"], letter["place"]) == ("file.line_too_long", f"{source}:2")


def test_nan_and_infinities_of_bson(target, files):
    """In JSON they are texts (docs: plain) or Extended JSON; nothing is rejected, nothing becomes null."""
    table = target()
    decimals = {name: bson.Decimal128(name) for name in ("NaN", "Infinity", "-Infinity")}
    table.put({"_id": 1, "nan": math.nan, "inf": math.inf, "minus": -math.inf, "zero": -0.0, **decimals})
    table.run("mongo").done(committed=1)
    [found] = table.documents()
    assert (found["nan"], found["inf"], found["minus"]) == ("NaN", "Infinity", "-Infinity")
    assert math.copysign(1, found["zero"]) == -1
    assert {name: found[name] for name in decimals} == {name: name for name in decimals}
    call("run", "--source", "mongo", "--dest", "file", "--until-caught-up", "--state", files.state,
         *settings(destination__path=files.out, destination__json="relaxed"), *ONCE, env=table.environment).done(committed=1)
    [line] = files.lines()
    assert line["document"]["nan"] == {"$numberDouble": "NaN"} and line["document"]["minus"] == {"$numberDouble": "-Infinity"}


ODD_NAMES = ["id", "select", "with space", 'quo"te', "dots.and-dashes", "ümlaut", "MiXed", "1st", "a,b", "$x", "tab\\t", "'"]


def test_column_names_that_need_quoting(target, files):
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerows([ODD_NAMES, [f"v{i}" for i in range(len(ODD_NAMES))], [""] * len(ODD_NAMES)])
    source = files.write("in.csv", text.getvalue())
    table = target()
    table.file(source).done(committed=2)
    described = [row[0] for row in table.stack.sql(f'DESCRIBE TABLE "{DATABASE}"."{SCHEMA}"."{table.table}"')[0]]
    assert [name.upper() for name in described] == [name.upper() for name in ODD_NAMES]
    assert described[:3] == ["ID", "SELECT", "with space"]
    rows = table.select("*", "1 NULLS LAST")
    assert rows == [tuple(f"v{i}" for i in range(len(ODD_NAMES))), (None,) * len(ODD_NAMES)]
    assert files.run(source).done(committed=2) and files.lines()[0] == dict(zip(ODD_NAMES, rows[0]))


@pytest.mark.parametrize("name, content", [("in.csv", "Name,other,NAME\n1,2,3\n"), ("in.jsonl", '{"Name":1,"NAME":3}\n')])
def test_column_names_that_collide_when_folded(target, files, name, content):
    source = files.write(name, content)
    table = target()
    error = table.file(source).failed("snowflake.columns_collide", 1)
    assert "'Name'" in error["message"] and "'NAME'" in error["message"] and "Rename" in error["remedy"]
    assert not table.exists
    source.write_text(content.replace("NAME", "name2"))
    files.run(source).done(committed=1)


def test_namespaces_that_fold_to_one_table(target):
    table = target()
    table.stack.mongo({"sandboxPut": "fold.Orders", "bson": bson.Binary(bson.encode({"_id": 1}))})
    table.stack.mongo({"sandboxPut": "fold.orders", "bson": bson.Binary(bson.encode({"_id": 2}))})
    table.environment |= {"MONGO_DB": "fold", "SNOWFLAKE_TABLE": "{collection}"}
    del table.environment["MONGO_COLL"]
    error = table.run("mongo").failed("snowflake.tables_collide", 2)
    assert "Orders" in error["message"] and "orders" in error["message"]


def test_ten_thousand_columns(target, files):
    names = [f"c{n}" for n in range(10_000)]
    rows = [[f"{r}.{n}" for n in range(10_000)] for r in range(3)]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([names, *rows])
    source = files.write("in.csv", text.getvalue())
    files.run(source).done(committed=3)
    assert files.lines() == [dict(zip(names, row)) for row in rows]
    table = target()
    table.file(source).done(committed=3)
    found = table.stack.snowflake("export", table=f"{DATABASE}.{SCHEMA}.{table.table}", format="csv", path=str(files.folder / "back.csv"))
    assert "error" not in found
    with (files.folder / "back.csv").open(newline="") as file:
        header, *back = csv.reader(file)
    assert header == [name.upper() for name in names] and sorted(back) == rows


def test_ten_thousand_keys_of_a_json_object_as_csv(files):
    record = {f"k{n}": n for n in range(10_000)}
    source = files.write("in.jsonl", (json.dumps(record) + "\n") * 3)
    files.run(source, *settings(destination__format="csv")).done(committed=3)
    assert files.rows() == [{key: str(value) for key, value in record.items()}] * 3


# --- Nothing to do ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, content, more", [
    ("empty.csv", "", "a,b\n1,2\n"), ("header.csv", "a,b\n", "1,2\n"), ("empty.jsonl", "", '{"a":"1","b":"2"}\n')])
def test_an_empty_file(files, name, content, more):
    source = files.write(name, content)
    files.run(source).done(read=0, committed=0, rejected=0)
    assert files.lines() == []
    with source.open("a") as file:
        file.write(more)
    files.run(source).done(committed=1)
    assert files.lines() == [{"a": "1", "b": "2"}]


def test_an_empty_folder_and_a_file_that_is_not_there(files):
    folder = files.folder / "in"
    folder.mkdir()
    files.run(folder).done(read=0)
    (folder / "a.jsonl").write_text('{"n":1}\n')
    files.run(folder).done(committed=1)
    error = Files(files.folder / "other").run(files.folder / "none.csv").failed("file.not_found", 3)
    assert error["place"]["path"] == str(files.folder / "none.csv")


@pytest.mark.parametrize("exists", [True, False], ids=["empty", "missing"])
def test_an_empty_collection(target, stack, exists):
    table = target()
    if exists:
        stack.mongo({"create": table.name}, "bad")
    table.run("mongo").done(read=0, committed=0)
    table.put({"_id": 1})
    table.run("mongo").done(committed=1)
    assert table.documents() == [{"_id": 1}]
