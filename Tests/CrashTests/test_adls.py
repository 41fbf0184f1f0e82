"""mongo -> adls: the real program dies by SIGKILL at each named point, is stopped and woken as a zombie, and meets lost
answers; what Microsoft's SDK then reads equals the source, by content."""
import json
import shutil
import signal

import pytest
from azure.storage.filedatalake import DataLakeServiceClient

from Sandbox.azure import world
from Sandbox.program import call, settings
from Sandbox.stack import FILESYSTEM, Stack

from .chaos_adls import POINTS, to_lake
from .lake import MongoToLake, wait_until
from .phases import must_be_fenced

@pytest.fixture(scope="module")
def stack():
    with Stack(snowflake=None, azure=[]) as running:
        yield running


@pytest.mark.parametrize("layout,point", [(layout, point) for layout, points in POINTS.items() for point in points])
def test_dies_and_recovers(stack, layout, point):
    scenario = MongoToLake(stack, f"{layout}_{point}", documents=800, layout=layout)
    scenario.change()
    # Files of old hours are closed by the timer, or when a full part is left.
    occurrence = 1 if point in ("snapshot-handoff", "before-close", "after-close", "after-fence") else 2
    scenario.dies_at(point, occurrence)
    assert scenario.start(caught_up=True).wait(60) == 0, scenario.log.read_text()[-3000:]
    assert scenario.must_be_equal().source > 800


def test_dies_again_while_it_recovers(stack):
    scenario = MongoToLake(stack, "twice")
    scenario.change()
    for point in ("mid-flush", "before-receipt", "after-fence", "mid-flush", "after-intent"):
        scenario.dies_at(point)
    scenario.must_be_equal()


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_compressed_files_can_be_read_after_every_flush(stack, compression):
    scenario = MongoToLake(stack, f"packed_{compression}")
    scenario.change()
    extra = ("--set", f"destination.compression={compression}")
    for point in ("mid-flush", "after-upload", "before-receipt"):
        scenario.dies_at(point, 2, 60, *extra)
        assert not [p for p in scenario.result().examples if "JSON" in p or "whole line" in p]
    scenario.must_be_equal(120, *extra)


def test_two_hundred_collections_at_once(stack):
    scenario = MongoToLake(stack, "many", documents=6000, collections=200)
    scenario.change()
    for point in ("mid-flush", "after-create", "after-upload"):
        scenario.dies_at(point, 60)
    scenario.must_be_equal()


@pytest.mark.parametrize("layout,point", [
    ("rolling", "after-intent"), ("rolling", "after-fence-moved"), ("rolling", "mid-flush"), ("rolling", "after-upload"),
    ("rolling", "before-receipt"), ("files", "mid-publish"), ("files", "after-fence-moved")])
def test_a_zombie_wakes_and_writes_nothing(stack, layout, point):
    """The old process stalls at the point (SIGSTOP), a new one takes over, the old one goes on (SIGCONT)."""
    scenario = MongoToLake(stack, f"zombie_{layout}_{point}", layout=layout)
    must_be_fenced(scenario, point)


@pytest.mark.parametrize("fault", [
    {"operation": operation, "action": action, **more}
    for operation in ("create", "append", "flush", "lease", "blob_put")
    for action, more in (("close", {}), ("apply_close", {}), ("status", {"status": 503, "times": 2, "code": "ServerBusy"}),
                         ("apply_status", {"status": 500, "code": "OperationTimedOut"}))
], ids=lambda fault: f"{fault['operation']}-{fault['action']}")
def test_answers_lost(stack, fault):
    scenario = MongoToLake(stack, f"fault_{fault['operation']}_{fault['action']}", documents=1000)
    scenario.change()
    stack.azure("faults", {"faults": [fault | {"nth": 3}]})
    try:
        run = scenario.start()
        wait_until(lambda: stack.azure("faults")["faults"][0]["done"] > 0, 60, "the fault", run)
        seen = scenario.bytes()
        wait_until(lambda: scenario.bytes() > seen, 60, "bytes after the fault", run)
        run.signal(signal.SIGTERM)
        assert run.wait(60) == 0, run.output[-3000:]
    finally:
        stack.azure("faults", {"faults": []})
    scenario.must_be_equal()


def test_a_clean_end_gives_every_lease_back(stack):
    scenario = MongoToLake(stack, "leases")
    scenario.change()
    run = scenario.start()
    wait_until(lambda: scenario.bytes() > 0, 60, "the first bytes", run)
    assert any(file["lease"] == "leased" for file in scenario.files())
    run.signal(signal.SIGTERM)
    assert run.wait(40) == 0, run.output[-3000:]
    assert {file["lease"] for file in scenario.files()} == {"available"}
    scenario.must_be_equal()


def test_quiet_hours_are_closed_once(stack):
    """Copied rows lie in hours that have long passed: after close_after their files are closed, by the timer."""
    scenario = MongoToLake(stack, "quiet", documents=500)
    run = scenario.start("--set", "destination.close_after=300ms")
    old = lambda: [f for f in scenario.files() if f["length"] and "year=2026" not in f["path"]]  # noqa: E731
    wait_until(lambda: old() and all(f["closes"] == 1 for f in old()), 60, "the closing", run)
    run.kill()
    scenario.must_be_equal()
    assert {f["closes"] for f in old()} == {1}


def test_an_old_state_folder_is_refused(stack):
    scenario = MongoToLake(stack, "restored")
    scenario.change()
    scenario.dies_at("after-receipt", 1)
    shutil.copytree(scenario.folder / "state", scenario.folder / "backup")
    scenario.dies_at("after-receipt", 2)
    shutil.copytree(scenario.folder / "state", scenario.folder / "newest")
    before = scenario.bytes()
    for _ in range(4):  # each try has a higher generation; the last epoch tells all the same
        shutil.rmtree(scenario.folder / "state")
        shutil.copytree(scenario.folder / "backup", scenario.folder / "state")
        for _ in range(3):
            run = scenario.start(caught_up=True)
            assert run.wait(60) == 1
        assert "state.behind_destination" in run.output, run.output[-3000:]
    assert scenario.bytes() == before
    shutil.rmtree(scenario.folder / "state")
    shutil.copytree(scenario.folder / "newest", scenario.folder / "state")
    scenario.must_be_equal()


def test_lost_appends_are_written_again_under_a_pin(stack, tmp_path):
    """file -> adls: some files of an epoch were flushed, and what was appended to the others is lost: the epoch is read
    again exactly, and only the others are written."""
    scenario = MongoToLake(stack, "pins")
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "in" / f"{name}.jsonl").write_text("".join(f'{{"file":"{name}","n":{n}}}\n' for n in range(3000)))
    given = ["run", "--source", "file", "--dest", "adls", "--state", tmp_path / "state", "--name", "pins",
             *settings(source__path=tmp_path / "in", destination__flush_interval="1h", pipeline__epoch_age="1h",
                       pipeline__epoch_idle="1h")]
    environment = stack.adls_environment()
    # Only the first flush gets through.
    stack.azure("faults", {"faults": [{"operation": "flush", "nth": 2, "times": 0, "action": "close"}]})
    dead = call(*given, env=environment | {"NEBULA_CRASH_AT": "mid-flush:1"})
    stack.azure("faults", {"faults": []})
    assert dead.code == -signal.SIGKILL
    lake = DataLakeServiceClient(stack.account_url, world.KEY).get_file_system_client(FILESYSTEM)
    flushed = [file for file in scenario.files() if file["length"]]
    assert len(flushed) == 1 and len(scenario.files()) == 3
    for file in scenario.files():
        if not file["length"]:
            lake.get_file_client(file["path"]).flush_data(0, lease=file["lease_id"])
    for point in ("dropping-intents", "after-pin"):
        assert call(*given, env=environment | {"NEBULA_CRASH_AT": f"{point}:1"}).code == -signal.SIGKILL, point
    call(*given, env=environment).done(read=9000, committed=9000)
    for file in scenario.files():
        lines = lake.get_file_client(file["path"]).download_file().readall().decode().splitlines()
        assert [json.loads(line)["n"] for line in lines] == list(range(3000)), file["path"]
