"""A full disk at every write: the run ends with an error that names the place and the remedy; after making room the same
command loses nothing and doubles nothing."""
import errno
import json
import os
import signal
import subprocess

import pytest

from Sandbox.program import Run, call, settings, wait_until
from Sandbox.stack import DATABASE, SCHEMA, Stack

RECORDS = [{"n": n, "text": f"record {n} " + "abcdefgh" * 12} for n in range(8000)]
IMPATIENT = settings(pipeline__retry_for="1s")


class SmallDisk:
    """A tmpfs of some kilobytes that can be filled to its last byte, emptied and made larger."""

    def __init__(self, path, kilobytes):
        self.path, self.filler = path, path / ".filler"
        path.mkdir(parents=True, exist_ok=True)
        self.mount(f"size={kilobytes}k,mode=700", "-t", "tmpfs", "tmpfs")

    def mount(self, options, *how):
        made = subprocess.run(["mount", "-o", options, *how, str(self.path)], capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"a small tmpfs can't be mounted here (it needs root and CAP_SYS_ADMIN): {made.stderr.strip()}")

    def fill(self):
        """Not a byte is left, and no file can grow."""
        with open(self.filler, "ab", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC

    def make_room(self, kilobytes=65536):
        self.filler.unlink(missing_ok=True)
        self.mount(f"remount,size={kilobytes}k")

    def remove(self):
        subprocess.run(["umount", "-l", str(self.path)], check=True)


@pytest.fixture
def disk():
    disks = []

    def make(path, kilobytes):
        disks.append(SmallDisk(path, kilobytes))
        return disks[-1]
    yield make
    for one in reversed(disks):
        one.remove()


class Copy:
    """JSON Lines -> JSON Lines in small epochs."""

    def __init__(self, folder):
        self.folder, self.out, self.state = folder, folder / "out", folder / "state"
        self.source = folder / "in.jsonl"
        self.write(RECORDS)

    def write(self, records, bad=0):
        good = [json.dumps(record) for record in records]
        # Bad lines lie between the good ones, so that every epoch has some.
        step = len(good) // bad if bad else len(good) + 1
        self.lines = [line for n, record in enumerate(good) for line in ([f"bad {n} " + "x" * 50] if bad and n % step == 0 else []) + [record]]
        self.source.write_text("".join(line + "\n" for line in self.lines))

    @property
    def arguments(self):
        return ["run", "--source", "file", "--dest", "file", "--name", "copy", "--state", str(self.state), *settings(
            source__path=self.source, destination__path=self.out, source__batch_bytes="64KiB", pipeline__epoch_records=2000)]

    def run(self, *extra):
        return call(*self.arguments, *(extra or IMPATIENT))

    def fails_when_full_at(self, point, disk):
        """The process stops at the point, the disk fills up, the process goes on."""
        log = self.folder / "stopped.log"
        run = Run([*self.arguments, *IMPATIENT, "--json"], {"NEBULA_STOP_AT": point}, log)
        wait_until(lambda: stopped(run.process.pid), 60, f"the stop at {point}", run)
        disk.fill()
        run.signal(signal.SIGCONT)
        code = run.wait(60)
        said = [json.loads(line) for line in run.output.splitlines()]
        [error] = next(line["errors"] for line in said if line["type"] == "error")
        assert code == error["exit"] == 3
        return error

    def must_be_complete(self):
        # Sorted names give input order; the manifest's files are exactly those that are there.
        visible = sorted(self.out.glob("*.jsonl"))
        written = [json.loads(line) for path in visible for line in path.read_bytes().splitlines()]
        assert [line["n"] for line in written] == [record["n"] for record in RECORDS]
        assert written == RECORDS
        listed = [file["name"] for path in sorted(self.out.glob("_manifest/*/*.json")) for file in json.loads(path.read_text())["files"]]
        assert sorted(listed) == [path.name for path in visible]


def stopped(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


def test_data(copy, disk):
    small = disk(copy.out, 600)
    error = copy.run().failed("file.disk_full", 3)
    assert error["place"]["path"].startswith(str(copy.out)) and "room" in error["remedy"], error
    assert "No space left" in error["message"] and f"errno {errno.ENOSPC}" in error["native"]
    committed = [json.loads(line) for path in sorted(copy.out.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    assert 0 < len(committed) < len(RECORDS) and committed == RECORDS[:len(committed)], "what is visible is whole epochs"
    again = copy.run()
    again.failed("file.disk_full", 3)
    small.make_room()
    copy.run().done(rejected=0)
    copy.must_be_complete()


def test_data_when_there_is_no_room_at_all(copy, disk):
    small = disk(copy.out, 64)
    small.fill()
    error = copy.run().failed("file.disk_full", 3)
    assert error["place"]["path"].startswith(str(copy.out))
    small.make_room()
    copy.run().done(committed=len(RECORDS))
    copy.must_be_complete()


def test_room_is_made_while_the_pipeline_waits(copy, disk):
    """Patience instead of a restart: the run goes on by itself and ends with 0."""
    small = disk(copy.out, 600)
    run = Run([*copy.arguments, *settings(pipeline__retry_for="60s")], {}, copy.folder / "patient.log")
    wait_until(lambda: "file.disk_full" in run.output, 60, "the warning", run)
    small.make_room()
    assert run.wait(90) == 0, run.output[-3000:]
    copy.must_be_complete()


@pytest.mark.parametrize("point", ["mid-publish:2", "after-publish:1", "after-publish:3"])
def test_manifest(copy, disk, point):
    """The files are visible, and there is no room for the manifest that proves it."""
    small = disk(copy.out, 4096)
    error = copy.fails_when_full_at(point, small)
    assert error["code"] == "file.disk_full" and "manifest" in error["place"]["path"] and "room" in error["remedy"], error
    small.make_room()
    copy.run().done()
    copy.must_be_complete()


@pytest.mark.parametrize("point", ["before-intent:1", "before-intent:3", "before-receipt:1", "before-receipt:3"])
def test_state(copy, disk, point):
    small = disk(copy.state, 2048)
    error = copy.fails_when_full_at(point, small)
    assert error["code"] == "state.disk" and "Free space" in error["remedy"], error
    assert error["place"]["path"] == str(copy.state / "state.sqlite")
    small.make_room()
    copy.run().done()
    copy.must_be_complete()


def test_state_when_there_is_no_room_at_all(copy, disk):
    small = disk(copy.state, 64)
    small.fill()
    ended = copy.run()
    assert ended.code != 0 and len(ended.errors) == 1, ended
    assert str(copy.state) in ended.errors[0]["message"] + ended.errors[0]["place"]["path"], ended.errors
    assert "pace" in ended.errors[0]["message"] + ended.errors[0]["remedy"] or "full" in ended.errors[0]["message"], ended.errors
    small.make_room()
    copy.run().done(committed=len(RECORDS))
    copy.must_be_complete()


@pytest.mark.parametrize("kilobytes", [4, 40])
def test_dead_letters(copy, disk, kilobytes):
    """No room for the first bad line, or for a later one."""
    copy.write(RECORDS, bad=400)
    small = disk(copy.state / "dead-letters", kilobytes)
    if kilobytes == 4:
        small.fill()
    error = copy.run().failed("dead_letters.disk_full", 3)
    assert error["place"]["path"].startswith(str(small.path)) and "room" in error["remedy"], error
    small.make_room()
    copy.run().done()
    copy.must_be_complete()
    letters = [json.loads(line) for path in sorted(small.path.glob("*.jsonl")) for line in path.read_text().splitlines()]
    bad = {n: line for n, line in enumerate(copy.lines, 1) if line.startswith("bad ")}
    assert [(letter["place"], letter["payload"]) for letter in letters] == [(f"{copy.source}:{n}", line) for n, line in bad.items()]
    assert not list(small.path.glob(".[0-9]*")), "none is left hidden"


def test_spool(tmp_path, disk):
    """A staged file that is too large for memory has no room on disk before its upload."""
    count, pad = 24_000, 1500
    source = tmp_path / "in.csv"
    with source.open("w") as file:
        file.write("n,noise\n")
        file.writelines(f"{n},{os.urandom(pad // 2).hex()}\n" for n in range(count))
    small = disk(tmp_path / "state" / "spool", 1024)
    with Stack() as stack:
        def run():
            return call("run", "--source", "file", "--dest", "snowflake_optimized", "--state", tmp_path / "state", *IMPATIENT,
                        *settings(source__path=source, destination__compression_type="NONE",
                                  destination__micro_batch_timeout_ms=60_000), env=stack.environment())
        error = run().failed("snowflake.spool_failed", 3)
        assert error["place"]["path"].startswith(str(small.path)) and "room" in error["remedy"], error
        small.make_room()
        run().done(committed=count)
        assert not list(small.path.glob("*.staged"))
        [rows] = stack.sql(f'SELECT N, NOISE FROM "{DATABASE}"."{SCHEMA}"."ORDERS"')
    with source.open() as file:
        next(file)
        assert sorted(map(tuple, rows)) == sorted(tuple(line.rstrip("\n").split(",")) for line in file)
