"""A run against the stand-ins as a user meets it: the two-flag command, signals, the terminal, and what is never shown."""
import base64
import json
import os
import pty
import select
import signal
import subprocess
import threading
import time
import urllib.parse
from pathlib import Path

import bson
import pytest
from certificates import key_pair

from Sandbox.program import PROGRAM, Run, call, settings, wait_until
from Sandbox.stack import DATABASE, SCHEMA, Stack

READER, READER_PASSWORD = "re@der", "pl@nted:m0ngo/pass%"
QUICK = settings(destination__micro_batch_timeout_ms=200, source__max_await_time_ms=100, pipeline__retry_for="1s",
                 pipeline__idle_checkpoint_interval="200ms")


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(str(tmp_path_factory.mktemp("stack")), mongo=["--user", READER, "--password", READER_PASSWORD],
               snowflake=["--set", "blocking_idle_seconds=2"]) as running:
        yield running


class Shop:
    """One collection and its table."""

    def __init__(self, stack: Stack, folder: Path, name: str, count: int = 300):
        self.stack, self.name, self.table, self.state, self.log = stack, name, name.upper(), folder / "state", folder / "log"
        stack.mongo({"sandboxLoad": f"shop.{name}", "count": count, "seed": 3})
        login = f"{urllib.parse.quote(READER, safe='')}:{urllib.parse.quote(READER_PASSWORD, safe='')}"
        self.environment = stack.environment("shop", name, self.table) | {
            "MONGO_URI": stack.mongo_uri.replace("mongodb://", f"mongodb://{login}@"), "NEBULA_STATE_DIR": str(self.state)}

    def start(self, *extra: str) -> Run:
        return Run(["run", "--source", "mongo", "--dest", "snowflake_optimized", *extra], self.environment, self.log)

    def run(self, *extra: str):
        return call("run", "--source", "mongo", "--dest", "snowflake_optimized", "--until-caught-up", *QUICK, *extra,
                    env=self.environment)

    def keys(self) -> list:
        return [json.loads(key)["_id"] for key, in self.stack.sql(
            f'SELECT DOCUMENT_KEY FROM "{DATABASE}"."{SCHEMA}"."{self.table}" ORDER BY SEQUENCE')[0]]

    def rows(self) -> int:
        try:
            return len(self.keys())
        except Exception:
            return 0

    def put(self, document: dict) -> None:
        self.stack.mongo({"sandboxPut": f"shop.{self.name}", "bson": bson.Binary(bson.encode(document))})


@pytest.fixture
def shop(stack, tmp_path, request):
    return Shop(stack, tmp_path, "".join(c if c.isalnum() else "_" for c in request.node.name)[-50:])


def test_the_two_flag_command_from_the_environment_alone(shop):
    run = shop.start()
    wait_until(lambda: shop.rows() == 300, 60, "the copy", run)
    shop.put({"_id": "later"})
    wait_until(lambda: "later" in shop.keys(), 60, "the change", run)
    run.signal(signal.SIGTERM)
    assert run.wait(40) == 0, run.output
    assert "guarantee  exactly once" in run.output and "committed  301" in run.output
    assert len(set(shop.keys())) == len(shop.keys()) == 301
    for path in shop.state.rglob("*"):
        assert path.stat().st_mode & 0o77 == 0, f"{path} can be read by others"


# --- Signals ---------------------------------------------------------------------------------------------------------

@pytest.fixture
def stalled(stack, shop):
    """A run whose destination no longer answers, with changes under way."""
    run = shop.start(*QUICK, *settings(pipeline__shutdown_deadline="2s"))
    wait_until(lambda: shop.rows() == 300, 60, "the copy", run)
    stack.snowflake("stall", {"seconds": 20})
    served = stack.mongo({"sandboxStatus": 1})["served"]
    shop.put({"_id": "while stalled"})
    wait_until(lambda: stack.mongo({"sandboxStatus": 1})["served"] > served, 20, "the event's way to the program", run)
    yield run
    run.kill()
    stack.snowflake("stall", {"seconds": 0})


def test_the_shutdown_deadline_holds_while_the_destination_is_stalled(shop, stalled):
    stalled.signal(signal.SIGTERM)
    started = time.monotonic()
    assert stalled.wait(30) == 0, stalled.output
    assert time.monotonic() - started < 12, "the deadline is 2 s"
    shop.stack.snowflake("stall", {"seconds": 0})
    shop.run().done()
    assert sorted(map(str, shop.keys())) == sorted({str(key) for key in shop.keys()}) and "while stalled" in shop.keys()
    assert len(shop.keys()) == 301


HELD = {"login": {"path": "login-request"}, "ticket": {"sql": "^PUT"}, "upload": {"service": "s3", "method": "PUT"},
        "begin": {"sql": "^BEGIN NAME"}, "fence": {"sql": "^UPDATE"}, "copy": {"sql": "^COPY"},
        "commit": {"sql": "^COMMIT"}, "remove": {"sql": "^REMOVE"}}


@pytest.mark.parametrize("name", HELD)
def test_the_shutdown_deadline_holds_whatever_has_no_answer(stack, shop, name):
    """The one request is held back for two minutes, or until the gate opens."""
    gate = shop.name
    stack.snowflake("faults", {"faults": [HELD[name] | {"action": "stall", "delay_ms": 0, "gate": gate, "times": 0}]})
    try:
        run = shop.start(*QUICK, *settings(pipeline__shutdown_deadline="200ms"))
        wait_until(lambda: stack.snowflake("faults")["faults"][0]["done"], 60, f"a held {name}", run)
        run.signal(signal.SIGTERM)
        started = time.monotonic()
        assert run.wait(60) == 0, run.output
        assert time.monotonic() - started < 30, "the deadline is 200 ms, the clean-up's 3 s"
    finally:
        stack.snowflake("open-gate", {"gate": gate})
        stack.snowflake("faults", [])
    shop.run().done()
    assert len(set(shop.keys())) == len(shop.keys()) == 300


@pytest.mark.parametrize("caught_up", [True, False])
def test_the_shutdown_deadline_holds_while_the_source_is_silent(stack, shop, caught_up):
    source = stack.children[0]
    run = shop.start(*QUICK, *settings(pipeline__shutdown_deadline="200ms"))
    if caught_up:
        wait_until(lambda: shop.rows() == 300, 60, "the copy", run)
    else:
        wait_until(lambda: "guarantee" in run.output, 60, "the start", run)
    source.send_signal(signal.SIGSTOP)
    try:
        run.signal(signal.SIGTERM)
        started = time.monotonic()
        assert run.wait(60) == 0, run.output
        assert time.monotonic() - started < 15, "the deadline is 200 ms, the clean-up's 3 s, a socket's wait 20 s"
    finally:
        source.send_signal(signal.SIGCONT)
    shop.run().done()
    assert len(set(shop.keys())) == len(shop.keys()) == 300


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_forces(shop, stalled, number, code):
    stalled.signal(number)
    wait_until(lambda: "Stopping" in stalled.output, 20, "the first signal's answer", stalled)
    stalled.signal(number)
    started = time.monotonic()
    assert stalled.wait(10) == code, stalled.output
    assert time.monotonic() - started < 2
    shop.stack.snowflake("stall", {"seconds": 0})
    shop.run().done()
    assert len(set(shop.keys())) == len(shop.keys()) == 301


# --- The terminal ----------------------------------------------------------------------------------------------------

WORDS = ["records/s", "MB/s", "lag ", "in flight ", "committed ", "last commit "]


def following(folder: Path, *extra: str) -> list[str]:
    (folder / "in.jsonl").write_text('{"n":1}\n')
    return [str(PROGRAM), "run", "--source", "file", "--dest", "file", "--state", str(folder / "state"), *settings(
        source__path=folder / "in.jsonl", source__follow="true", destination__path=folder / "out", pipeline__epoch_age="50ms"), *extra]


def test_the_progress_line_on_a_terminal(tmp_path):
    terminal, slave = pty.openpty()
    child = subprocess.Popen(following(tmp_path), stdout=subprocess.PIPE, stderr=slave, stdin=subprocess.DEVNULL)
    os.close(slave)
    shown = b""
    try:
        end = time.monotonic() + 30
        while shown.count(b"\r\x1b[2K") < 3 and time.monotonic() < end:
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 65536)
    finally:
        child.terminate()
    out, _ = child.communicate(timeout=30)
    assert child.returncode == 0
    lines = [part for part in shown.decode().split("\r\x1b[2K") if "records/s" in part]
    assert len(lines) >= 2 and all(word in line for line in lines for word in WORDS), shown
    assert "committed 1" in lines[-1] and "\n" not in lines[0], "one line, redrawn"
    assert b"\x1b" not in out, "results carry no escape codes"


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_plain_lines_when_it_is_no_terminal(tmp_path, extra):
    child = subprocess.Popen(following(tmp_path, "--progress", "line" if extra else "auto", *extra), stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(child.stdout))
    reader.start()
    wait_until(lambda: list((tmp_path / "out").glob("*.jsonl")), 30, "the first file")
    if extra:
        wait_until(lambda: any('"progress"' in line for line in lines), 30, "a progress line")
    child.terminate()
    child.wait(30)
    reader.join()
    errors = child.stderr.read()
    assert child.returncode == 0 and "\x1b" not in "".join(lines) + errors and "\r" not in "".join(lines) + errors
    if extra:
        progress = next(line for line in map(json.loads, lines) if line["type"] == "progress")
        assert {"records_per_second", "bytes_per_second", "in_flight_bytes", "committed", "seconds_since_commit"} <= progress.keys()
        assert [json.loads(line) for line in errors.splitlines()]


# --- Secrets ---------------------------------------------------------------------------------------------------------

def forms(secret: str) -> set[bytes]:
    """A secret as texts, URLs, JSON and Base64 write it, and the lines of a key."""
    lines = [line for line in secret.splitlines() if len(line) >= 16 and "-----" not in line] or [secret]
    found = {form for line in lines for form in (
        line, urllib.parse.quote(line, safe=""), urllib.parse.quote(line), urllib.parse.quote_plus(line), json.dumps(line)[1:-1],
        base64.b64encode(line.encode()).decode())}
    return {form.encode() for form in found if len(form) >= 6}


def must_hide(secrets: list[str], shop: Shop, *texts: bytes) -> None:
    places = {str(path): path.read_bytes() for path in shop.state.rglob("*") if path.is_file()}
    assert any(path.endswith("state.sqlite") for path in places)
    places |= {f"output {number}": text for number, text in enumerate(texts)}
    for secret in secrets:
        for form in forms(secret):
            for place, content in places.items():
                assert form not in content, f"{form!r} in {place}"


@pytest.mark.parametrize("way", ["password", "encrypted key", "key file", "token"])
def test_secrets_are_nowhere(stack, shop, tmp_path, way):
    """Four ways to log in; each right, then wrong. Outputs, state, dead letters, and the process's command line."""
    password, token, passphrase = "snow/pl@nted&\"pass", "pat-pl@nted+token/==", "key-pl@nted phrase"
    public, private = key_pair(passphrase if way == "encrypted key" else None)
    user = {"name": "SECRETIVE", "password": password, "tokens": [token], "public_keys": [public]}
    stack.snowflake("user", user)
    environment, secrets = shop.environment, [READER_PASSWORD, shop.environment["MONGO_URI"]]
    environment["SNOWFLAKE_USER"] = "SECRETIVE"
    del environment["SNOWFLAKE_PASSWORD"]
    match way:
        case "password":
            environment["SNOWFLAKE_PASSWORD"] = password
            secrets += [password]
        case "encrypted key":
            environment |= {"SNOWFLAKE_PRIVATE_KEY": private, "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": passphrase}
            secrets += [private, passphrase]
        case "key file":
            (tmp_path / "key.p8").write_text(private)
            environment["SNOWFLAKE_PRIVATE_KEY_PATH"] = str(tmp_path / "key.p8")
            secrets += [private]
        case "token":
            environment |= {"SNOWFLAKE_TOKEN": token, "SNOWFLAKE_AUTHENTICATOR": "programmatic_access_token"}
            secrets += [token]
    # One record is rejected, so that there are dead letters to look into.
    shop.put({"_id": "large", "text": "x" * 5000})
    debug = ["--log-level", "debug", *settings(destination__max_row_bytes="4KiB")]
    run = shop.start(*QUICK, *debug)
    wait_until(lambda: shop.rows() == 300, 60, "the copy", run)
    command_line = Path(f"/proc/{run.process.pid}/cmdline").read_bytes()
    run.signal(signal.SIGTERM)
    assert run.wait(40) == 0, run.output
    assert list((shop.state / "dead-letters").glob("*.jsonl"))
    outputs = [run.output.encode(), command_line]
    verbs = [["run", "--source", "mongo", "--dest", "snowflake_optimized", "--until-caught-up", *QUICK, *debug],
             ["validate", "--source", "mongo", "--dest", "snowflake_optimized", *debug], ["state", "show", "--state", shop.state]]
    outputs += [str((one.code, one.said, one.log)).encode() for verb in verbs for one in [call(*verb, env=environment)]]
    # Now all of them are wrong: refused by the other side, and by us.
    stack.snowflake("user", user | {"password": "other", "tokens": [], "public_keys": []})
    refused = shop.run(*debug)
    assert refused.failed("snowflake.login_failed", 3)
    broken = shop.run(*settings(source__uri="mongodb://root:" + urllib.parse.quote(READER_PASSWORD, safe="") + "@host:port/?x=y"))
    assert broken.code == 2
    shouted = shop.run(*settings(source__batch_size="${MONGO_URI}"))
    assert shouted.code == 2
    outputs += [str((one.code, one.said, one.log)).encode() for one in (refused, broken, shouted)]
    must_hide(secrets, shop, *outputs)
