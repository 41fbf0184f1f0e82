"""The Azure stand-in's fault script and control calls, seen by the official clients."""
import datetime
import os
import uuid

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.storage.filedatalake import DataLakeServiceClient
from azure_rig import LOST, defaults, fs, lake, refused, same, standin, until, written  # noqa: F401 (fixtures)

from Sandbox.stack import Stack


# --- faults

class TestFaults:
    def test_before_and_after(self, fs, standin):
        file = fs.get_file_client("f")
        file.create_file()
        standin.faults({"operation": "append", "action": "status", "status": 503, "retry_after": 1},
                       {"operation": "flush", "action": "apply_status", "status": 500, "code": "OperationTimedOut"})
        error = refused("ServerBusy", file.append_data, b"abc", 0, 3, status=503)
        assert error.response.headers["Retry-After"] == "1" and standin.file(fs.file_system_name, "f")["pending"] == {}
        file.append_data(b"abc", 0, 3)
        refused("OperationTimedOut", file.flush_data, 3, status=500)
        assert file.get_file_properties().size == 3
        assert [(f["seen"], f["done"]) for f in standin.control("faults")["faults"]] == [(2, 1), (1, 1)]

    def test_connections_break(self, fs, standin):
        file = fs.get_file_client("f")
        file.create_file()
        standin.faults({"query": "action=append", "action": "close"}, {"query": "action=append", "action": "apply_close"})
        big = os.urandom(1_000_000)
        for applied in ({}, {"0": len(big)}):
            with pytest.raises(LOST):
                file.append_data(big, 0, len(big))
            assert standin.file(fs.file_system_name, "f")["pending"] == applied
        file.flush_data(len(big))
        assert same(file.download_file().readall(), big)

    def test_nth_and_times_and_chance(self, fs, standin):
        standin.faults({"method": "PUT", "path": "/n\\?", "nth": 2, "times": 2, "action": "status", "status": 500})
        outcomes = []
        for _ in range(5):
            try:
                fs.get_file_client("n").create_file()
                outcomes.append("ok")
            except HttpResponseError:
                outcomes.append("500")
        assert outcomes == ["ok", "500", "500", "ok", "ok"]
        standin.faults({"operation": "create", "times": 0, "chance": 0.5, "seed": 7, "action": "status", "status": 500})
        failed = 0
        for _ in range(40):
            try:
                fs.get_file_client("n").create_file()
            except HttpResponseError:
                failed += 1
        assert 8 < failed < 32 and standin.control("faults")["faults"][0]["done"] == failed

    def test_late(self, fs, standin):
        file = fs.get_file_client("f")
        file.create_file()
        standin.faults({"operation": "append", "action": "late", "delay_ms": 200})
        with pytest.raises(LOST):
            file.append_data(b"x" * 50_000, 0, 50_000)
        until(lambda: standin.file(fs.file_system_name, "f")["pending"] == {"0": 50_000})

    def test_slow_stall_and_truncate(self, fs, standin):
        file = written(fs.get_file_client("f"), b"0123456789")
        standin.faults({"operation": "properties", "action": "slow", "delay_ms": 300}, {"operation": "create", "action": "stall", "delay_ms": 100},
                       {"operation": "read", "action": "truncate", "keep": 4, "times": 0})
        begun = datetime.datetime.now()
        file.get_file_properties()
        assert (datetime.datetime.now() - begun).total_seconds() >= 0.3
        with pytest.raises(LOST):
            fs.get_file_client("g").create_file()
        with pytest.raises(HttpResponseError):
            file.download_file().readall()
        assert not fs.get_file_client("g").exists()

    def test_sign_in(self, standin):
        standin.faults({"service": "login", "operation": "imds", "action": "status", "status": 410, "times": 1})
        url = f"{standin.origin}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://storage.azure.com"
        assert [requests.get(url, headers={"Metadata": "true"}).status_code for _ in range(2)] == [410, 200]

    def test_client_gets_through_by_retrying(self, fs, standin):
        mine = standin.lake(retry_total=3, initial_backoff=0.01, increment_base=0.01).get_file_system_client(fs.file_system_name)
        standin.faults({"query": "action=append", "times": 2, "action": "status", "status": 503},
                       {"query": "action=flush", "action": "apply_close"})
        assert written(mine.get_file_client("f"), b"abc").download_file().readall() == b"abc"

    def test_unknown_rules_are_refused(self, standin):
        for wrong in ({"action": "explode"}, {"action": "close", "sql": "x"}):
            answer = requests.post(f"{standin.origin}/sandbox/faults", json={"faults": [wrong]})
            assert answer.status_code == 400


# --- the truth

class TestControl:
    def test_export_and_operations(self, fs, standin, tmp_path):
        standin.control("operations", method="DELETE")
        written(fs.get_file_client("a/b"), b"123")
        written(fs.get_file_client("c"), b"45")
        assert standin.control("export", {"filesystem": fs.file_system_name, "folder": str(tmp_path)}) == {"files": 2, "bytes": 5}
        assert (tmp_path / "a" / "b").read_bytes() == b"123" and (tmp_path / "c").read_bytes() == b"45"
        said = standin.control("operations", last=2)
        assert said["operations"] == {"create": 2, "append": 2, "flush": 2} and said["received_bytes"] == 5
        assert [one["operation"] for one in said["last"]] == ["append", "flush"] and said["statuses"] == {"201": 2, "202": 2, "200": 2}

    def test_room_is_given_back(self, lake, standin):
        folder = standin.folder / "data" / "segments"
        filesystem = lake.create_file_system("room-" + uuid.uuid4().hex[:8])
        for number in range(30):
            file = filesystem.get_file_client("f")
            file.create_file()
            for part in range(3):
                file.append_data(bytes(10 << 20), part * (10 << 20), 10 << 20)
            file.flush_data(30 << 20)
        filesystem.delete_file_system()
        assert sum(f.stat().st_size for f in folder.iterdir()) < 600 << 20

    def test_the_stack_starts_it(self, tmp_path):
        with Stack(str(tmp_path), snowflake=None, azure=[]) as stack:
            given = stack.adls_environment()
            client = DataLakeServiceClient(given["ADLS_ACCOUNT_URL"], given["ADLS_SHARED_KEY"], retry_total=0)
            written(client.get_file_system_client(given["ADLS_FILESYSTEM"]).get_file_client("f"), b"123")
            assert [f["length"] for f in stack.azure("files", filesystem="raw")["files"]] == [3]

    def test_sabotage(self, fs, standin):
        written(fs.get_file_client("f"), b"12345")
        standin.control("sabotage", {"filesystem": fs.file_system_name, "path": "f", "length": 2})
        assert fs.get_file_client("f").download_file().readall() == b"12"
        standin.control("sabotage", {"filesystem": fs.file_system_name, "path": "f", "append": "ä"})
        assert fs.get_file_client("f").download_file().readall() == b"12\xc3\xa4"

    def test_closed_connections(self, fs, standin):
        fs.get_file_client("f").create_file()
        assert standin.control("close-connections", {})["closed"] >= 1
        assert standin.control("operations")["connections"] == 1       # the one that asks
        fs.get_file_client("f").create_file()
