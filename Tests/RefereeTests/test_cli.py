"""The program as a user meets it: what it prints, where it points, how it ends, and what it never shows."""
import base64
import json
import os
import signal
import subprocess
import time
import urllib.parse
from pathlib import Path

import pytest

from Sandbox.program import PROGRAM, ROOT

VERBS = ["run", "validate", "list", "describe", "state", "version"]
SECRET = "hUnter2/pl+us&q\"uote"


def call(*arguments, env=None, cwd=None):
    keep = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return subprocess.run(
        [str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, timeout=60, cwd=cwd,
        env=keep | {"HOME": "/nonexistent"} | (env or {}))


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in.jsonl").write_text("".join(f'{{"n":{n}}}\n' for n in range(10)) + "not json\n")
    return tmp_path


@pytest.fixture
def config(folder):
    path = folder / "p.yaml"
    path.write_text(
        f"name: copy\nsource:\n  type: file\n  properties:\n    path: {folder}/in.jsonl\n"
        f"destination:\n  type: file\n  properties: {{ path: {folder}/out }}\nstate: {folder}/state\n")
    return path


def test_help_of_everything():
    whole = call("help")
    assert whole.returncode == 0
    for verb in VERBS:
        assert f"\n  {verb} " in whole.stdout
        one = call("help", verb)
        assert one.returncode == 0 and f"Usage: nebula-swift {verb}" in one.stdout and "--json" in one.stdout
        assert call(verb, "--help").stdout == one.stdout
        assert json.loads(call("help", verb, "--json").stdout)["text"] == one.stdout.removesuffix("\n")
    assert call("--help").stdout == whole.stdout
    assert "epoch_records" in call("help", "configuration").stdout
    assert call().returncode == 2


@pytest.mark.parametrize("arguments, says", [
    (["rnu"], "Did you mean 'run'?"),
    (["run", "--untl-caught-up"], "Did you mean '--until-caught-up'?"),
    (["run", "--set"], "--set needs a value."),
    (["run", "--until-caught-up=yes"], "takes no value"),
    (["run", "a", "b"], "'b' is one word too many."),
    (["run", "--progress", "lines"], "Did you mean 'line'?"),
    (["run", "--log-level", "loud"], "Known: debug, info, warning, error."),
    (["run"], "The source has no type."),
    (["run", "/none.yaml"], "can't be read"),
    (["describe"], "Which connector?"),
    (["describe", "mogno"], "Did you mean 'mongo'?"),
    (["state"], "state show"),
    (["help", "rnu"], "Did you mean 'run'?"),
])
def test_a_wrong_command_line_exits_with_2(arguments, says):
    result = call(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert says in result.stderr
    machine = call(*arguments, "--json")
    assert machine.returncode == 2
    if machine.stdout:  # an option that swallows --json as its value answers in text
        assert objects(machine.stdout)[0]["type"] == "error"


def test_typos_are_shown_with_line_and_column_all_at_once(folder):
    path = folder / "typo.yaml"
    path.write_text(
        "source:\n  type: file\n  properties:\n    path: x\n    fromat: csv\n    poll_interval: soon\n"
        "destination:\n  type: fiel\npipeline:\n  epoch_recods: 5\n")
    result = call("validate", path)
    assert result.returncode == 2
    for line in [
        f"{path}:5:5: error: 'file' has no property 'fromat'.", f"{path}:6:20: error: poll_interval: 'soon'",
        f"{path}:8:9: error: No destination is called 'fiel'.", f"{path}:10:3: error: 'pipeline' has no property 'epoch_recods'.",
        "Did you mean 'format'?", "Did you mean 'file'?", "Did you mean 'epoch_records'?",
    ]:
        assert line in result.stderr
    [answer] = objects(call("validate", path, "--json").stdout)
    assert [(e["place"]["line"], e["place"]["column"]) for e in answer["errors"]] == [(5, 5), (6, 20), (8, 9), (10, 3)]
    assert {e["exit"] for e in answer["errors"]} == {2}


def test_a_run_moves_everything_and_says_so(folder, config):
    result = call("run", config)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[1].startswith("guarantee  exactly once: ")  # before it runs (Invariant 8)
    for line in ["committed  10", "rejected   1", "filtered   0"]:
        assert line in lines
    assert lines[-1] == f"Rejected records: 1, kept in {folder}/state/dead-letters"
    written = "".join(p.read_text() for p in (folder / "out").glob("*.jsonl"))
    assert [json.loads(line)["n"] for line in written.splitlines()] == list(range(10))
    [letter] = objects("".join(p.read_text() for p in (folder / "state" / "dead-letters").glob("*.jsonl")))
    assert "not json" in json.dumps(letter)
    again = call("run", config, "--json")
    assert again.returncode == 0
    start, *_, summary = objects(again.stdout)
    assert (start["type"], summary["type"], summary["read"]) == ("start", "summary", 0)
    assert summary["guarantee"] == start["guarantee"]


def test_state_is_shown_and_reset(folder, config):
    assert call("run", config).returncode == 0
    shown = call("state", "show", config)
    assert shown.returncode == 0 and "pipeline    copy" in shown.stdout and "lease       nobody" in shown.stdout
    [state] = objects(call("state", "show", "--state", folder / "state", "--json").stdout)
    assert (state["generation"], state["counts"]["committed"], state["intents"]) == (1, 10, [])
    refused = call("state", "reset", config)
    assert refused.returncode == 2 and "--yes" in refused.stderr
    assert call("state", "reset", config, "--yes").returncode == 0
    [state] = objects(call("state", "show", config, "--json").stdout)
    assert state["position"] is None and state["history"][0]["kind"] == "reset"
    assert call("run", config).returncode == 0
    [state] = objects(call("state", "show", config, "--json").stdout)
    assert state["generation"] >= time.time() - 100  # beyond any fence


def test_another_source_under_the_same_name_is_refused(folder, config):
    assert call("run", config).returncode == 0
    (folder / "other.jsonl").write_text("{}\n")
    result = call("run", config, "--set", f"source.path={folder}/other.jsonl")
    assert result.returncode == 2 and "state.identity_changed" in result.stderr and "source.path was" in result.stderr


def test_validate_without_and_with_connections(folder, config):
    result = call("validate", config, "--offline", "--json")
    assert result.returncode == 0
    [answer] = objects(result.stdout)
    assert answer["passed"] and answer["guarantee"].startswith("exactly once") and len(answer["findings"]) == 1
    assert not (folder / "state").exists() and not (folder / "out").exists()
    assert call("validate", config).returncode == 0
    (folder / "in.jsonl").unlink()
    gone = call("validate", config, "--set", f"source.path={folder}/none/in.jsonl", "--json")
    assert gone.returncode in (0, 3)  # a file that does not exist yet may be a finding, never a crash
    assert objects(gone.stdout)[0]["passed"] == (gone.returncode == 0)


def test_json_of_all_verbs_parses(config):
    for arguments in [["list"], ["describe", "file"], ["version"], ["validate", config, "--offline"], ["help"]]:
        result = call(*arguments, "--json")
        assert result.returncode == 0 and objects(result.stdout)
        assert result.stderr == ""


def test_the_configuration_may_be_json_and_come_from_the_environment(folder):
    path = folder / "p.json"
    path.write_text(json.dumps({
        "source": {"type": "file", "properties": {"path": "${IN}"}},
        "destination": {"type": "file", "properties": {"path": "${OUT:-" + str(folder) + "/out}"}}}))
    unset = call("validate", path, "--offline")
    assert unset.returncode == 2 and "config.unset_variable" in unset.stderr and "IN is not set" in unset.stderr
    assert call("run", path, env={"IN": f"{folder}/in.jsonl", "NEBULA_STATE_DIR": f"{folder}/s"}).returncode == 0
    assert (folder / "s" / "state.sqlite").exists()
    flags = call(
        "run", "--source", "file", "--dest", "file", "--name", "flags",
        env={"NEBULA_SOURCE_PATH": f"{folder}/in.jsonl", "NEBULA_DESTINATION_PATH": f"{folder}/out2",
             "XDG_STATE_HOME": f"{folder}/xdg"})
    assert flags.returncode == 0, flags.stderr
    assert (folder / "xdg" / "nebula-swift" / "flags" / "state.sqlite").exists()


def forms(secret):
    quoted = urllib.parse.quote(secret, safe="")
    return [secret, quoted, quoted.lower(), json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode(),
            urllib.parse.quote_plus(secret)]


def test_secrets_are_in_no_output(folder):
    (folder / "key").write_text(SECRET + "\n")
    quoted = urllib.parse.quote(SECRET, safe="")
    uri = f"mongodb://root:{quoted}@127.0.0.1:1/?serverSelectionTimeoutMS=200"
    path = folder / "s.yaml"
    path.write_text(
        "source:\n  type: mongo\n  properties: { uri: \"${URI}\", database: shop, collection: orders }\n"
        "destination:\n  type: snowflake_optimized\n  properties:\n    account: acme\n    user: LOADER\n"
        "    password: \"${file:" + str(folder) + "/key}\"\n    database: RAW\n    schema: SHOP\n    warehouse: W\n"
        "    table: ORDERS\n    host: 127.0.0.1\n    port: 1\n"
        f"state: {folder}/state\npipeline: {{ retry_for: 1s }}\n")
    environment = {"URI": uri}
    calls = [
        ["validate", path], ["validate", path, "--json"], ["validate", path, "--offline"],
        ["run", path, "--log-level", "debug", "--until-caught-up"], ["run", path, "--json", "--log-level", "debug"],
        ["validate", path, "--set", f"source.uri={SECRET}://x"], ["validate", path, "--set", f"source.passwrd={SECRET}"],
        ["run", path, "--set", f"destination.password.x={SECRET}"], ["state", "show", path], ["state", "show", path, "--json"],
        # Errors that repeat a value: only redaction keeps these secrets back.
        ["validate", path, "--set", "source.batch_size=${URI}"],
        ["validate", path, "--json", "--set", "source.batch_size=${file:" + str(folder) + "/key}"],
        ["validate", path, "--set", f"source.batch_size=a{base64.b64encode(SECRET.encode()).decode()}"],
    ]
    for arguments in calls:
        result = call(*arguments, env=environment)
        assert result.returncode in (0, 1, 2, 3), result
        for form in forms(SECRET) + [quoted]:
            assert form not in result.stdout + result.stderr, (arguments, result.stdout, result.stderr)
        if "--json" in arguments:
            assert objects(result.stdout)
        if str(arguments[-1]).startswith("source.batch_size="):
            assert "***" in result.stdout + result.stderr


def following(folder, config, *extra, env=None):
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | (env or {})
    child = subprocess.Popen(
        [str(PROGRAM), "run", str(config), "--set", "source.follow=true", "--set", "pipeline.epoch_age=50ms",
         "--set", "pipeline.idle_checkpoint_interval=50ms", *extra],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    return child


def wait_for(condition, child):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end and child.poll() is None, child.communicate()
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_cleanly_and_it_goes_on_later(folder, config, number):
    child = following(folder, config)
    wait_for(lambda: list((folder / "out").glob("*.jsonl")), child)
    child.send_signal(number)
    out, err = child.communicate(timeout=30)
    assert child.returncode == 0, err
    assert "Stopping" in err and out.splitlines()[-1].startswith("Rejected records: 1, kept in ")
    with (folder / "in.jsonl").open("a") as file:
        file.write('{"n":10}\n')
    assert call("run", config).returncode == 0
    written = "".join(p.read_text() for p in sorted((folder / "out").glob("*.jsonl")))
    assert [json.loads(line)["n"] for line in written.splitlines()] == list(range(11))


def test_log_lines_that_nobody_reads_hold_nothing_up(folder, config):
    """Ctrl-S in a terminal, a log collector that hangs: data moves on, a signal is heard, and the gap is told later."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(write, b"x")
    os.set_blocking(write, True)
    child = subprocess.Popen(
        [str(PROGRAM), "run", str(config), "--set", "source.follow=true", "--set", "pipeline.epoch_age=50ms",
         "--log-level", "debug"], stdout=subprocess.PIPE, stderr=write, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
    wait_for(lambda: list((folder / "out").glob("*.jsonl")), child)
    child.send_signal(signal.SIGTERM)
    out, _ = child.communicate(timeout=30)
    assert child.returncode == 0 and b"committed  10" in out
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        assert not pipe.read().strip(b"x"), "the line about the stop was dropped"


def test_a_second_signal_ends_it_at_once(folder, config):
    child = following(folder, config, env={"NEBULA_STOP_AT": "before-commit:1"})
    wait_for(lambda: Path(f"/proc/{child.pid}/stat").read_text().split(")")[1].split()[0] == "T", child)
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGCONT)  # both are there when it wakes
    out, err = child.communicate(timeout=30)
    assert child.returncode in (130, 143), err
    assert "committed" not in out  # no summary: it did nothing more
    assert call("run", config).returncode == 0


def test_a_second_process_is_refused_while_the_first_lives(folder, config):
    child = following(folder, config)
    wait_for(lambda: list((folder / "out").glob("*.jsonl")), child)
    second = call("run", config)
    assert second.returncode == 1
    assert "state.locked" in second.stderr and f"process {child.pid} on" in second.stderr
    child.kill()
    child.wait()
    assert call("run", config).returncode == 0  # the holder is gone: replaced at once


@pytest.mark.parametrize("point", ["after-intent", "before-commit", "after-commit", "before-receipt", "after-receipt"])
def test_death_at_a_named_point_loses_and_doubles_nothing(folder, config, point):
    dead = call("run", config, env={"NEBULA_CRASH_AT": f"{point}:1"})
    assert dead.returncode == -signal.SIGKILL
    assert call("run", config).returncode == 0
    written = "".join(p.read_text() for p in sorted((folder / "out").glob("*.jsonl")))
    assert [json.loads(line)["n"] for line in written.splitlines()] == list(range(10))


def test_a_killed_process_leaves_nothing_in_shared_memory(config):
    """The MongoDB driver makes a file there before main; the next process with its pid would stumble over it."""
    before = set(Path("/dev/shm").iterdir())
    assert call("run", config, env={"NEBULA_CRASH_AT": "after-intent:1"}).returncode == -signal.SIGKILL
    assert set(Path("/dev/shm").iterdir()) <= before


def test_a_bad_crash_point_is_a_configuration_error(config):
    assert call("run", config, env={"NEBULA_CRASH_AT": "x:y"}).returncode == 2


def test_the_reference_pages_are_those_of_the_specifications():
    result = call("docs", ROOT / "docs", "--check")
    assert result.returncode == 0, result.stdout + "run `make docs`"
