"""The Azure stand-in driven by azure-storage-file-datalake: file systems, paths, append and flush, rename, leases."""
import base64
import hashlib
import os
import time
import uuid

import pytest
import requests
from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.filedatalake import DataLakeLeaseClient
from azure_rig import code_of, container, defaults, fs, hour, lake, refused, same, signed, standin, written  # noqa: F401 (fixtures)


# --- file systems

class TestFilesystems:
    def test_life(self, lake):
        name = "life-" + uuid.uuid4().hex[:8]
        made = lake.create_file_system(name, metadata={"team": "lake"})
        assert made.get_file_system_properties().metadata == {"team": "lake"}
        assert name in [one.name for one in lake.list_file_systems(name_starts_with="life-")]
        with pytest.raises(ResourceExistsError) as found:
            lake.create_file_system(name)
        assert code_of(found) == "ContainerAlreadyExists"
        made.delete_file_system()
        refused("ContainerNotFound", made.get_file_system_properties, status=404)
        refused("FilesystemNotFound", lambda: list(made.get_paths()), status=404)
        refused("FilesystemNotFound", made.get_file_client("a").create_file, status=404)

    def test_names_are_checked(self, lake):
        for wrong in ("UPPER", "a", "two--hyphens"):
            refused("InvalidResourceName", lake.create_file_system, wrong, status=400)

    def test_account_says_it_has_a_hierarchy(self, standin):
        assert standin.blobs().get_account_information()["is_hns_enabled"] is True


# --- paths

class TestPaths:
    def test_create_makes_the_directories(self, fs, standin):
        fs.get_file_client("a/b c/ü.jsonl").create_file()
        assert [(p.name, p.is_directory) for p in fs.get_paths()] == [("a", True), ("a/b c", True), ("a/b c/ü.jsonl", False)]
        assert fs.get_directory_client("a").get_directory_properties().metadata == {"hdi_isfolder": "true"}

    def test_create_only(self, fs):
        file = fs.get_file_client("once")
        file.create_file(match_condition=MatchConditions.IfMissing)
        with pytest.raises(ResourceExistsError) as found:
            file.create_file(match_condition=MatchConditions.IfMissing)
        assert (found.value.status_code, code_of(found)) == (409, "PathAlreadyExists")

    def test_create_truncates(self, fs):
        file = written(fs.get_file_client("f"), b"content")
        before = file.get_file_properties()
        file.create_file()
        after = file.get_file_properties()
        assert (before.size, after.size) == (7, 0) and before.etag != after.etag

    def test_properties(self, fs):
        file = fs.get_file_client("p")
        file.create_file(metadata={"pipeline": "orders", "token": "ä/+="}, content_settings=None)
        assert file.get_file_properties().metadata == {"pipeline": "orders", "token": "ä/+="}
        file.set_metadata({"other": "1"})
        assert file.get_file_properties().metadata == {"other": "1"}
        with pytest.raises(ResourceModifiedError):
            file.set_metadata({"x": "1"}, etag='"0x1"', match_condition=MatchConditions.IfNotModified)

    def test_a_file_is_no_directory(self, fs):
        fs.get_file_client("f").create_file()
        refused("PathConflict", fs.get_file_client("f/g").create_file, status=409)
        fs.get_directory_client("d").create_directory()
        refused("ResourceTypeMismatch", fs.get_file_client("d").create_file, status=409)
        refused("ResourceTypeMismatch", fs.get_file_client("d").append_data, b"x", 0, 1)

    def test_missing(self, fs):
        file = fs.get_file_client("nothing")
        with pytest.raises(ResourceNotFoundError) as found:
            file.get_file_properties()
        assert code_of(found) == "BlobNotFound"
        refused("PathNotFound", file.append_data, b"x", 0, 1, status=404)
        refused("PathNotFound", file.delete_file, status=404)
        assert not file.exists()

    def test_delete(self, fs):
        fs.get_file_client("d/e/f").create_file()
        directory = fs.get_directory_client("d")
        answer = requests.delete(signed(fs, "DELETE", "d")[0], headers=signed(fs, "DELETE", "d")[1])
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (409, "DirectoryNotEmpty")
        directory.delete_directory()
        assert list(fs.get_paths()) == []

    def test_access(self, fs):
        file = fs.get_file_client("f")
        file.create_file()
        file.set_access_control(owner="me", permissions="rwxrw-r--")
        found = file.get_access_control()
        assert (found["owner"], found["permissions"]) == ("me", "rwxrw-r--")

    def test_listing_pages(self, fs, standin):
        for name in ("a/1", "a/2", "a.txt", "b/c/1", "b/c/2", "b0", "z"):
            fs.get_file_client(name).create_file()
        everything = ["a", "a.txt", "a/1", "a/2", "b", "b/c", "b/c/1", "b/c/2", "b0", "z"]
        pages = [[p.name for p in page] for page in fs.get_paths(max_results=3).by_page()]
        assert [len(p) for p in pages] == [3, 3, 3, 1] and sum(pages, []) == everything
        for size in (1, 2, 5000):
            assert [p.name for p in fs.get_paths(recursive=False, max_results=size)] == ["a", "a.txt", "b", "b0", "z"]
            assert [p.name for p in fs.get_paths("b", max_results=size)] == ["b/c", "b/c/1", "b/c/2"]
            assert [p.name for p in fs.get_paths("b", recursive=False, max_results=size)] == ["b/c"]
        refused("PathNotFound", lambda: list(fs.get_paths("nowhere")), status=404)
        standin.control("settings", {"list_page": 2})
        assert [p.name for p in fs.get_paths()] == everything

    def test_listing_tells_lengths(self, fs):
        file = written(fs.get_file_client("f"), b"12345")
        listed = list(fs.get_paths())[0]
        assert (listed.content_length, listed.etag) == (5, file.get_file_properties().etag.strip('"'))


# --- append and flush

class TestAppending:
    def test_only_flushed_bytes_are_visible(self, fs, standin):
        file = fs.get_file_client("f")
        file.create_file()
        file.append_data(b"hello ", 0, 6)
        file.append_data(b"world", 6, 5)
        assert file.get_file_properties().size == 0
        assert standin.file(fs.file_system_name, "f")["pending"] == {"0": 6, "6": 5}
        before = file.get_file_properties().etag
        flushed = file.flush_data(11)
        assert flushed["etag"] != before and file.get_file_properties().etag == flushed["etag"]
        assert file.download_file().readall() == b"hello world" == standin.content(fs.file_system_name, "f")

    def test_order_does_not_matter(self, fs):
        file = fs.get_file_client("f")
        file.create_file()
        for at, part in ((6, b"789"), (0, b"123"), (3, b"456")):
            file.append_data(part, at, 3)
        file.flush_data(9)
        assert file.download_file().readall() == b"123456789"

    @pytest.mark.parametrize("parts, position", [
        ([(0, b"abc")], 2), ([(0, b"abc")], 4), ([(1, b"abc")], 4), ([(0, b"abc"), (2, b"xyz")], 5), ([(0, b"abc"), (2, b"xyz")], 6),
        ([(1, b"abc")], 3), ([], 1)])
    def test_flush_wants_the_exact_length(self, fs, parts, position):
        file = written(fs.get_file_client("f"), b"..")
        for at, part in parts:
            file.append_data(part, 2 + at, len(part))
        refused("InvalidFlushPosition", file.flush_data, 2 + position, status=400)
        refused("InvalidFlushPosition", file.flush_data, 1, status=400)
        assert file.download_file().readall() == b".."

    def test_appending_again_replaces(self, fs):
        file = fs.get_file_client("f")
        file.create_file()
        file.append_data(b"wrong", 0, 5)
        file.append_data(b"right", 0, 5)
        file.flush_data(5)
        assert file.download_file().readall() == b"right"

    def test_what_a_crash_left_must_be_cleared(self, fs, standin):
        file = written(fs.get_file_client("f"), b"base")
        file.append_data(b"stale.", 7, 6)
        file.append_data(b"new new", 4, 7)
        refused("InvalidFlushPosition", file.flush_data, 13)
        file.flush_data(4)                       # the clearing flush: at the committed length, nothing retained
        assert standin.file(fs.file_system_name, "f")["pending"] == {}
        file.append_data(b"new new", 4, 7)
        file.flush_data(11)
        assert file.download_file().readall() == b"basenew new"

    def test_retained_data_waits(self, fs, standin):
        file = fs.get_file_client("f")
        file.create_file()
        file.append_data(b"one", 0, 3)
        file.append_data(b"two", 3, 3)
        file.flush_data(3, retain_uncommitted_data=True)
        assert standin.file(fs.file_system_name, "f")["pending"] == {"3": 3}
        file.flush_data(6)
        file.append_data(b"three", 6, 5)
        file.flush_data(6)
        assert standin.file(fs.file_system_name, "f")["pending"] == {}
        assert file.download_file().readall() == b"onetwo"

    def test_append_with_flush(self, fs, standin):
        file = written(fs.get_file_client("f"), b"ab")
        answer = file.append_data(b"cd", 2, 2, flush=True)
        assert answer["etag"] == file.get_file_properties().etag
        refused("InvalidFlushPosition", file.append_data, b"cd", 2, 2, flush=True, status=400)
        refused("InvalidFlushPosition", file.append_data, b"x", 9, 1, flush=True, status=400)
        refused("InvalidQueryParameterValue", file.append_data, b"cd", 2, 2, status=400)
        assert file.download_file().readall() == b"abcd"
        assert standin.file(fs.file_system_name, "f")["pending"] == {}

    def test_closing_is_counted(self, fs, standin):
        file = fs.get_file_client("f")
        file.create_file()
        file.append_data(b"abc", 0, 3)
        file.flush_data(3, close=True)
        assert standin.file(fs.file_system_name, "f")["closes"] == 1
        file.append_data(b"d", 3, 1, flush=True)
        said = standin.file(fs.file_system_name, "f")
        assert (said["closes"], said["flushes"], said["appends"], said["length"]) == (1, 2, 2, 4)

    def test_limits(self, fs, standin):
        standin.control("settings", {"max_appends": 3, "max_append_bytes": 10})
        file = fs.get_file_client("f")
        file.create_file()
        refused("RequestBodyTooLarge", file.append_data, b"x" * 11, 0, 11, status=413)
        for at in range(3):
            file.append_data(b"x", at, 1)
        file.append_data(b"y", 2, 1)
        refused("BlockCountExceedsLimit", file.append_data, b"x", 3, 1, status=409)
        file.flush_data(3)
        refused("BlockCountExceedsLimit", file.append_data, b"x", 3, 1, flush=True, status=409)

    def test_md5(self, fs, standin):
        file = fs.get_file_client("f")
        file.create_file()
        for content in (b"small", os.urandom(100_000)):
            file.append_data(content, 0, len(content), validate_content=True)
            url, headers = signed(fs, "PATCH", "f", "action=append&position=0", {"Content-MD5": base64.b64encode(hashlib.md5(b"no").digest()).decode(),
                                                                                 "Content-Length": str(len(content))})
            answer = requests.patch(url, headers=headers, data=content)
            assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "Md5Mismatch")
            file.flush_data(len(content))
            assert file.download_file(validate_content=True).readall() == content
            file.create_file()

    def test_large_bodies(self, fs, standin):
        content = os.urandom(9 << 20)
        file = fs.get_file_client("big")
        file.create_file()
        for at in range(0, len(content), 3 << 20):
            file.append_data(content[at:at + (3 << 20)], at, 3 << 20)
        file.flush_data(len(content))
        assert same(file.download_file().readall(), content, standin.content(fs.file_system_name, "big"))
        tls = standin.lake(standin.tls_url).get_file_system_client(fs.file_system_name).get_file_client("big")
        tls.append_data(content, len(content), len(content))
        tls.flush_data(2 * len(content))
        assert same(tls.download_file().readall(), content + content)
        file.flush_data(2 * len(content))
        assert same(file.download_file(offset=5_000_001, length=3_000_003).readall(), content[5_000_001:8_000_004])
        file.upload_data(content[:5_000_000], overwrite=True, chunk_size=1 << 20)
        assert same(file.download_file().readall(), content[:5_000_000])

    def test_conditions_on_flush(self, fs):
        file = written(fs.get_file_client("f"), b"ab")
        etag = file.get_file_properties().etag
        file.append_data(b"c", 2, 1)
        refused("ConditionNotMet", file.flush_data, 3, etag='"0xdead"', match_condition=MatchConditions.IfNotModified, status=412)
        file.flush_data(3, etag=etag, match_condition=MatchConditions.IfNotModified)
        refused("ConditionNotMet", file.flush_data, 3, etag=etag, match_condition=MatchConditions.IfNotModified, status=412)

    def test_modification_dates(self, fs):
        file = written(fs.get_file_client("f"), b"ab")
        refused("ConditionNotMet", file.flush_data, 2, if_unmodified_since=hour(-1), status=412)
        file.flush_data(2, if_unmodified_since=hour())
        refused("ConditionNotMet", file.flush_data, 2, if_modified_since=hour(), status=412)

    def test_blob_and_lake_do_not_mix(self, fs, container):
        container.upload_blob("b", b"data")
        refused("InvalidFlushOperation", fs.get_file_client("b").append_data, b"x", 4, 1, status=409)
        refused("InvalidFlushOperation", fs.get_file_client("b").flush_data, 4, status=409)


# --- rename

class TestRename:
    def test_publishing(self, fs):
        source = written(fs.get_file_client("_tmp/a b+é.parquet"), b"data")
        etag = source.get_file_properties().etag
        fs.get_directory_client("year=2025").create_directory()
        renamed = source.rename_file(f"{fs.file_system_name}/year=2025/final é.parquet")
        assert renamed.download_file().readall() == b"data" and renamed.get_file_properties().etag == etag
        assert not source.exists()
        refused("SourcePathNotFound", source.rename_file, f"{fs.file_system_name}/year=2025/again", status=404)

    def test_conditions(self, fs):
        source, target = written(fs.get_file_client("s"), b"s"), written(fs.get_file_client("t"), b"t")
        name = f"{fs.file_system_name}/t"
        refused("PathAlreadyExists", source.rename_file, name, match_condition=MatchConditions.IfMissing, status=409)
        refused("SourceConditionNotMet", source.rename_file, name, source_etag='"0x1"', source_match_condition=MatchConditions.IfNotModified, status=412)
        refused("RenameDestinationParentPathNotFound", source.rename_file, f"{fs.file_system_name}/no/dir", status=404)
        source.rename_file(name, source_etag=source.get_file_properties().etag, source_match_condition=MatchConditions.IfNotModified)
        assert target.download_file().readall() == b"s"

    def test_leases(self, fs):
        source, target = written(fs.get_file_client("s"), b"s"), written(fs.get_file_client("t"), b"t")
        one, two = source.acquire_lease(), target.acquire_lease()
        name = f"{fs.file_system_name}/t"
        refused("LeaseIdMissing", source.rename_file, name, status=412)
        refused("LeaseIdMissing", source.rename_file, name, source_lease=one, status=412)
        source.rename_file(name, source_lease=one, lease=two)
        assert target.download_file().readall() == b"s"

    def test_directories(self, fs):
        written(fs.get_file_client("d/e/f"), b"x")
        directory = fs.get_directory_client("d")
        refused("InvalidRenameSourcePath", directory.rename_directory, f"{fs.file_system_name}/d/e/g", status=409)
        directory.rename_directory(f"{fs.file_system_name}/moved")
        assert [p.name for p in fs.get_paths()] == ["moved", "moved/e", "moved/e/f"]
        assert fs.get_file_client("moved/e/f").download_file().readall() == b"x"


# --- leases

class TestLeases:
    def test_writer_and_zombie(self, fs):
        file = written(fs.get_file_client("f"), b"ab")
        old = DataLakeLeaseClient(file, str(uuid.uuid4()))
        old.acquire(-1)
        refused("LeaseIdMissing", file.append_data, b"x", 2, 1, status=412)
        refused("LeaseIdMissing", file.create_file, status=412)
        refused("LeaseIdMissing", file.delete_file, status=412)
        file.append_data(b"c", 2, 1, lease=old)
        new = DataLakeLeaseClient(file, str(uuid.uuid4()))
        refused("LeaseAlreadyPresent", new.acquire, -1, status=409)
        assert new.break_lease() == 0
        refused("LeaseLost", file.append_data, b"d", 3, 1, lease=old, status=412)
        new.acquire(-1)
        file.flush_data(2, lease=new)
        for attempt in (lambda: file.append_data(b"x", 2, 1, lease=old), lambda: file.flush_data(3, lease=old)):
            refused("LeaseIdMismatchWithBlobOperation", attempt, status=412)
        refused("LeaseIdMismatchWithLeaseOperation", old.renew, status=409)
        refused("LeaseIdMismatchWithLeaseOperation", old.release, status=409)
        assert file.get_file_properties().lease.state == "leased"
        name = new.id
        new.release()
        file.append_data(b"z", 2, 1, flush=True)
        refused("LeaseNotPresentWithBlobOperation", file.append_data, b"x", 3, 1, lease=name, status=412)

    def test_time(self, fs, standin):
        file = written(fs.get_file_client("f"), b"ab")
        lease = file.acquire_lease(15)
        standin.control("age-leases", {"seconds": 14})
        lease.renew()
        standin.control("age-leases", {"seconds": 14})
        assert file.get_file_properties().lease.state == "leased"
        standin.control("age-leases", {"seconds": 2})
        assert file.get_file_properties().lease.state == "expired"
        refused("LeaseLost", file.append_data, b"x", 2, 1, lease=lease, status=412)
        lease.renew()                                     # nobody wrote meanwhile
        standin.control("age-leases", {"seconds": 16})
        file.append_data(b"x", 2, 1, flush=True)
        refused("LeaseIdMismatchWithLeaseOperation", lease.renew, status=409)

    def test_breaking_takes_its_time(self, fs, standin):
        file = written(fs.get_file_client("f"), b"ab")
        lease = file.acquire_lease(60)
        assert lease.break_lease(20) == 20 and file.get_file_properties().lease.state == "breaking"
        file.append_data(b"c", 2, 1, lease=lease)
        refused("LeaseIsBrokenAndCannotBeRenewed", lease.renew, status=409)
        refused("LeaseAlreadyPresent", file.acquire_lease, 15, status=409)
        standin.control("age-leases", {"seconds": 21})
        assert file.get_file_properties().lease.state == "broken"
        file.append_data(b"c", 2, 1, flush=True)

    def test_change_and_same_id(self, fs):
        file = written(fs.get_file_client("f"), b"ab")
        first, second = str(uuid.uuid4()), str(uuid.uuid4())
        lease = file.acquire_lease(15, lease_id=first)
        file.acquire_lease(-1, lease_id=first)
        lease.change(second)
        file.append_data(b"c", 2, 1, flush=True, lease=second)
        refused("LeaseIdMismatchWithBlobOperation", file.append_data, b"c", 3, 1, lease=first)
        refused("InvalidHeaderValue", file.acquire_lease, 10, status=400)
        refused("LeaseNotPresentWithLeaseOperation", DataLakeLeaseClient(fs.get_file_client("g") if fs.get_file_client("g").create_file() else None)
                .break_lease, status=409)

    def test_actions_of_append_and_flush(self, fs, standin):
        file, lease = fs.get_file_client("f"), str(uuid.uuid4())
        file.create_file()
        file.append_data(b"abc", 0, 3, lease_action="acquire", lease_duration=15, lease=lease)
        assert standin.file(fs.file_system_name, "f")["lease_id"] == lease
        file.flush_data(3, lease_action="auto-renew", lease=lease)
        refused("InvalidFlushPosition", file.flush_data, 9, lease_action="release", lease=lease)
        assert standin.file(fs.file_system_name, "f")["lease"] == "leased"
        file.flush_data(3, lease_action="release", lease=lease)
        assert standin.file(fs.file_system_name, "f")["lease"] == "available"

    def test_the_lake_form(self, fs, standin):
        """POST at the DFS endpoint, which the client does not use."""
        written(fs.get_file_client("f"), b"ab")
        proposed = str(uuid.uuid4())

        def lease(action, **headers):
            url, given = signed(fs, "POST", "f", "", {"x-ms-lease-action": action, **{"x-ms-" + n.replace("_", "-"): v for n, v in headers.items()}})
            answer = requests.post(url, headers=given)
            return answer.status_code, answer.headers.get("x-ms-error-code"), answer.headers.get("x-ms-lease-id"), answer.headers.get("x-ms-lease-time")

        assert lease("acquire", lease_duration="-1", proposed_lease_id=proposed) == (201, None, proposed, None)
        assert lease("acquire", lease_duration="-1", proposed_lease_id=str(uuid.uuid4()))[:2] == (409, "LeaseAlreadyPresent")
        assert lease("acquire", lease_duration="-1")[:2] == (400, "MissingRequiredHeader")
        assert lease("renew", lease_id=proposed) == (200, None, proposed, None)
        assert lease("break", lease_break_period="0") == (202, None, None, "0")
        assert lease("release", lease_id=proposed)[0] == 200
        assert lease("nonsense")[:2] == (400, "InvalidHeaderValue")
