"""The Azure stand-in driven by Microsoft's own clients: azure-storage-file-datalake, azure-storage-blob and azure-identity."""
import base64
import datetime
import hashlib
import os
import re
import urllib.parse
import uuid

import pytest
import requests
from azure.core import MatchConditions
from azure.core.exceptions import (
    ClientAuthenticationError, HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError, ServiceRequestError,
    ServiceResponseError)
from azure.identity import ClientAssertionCredential, ClientSecretCredential, ManagedIdentityCredential, WorkloadIdentityCredential
from azure.storage.blob import AccountSasPermissions, BlobBlock, BlobLeaseClient, ContentSettings, ResourceTypes
from azure.storage.blob import generate_account_sas, generate_blob_sas
from azure.storage.filedatalake import (
    DataLakeLeaseClient, DirectorySasPermissions, FileSasPermissions, FileSystemSasPermissions, generate_directory_sas, generate_file_sas,
    generate_file_system_sas)
from azure_rig import StandIn
from snowflake_rig import resolve_localhost_names

from Sandbox.azure.world import (
    ACCOUNT, ASSERTION, CLIENT, IDENTITY_HEADER, KEY, SECRET, SYSTEM_IDENTITY, TENANT, USER_IDENTITY)

LOST = (ServiceRequestError, ServiceResponseError)      # no answer came


@pytest.fixture(scope="module")
def standin(tmp_path_factory):
    resolve_localhost_names()
    standin = StandIn(tmp_path_factory.mktemp("azure"))
    yield standin
    standin.stop()


@pytest.fixture(autouse=True)
def defaults(standin):
    """Every test starts with default settings, the first key and without faults."""
    before = standin.control("settings")
    yield
    standin.control("settings", before)
    standin.control("keys", {"keys": [KEY]})
    standin.faults()


@pytest.fixture
def lake(standin):
    return standin.lake()


@pytest.fixture
def fs(lake, standin):
    filesystem = lake.create_file_system("t-" + uuid.uuid4().hex[:12])
    yield filesystem
    standin.control("filesystem", method="DELETE", name=filesystem.file_system_name)


@pytest.fixture
def container(standin, fs):
    return standin.blobs().get_container_client(fs.file_system_name)


def code_of(error):
    return error.value.error_code if isinstance(error.value.error_code, str) else error.value.error_code.value


def refused(code, action, *arguments, status=None, **named):
    with pytest.raises(HttpResponseError) as found:
        action(*arguments, **named)
    assert code_of(found) == code
    if status is not None:
        assert found.value.status_code == status
    return found.value


def written(file, content):
    file.create_file()
    file.append_data(content, 0, len(content))
    file.flush_data(len(content))
    return file


def hour(hours=1):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)


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
        ([(0, b"abc")], 2), ([(0, b"abc")], 4), ([(1, b"abc")], 4), ([(0, b"abc"), (2, b"xyz")], 5), ([], 1)])
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
        assert file.download_file().readall() == content == standin.content(fs.file_system_name, "big")
        assert file.download_file(offset=5_000_001, length=3_000_003).readall() == content[5_000_001:8_000_004]
        file.upload_data(content[:5_000_000], overwrite=True, chunk_size=1 << 20)
        assert file.download_file().readall() == content[:5_000_000]

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
        assert lease("renew", lease_id=proposed) == (200, None, proposed, None)
        assert lease("break", lease_break_period="0") == (202, None, None, "0")
        assert lease("release", lease_id=proposed)[0] == 200
        assert lease("nonsense")[:2] == (400, "InvalidHeaderValue")


# --- who may

def signed(fs, method, path, query="", headers=None):
    """(url, headers) of a request that the client library can't make, signed here from the documentation."""
    import hmac
    now = datetime.datetime.now(datetime.timezone.utc)
    headers = {"x-ms-date": now.strftime("%a, %d %b %Y %H:%M:%S GMT"), "x-ms-version": "2023-11-03", **(headers or {})}
    target = f"/{ACCOUNT}/{fs.file_system_name}/{path}"
    get = lambda name: next((v for n, v in headers.items() if n.lower() == name), "")
    parts = [method, *(get(n) for n in ("content-encoding", "content-language", "content-length", "content-md5", "content-type")), "", "", "", "", "", ""]
    own = sorted((n.lower(), v) for n, v in headers.items() if n.lower().startswith("x-ms-"))
    text = "\n".join(parts) + "\n" + "".join(f"{n}:{v}\n" for n, v in own) + f"/{ACCOUNT}{target}"
    text += "".join(f"\n{n}:{v}" for n, v in sorted(urllib.parse.parse_qsl(query)))
    signature = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), "sha256").digest()).decode()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{signature}"
    return fs.url.partition(f"/{ACCOUNT}")[0] + target + ("?" + query if query else ""), headers


class TestSharedKey:
    def test_wrong_key(self, standin, fs):
        lake = standin.lake(credential=base64.b64encode(b"x" * 64).decode()).get_file_system_client(fs.file_system_name)
        blobs = standin.blobs(credential=base64.b64encode(b"x" * 64).decode()).get_container_client(fs.file_system_name)
        for attempt in (lake.get_file_client("f").create_file, lambda: list(lake.get_paths()), lambda: list(blobs.list_blobs())):
            with pytest.raises(ClientAuthenticationError) as found:
                attempt()
            assert code_of(found) == "AuthenticationFailed" and found.value.status_code == 403

    def test_rotation(self, standin, fs):
        second = base64.b64encode(os.urandom(64)).decode()
        standin.control("keys", {"keys": [KEY, second]})
        standin.lake(credential=second).get_file_system_client(fs.file_system_name).get_file_client("f").create_file()
        standin.control("keys", {"keys": [second]})
        with pytest.raises(ClientAuthenticationError):
            fs.get_file_client("g").create_file()
        standin.control("keys", {"keys": [KEY]})

    @pytest.mark.parametrize("offset", [1000, -1000])
    def test_clock_skew(self, standin, fs, offset):
        standin.control("settings", {"clock_offset_seconds": offset * 0.8})
        fs.get_file_client("f").create_file()
        standin.control("settings", {"clock_offset_seconds": offset})
        error = refused("AuthenticationFailed", fs.get_file_client("g").create_file, status=403)
        assert "Request date header too old" in error.response.text()

    def test_versions_are_checked(self, fs):
        for version in ("2099-01-01", "nonsense", "2015-12-11"):
            url, headers = signed(fs, "GET", "f", "", {"x-ms-version": version})
            answer = requests.get(url, headers=headers)
            assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "InvalidHeaderValue")

    def test_without_authorization(self, standin, fs):
        answer = requests.get(f"{standin.url}/{fs.file_system_name}/f", headers={"x-ms-version": "2023-11-03"})
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (401, "NoAuthenticationInformation")
        assert f"/{TENANT}/oauth2/authorize" in answer.headers["WWW-Authenticate"]

    def test_http_and_keys_may_be_forbidden(self, standin, fs):
        standin.control("settings", {"https_only": True})
        refused("AccountRequiresHttps", fs.get_file_client("f").create_file, status=400)
        tls = standin.lake(standin.tls_url).get_file_system_client(fs.file_system_name)
        tls.get_file_client("f").create_file()
        standin.control("settings", {"shared_key_allowed": False})
        refused("KeyBasedAuthenticationNotPermitted", tls.get_file_client("f").create_file, status=403)
        standin.control("settings", {"shared_key_allowed": True, "https_only": False})

    def test_every_error_says_who_it_is(self, fs):
        error = refused("PathNotFound", fs.get_file_client("no").append_data, b"x", 0, 1)
        assert re.search(r"RequestId:\S+\nTime:\d{4}-\d\d-\d\dT", error.message)
        assert error.response.headers["x-ms-request-id"] in error.message
        assert error.response.headers["x-ms-client-request-id"] == error.response.request.headers["x-ms-client-request-id"]
        assert "application/json" in error.response.headers["Content-Type"]


class TestSas:
    def client(self, standin, fs, sas):
        return standin.lake(credential=sas).get_file_system_client(fs.file_system_name)

    def test_file_system(self, standin, fs):
        sas = generate_file_system_sas(ACCOUNT, fs.file_system_name, KEY, FileSystemSasPermissions.from_string("racwdlm"), hour())
        mine = self.client(standin, fs, sas)
        file = written(mine.get_file_client("a/b é"), b"hi")
        assert file.download_file().readall() == b"hi" and [p.name for p in mine.get_paths("a")] == ["a/b é"]
        file = file.rename_file(f"{fs.file_system_name}/a/c")
        lease = file.acquire_lease(15)
        lease.release()
        file.delete_file()

    def test_permissions(self, standin, fs):
        written(fs.get_file_client("f"), b"hi")
        mine = self.client(standin, fs, generate_file_system_sas(ACCOUNT, fs.file_system_name, KEY, "r", hour()))
        assert mine.get_file_client("f").download_file().readall() == b"hi"
        for attempt in (lambda: list(mine.get_paths()), lambda: mine.get_file_client("f").append_data(b"x", 2, 1), mine.get_file_client("g").create_file,
                        mine.get_file_client("f").delete_file, lambda: mine.get_file_client("f").flush_data(2)):
            refused("AuthorizationPermissionMismatch", attempt, status=403)

    def test_file_and_directory(self, standin, fs):
        written(fs.get_file_client("d/e/f"), b"hi")
        written(fs.get_file_client("other"), b"no")
        one = generate_file_sas(ACCOUNT, fs.file_system_name, "d/e", "f", KEY, FileSasPermissions(read=True), hour())
        assert self.client(standin, fs, one).get_file_client("d/e/f").download_file().readall() == b"hi"
        many = generate_directory_sas(ACCOUNT, fs.file_system_name, "d", KEY, DirectorySasPermissions(read=True, write=True, create=True), hour())
        mine = self.client(standin, fs, many)
        written(mine.get_file_client("d/g"), b"x")
        for sas in (one, many):
            error = refused("AuthenticationFailed", self.client(standin, fs, sas).get_file_client("other").download_file, status=403)
            assert "Signature did not match" in error.response.text()

    def test_time_and_protocol(self, standin, fs):
        make = lambda **more: generate_file_system_sas(ACCOUNT, fs.file_system_name, KEY, "racwdl", **{"expiry": hour(), **more})
        for sas in (make(expiry=hour(-1)), make(start=hour(0.5))):
            error = refused("AuthenticationFailed", self.client(standin, fs, sas).get_file_client("f").create_file, status=403)
            assert "Signature not valid in the specified time frame" in error.response.text()
        refused("AuthorizationProtocolMismatch", self.client(standin, fs, make(protocol="https")).get_file_client("f").create_file, status=403)
        refused("AuthorizationSourceIPMismatch", self.client(standin, fs, make(ip="10.0.0.1-10.0.0.9")).get_file_client("f").create_file, status=403)
        self.client(standin, fs, make(ip="127.0.0.0-127.0.0.9")).get_file_client("f").create_file()
        tls = standin.lake(standin.tls_url, make(protocol="https")).get_file_system_client(fs.file_system_name)
        tls.get_file_client("f").create_file()
        standin.control("settings", {"clock_offset_seconds": 7200})
        refused("AuthenticationFailed", self.client(standin, fs, make()).get_file_client("f").create_file, status=403)

    def test_account(self, standin, fs):
        make = lambda types: generate_account_sas(ACCOUNT, KEY, ResourceTypes.from_string(types),
                                                  AccountSasPermissions(read=True, write=True, list=True, create=True), hour())
        mine = self.client(standin, fs, make("sco"))
        written(mine.get_file_client("f"), b"hi")
        assert [p.name for p in mine.get_paths()] == ["f"]
        refused("AuthorizationResourceTypeMismatch", lambda: list(self.client(standin, fs, make("o")).get_paths()), status=403)
        refused("AuthorizationPermissionMismatch", mine.get_file_client("f").delete_file, status=403)

    def test_forged(self, standin, fs):
        sas = generate_file_system_sas(ACCOUNT, fs.file_system_name, KEY, "r", hour()).replace("sp=r", "sp=rw")
        refused("AuthenticationFailed", self.client(standin, fs, sas).get_file_client("f").create_file, status=403)

    def test_blob(self, standin, fs, container):
        container.upload_blob("x/y", b"data")
        sas = generate_blob_sas(ACCOUNT, fs.file_system_name, "x/y", account_key=KEY, permission="r", expiry=hour())
        mine = standin.blobs(credential=sas).get_container_client(fs.file_system_name)
        assert mine.download_blob("x/y").readall() == b"data"
        refused("AuthorizationPermissionMismatch", mine.upload_blob, "x/y", b"new", overwrite=True, status=403)


# --- tokens

class TestTokens:
    def secret(self, standin, secret=SECRET, client=CLIENT, tenant=TENANT):
        return ClientSecretCredential(tenant, client, secret, authority=standin.authority, disable_instance_discovery=True, connection_verify=standin.ca)

    def test_client_secret(self, standin, fs):
        standin.control("signins", method="DELETE")
        mine = standin.lake(standin.tls_url, self.secret(standin)).get_file_system_client(fs.file_system_name)
        file = written(mine.get_file_client("f"), b"hi")
        assert file.download_file().readall() == b"hi"
        posts = [r for r in standin.control("signins")["requests"] if r["method"] == "POST"]
        assert len(posts) == 1 and posts[0]["target"] == f"/{TENANT}/oauth2/v2.0/token"
        form = dict(urllib.parse.parse_qsl(posts[0]["body"]))
        assert {n: form[n] for n in ("client_id", "client_secret", "grant_type", "scope")} == {
            "client_id": CLIENT, "client_secret": SECRET, "grant_type": "client_credentials", "scope": "https://storage.azure.com/.default"}

    @pytest.mark.parametrize("wrong, code", [({"secret": "no"}, "AADSTS7000215"), ({"client": "nobody"}, "AADSTS700016"),
                                             ({"tenant": SYSTEM_IDENTITY}, "AADSTS90002")])
    def test_refused_sign_in(self, standin, wrong, code):
        with pytest.raises(ClientAuthenticationError) as found:
            self.secret(standin, **wrong).get_token("https://storage.azure.com/.default")
        assert code in str(found.value)

    def test_workload_identity(self, standin, fs, tmp_path, monkeypatch):
        token = tmp_path / "token"
        token.write_text(ASSERTION)
        credential = WorkloadIdentityCredential(tenant_id=TENANT, client_id=CLIENT, token_file_path=str(token), authority=standin.authority,
                                                disable_instance_discovery=True, connection_verify=standin.ca)
        written(standin.lake(standin.tls_url, credential).get_file_system_client(fs.file_system_name).get_file_client("f"), b"hi")
        with pytest.raises(ClientAuthenticationError) as found:
            ClientAssertionCredential(TENANT, CLIENT, lambda: "another", authority=standin.authority, disable_instance_discovery=True,
                                      connection_verify=standin.ca).get_token("https://storage.azure.com/.default")
        assert "AADSTS700213" in str(found.value)

    @pytest.mark.parametrize("client", [None, USER_IDENTITY])
    def test_imds(self, standin, fs, monkeypatch, client):
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", standin.origin)
        standin.control("signins", method="DELETE")
        credential = ManagedIdentityCredential(**({"client_id": client} if client else {}))
        written(standin.lake(standin.tls_url, credential).get_file_system_client(fs.file_system_name).get_file_client("f"), b"hi")
        asked = standin.control("signins")["requests"][-1]
        assert asked["target"] == ("/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://storage.azure.com"
                                   + (f"&client_id={client}" if client else "")) and asked["headers"]["metadata"] == "true"

    def test_app_service(self, standin, fs, monkeypatch):
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{standin.origin}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
        written(standin.lake(standin.tls_url, ManagedIdentityCredential()).get_file_system_client(fs.file_system_name).get_file_client("f"), b"hi")
        monkeypatch.setenv("IDENTITY_HEADER", "wrong")
        with pytest.raises(ClientAuthenticationError):
            ManagedIdentityCredential().get_token("https://storage.azure.com/.default")

    def test_the_forms_are_those_that_were_captured(self, standin):
        """The captured requests, sent as they are; and spoiled, which must not pass."""
        resource = "api-version=2018-02-01&resource=https://storage.azure.com"
        imds = f"{standin.origin}/metadata/identity/oauth2/token?{resource}"
        answer = requests.get(imds, headers={"Metadata": "true"})
        assert answer.status_code == 200 and answer.json()["expires_in"] == "3600"
        assert requests.get(imds).status_code == 400 and requests.get(imds + "&client_id=nobody", headers={"Metadata": "true"}).status_code == 400
        form = (f"client_assertion={ASSERTION}&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_id={CLIENT}"
                "&grant_type=client_credentials&scope=https://storage.azure.com/.default")
        url, kind = f"{standin.origin}/{TENANT}/oauth2/v2.0/token", {"Content-Type": "application/x-www-form-urlencoded"}
        assert requests.post(url, form, headers=kind).json()["expires_in"] == 3600
        for spoiled in (form.replace("jwt-bearer", "saml"), form.replace("client_credentials", "password"), form.replace("/.default", ""),
                        form.replace("client_assertion=", "x=")):
            assert requests.post(url, spoiled, headers=kind).status_code in (400, 401)
        assert requests.post(url, form, headers={"Content-Type": "application/json"}).status_code == 400

    def test_tokens_end(self, standin, fs):
        mine = standin.lake(standin.tls_url, standin.token(seconds=60)).get_file_system_client(fs.file_system_name)
        mine.get_file_client("f").create_file()
        standin.control("settings", {"clock_offset_seconds": 61})
        error = refused("InvalidAuthenticationInfo", mine.get_file_client("f").create_file, status=401)
        assert f"/{TENANT}/oauth2/authorize" in error.response.headers["WWW-Authenticate"]
        standin.control("settings", {"clock_offset_seconds": 0})
        mine.get_file_client("f").create_file()
        standin.control("expire-tokens", {})
        refused("InvalidAuthenticationInfo", mine.get_file_client("f").create_file, status=401)

    def test_the_client_signs_in_again_before_a_token_ends(self, standin, fs):
        """With less than five minutes left a token counts as old: one sign-in for every request."""
        signins = lambda: standin.control("operations")["operations"].get("token", 0)
        for seconds, wanted in ((200, 3), (3600, 1)):
            standin.control("settings", {"token_seconds": seconds})
            mine = standin.lake(standin.tls_url, self.secret(standin)).get_file_system_client(fs.file_system_name)
            before = signins()
            for _ in range(3):
                mine.get_file_client("f").create_file()
            assert signins() - before == wanted

    def test_rights(self, standin, fs):
        written(fs.get_file_client("f"), b"hi")
        roles = {"reader": (True, False), "none": (False, False), "contributor": (True, True)}
        for role, (reads, writes) in roles.items():
            standin.control("principals", {"client_id": f"role-{role}", "role": role})
            file = standin.lake(standin.tls_url, standin.token(f"role-{role}")).get_file_system_client(fs.file_system_name).get_file_client("f")
            for allowed, attempt in ((reads, lambda f=file: f.download_file().readall()), (writes, lambda f=file: f.append_data(b"x", 2, 1))):
                attempt() if allowed else refused("AuthorizationPermissionMismatch", attempt, status=403)

    def test_token_for_something_else(self, standin, fs):
        token = self.secret(standin).get_token("https://vault.azure.net/.default").token
        answer = requests.get(f"{standin.url}/{fs.file_system_name}/f", headers={"x-ms-version": "2023-11-03", "Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (401, "InvalidAuthenticationInfo")

    def test_recursive_delete_goes_page_by_page(self, standin, fs):
        standin.control("settings", {"delete_page": 3})
        for number in range(10):
            fs.get_file_client(f"d/{number % 3}/{number}").create_file()
        mine = standin.lake(standin.tls_url, standin.token()).get_file_system_client(fs.file_system_name)
        before = standin.control("operations")["operations"].get("delete", 0)
        mine.get_directory_client("d").delete_directory()
        assert list(fs.get_paths()) == [] and standin.control("operations")["operations"]["delete"] - before == 5


# --- endpoints

class TestEndpoints:
    def test_by_host_as_the_service_does(self, standin, fs):
        """ACCOUNT.dfs.… and ACCOUNT.blob.… on one port; the client derives the second name from the first."""
        lake = standin.lake(f"http://{ACCOUNT}.dfs.localhost:{standin.ports['azure']}", {"account_name": ACCOUNT, "account_key": KEY})
        mine = lake.get_file_system_client(fs.file_system_name)
        file = written(mine.get_file_client("a/b ü"), b"hi")
        assert file.download_file().readall() == b"hi" and file.get_file_properties().size == 2
        lease = file.acquire_lease(15)
        file.append_data(b"!", 2, 1, flush=True, lease=lease)
        assert [p.name for p in mine.get_paths()] == ["a", "a/b ü"]
        assert fs.file_system_name in [f.name for f in lake.list_file_systems()]
        file.rename_file(f"{fs.file_system_name}/c", lease=None, source_lease=lease)

    def test_strict_ports(self, standin, fs):
        strict = lambda name: f"http://127.0.0.1:{standin.ports[name]}/{ACCOUNT}"
        blob = standin.lake(strict("blob")).get_file_system_client(fs.file_system_name)
        refused("UnsupportedQueryParameter", blob.get_file_client("f").create_file, status=400)
        refused("UnsupportedQueryParameter", standin.blobs(strict("dfs")).get_container_client(fs.file_system_name).upload_blob, "b", b"x", status=400)
        standin.blobs(strict("blob")).get_container_client(fs.file_system_name).upload_blob("b", b"x")

    def test_another_account(self, standin, fs):
        url = standin.url.replace(ACCOUNT, "another")
        refused("InvalidUri", standin.lake(url, {"account_name": ACCOUNT, "account_key": KEY}).get_file_system_client("raw").get_file_client("f").create_file, status=400)


# --- blobs

class TestBlobs:
    def test_put_and_get(self, container):
        blob = container.upload_blob("y=1/k ü.jsonl", b"data", metadata={"pipeline": "orders"}, content_settings=ContentSettings(
            content_type="application/x-ndjson", content_language="de"))
        found = blob.get_blob_properties()
        assert (found.size, found.metadata, found.content_settings.content_type, found.content_settings.content_language) == (
            4, {"pipeline": "orders"}, "application/x-ndjson", "de")
        with pytest.raises(ResourceExistsError) as error:
            container.upload_blob("y=1/k ü.jsonl", b"other")
        assert code_of(error) == "BlobAlreadyExists"
        assert blob.download_blob().readall() == b"data" and blob.download_blob(1, 2).readall() == b"at"
        blob.upload_blob(b"", overwrite=True)
        assert blob.download_blob().readall() == b""
        blob.delete_blob()
        refused("BlobNotFound", blob.delete_blob, status=404)

    def test_md5(self, container):
        content = os.urandom(200_000)
        blob = container.upload_blob("m", content, validate_content=True)
        assert blob.get_blob_properties().content_settings.content_md5 == bytearray(hashlib.md5(content).digest())
        assert blob.download_blob(validate_content=True).readall() == content

    def test_blocks(self, container):
        blob = container.get_blob_client("b")
        ids = [f"{n:04d}" for n in range(4)]
        for n, name in enumerate(ids[:3]):
            blob.stage_block(name, bytes([n]) * 50_000)
        assert not blob.exists()
        assert [b.name for b in container.list_blobs(include=["uncommittedblobs"])] == ["b"]
        committed, waiting = blob.get_block_list("all")
        assert [b.id for b in waiting] == ids[:3] and committed == []
        refused("InvalidBlockList", blob.commit_block_list, [BlobBlock(ids[3])], status=400)
        blob.commit_block_list([BlobBlock(ids[1]), BlobBlock(ids[0]), BlobBlock(ids[1])])
        assert blob.download_blob().readall() == b"\1" * 50_000 + b"\0" * 50_000 + b"\1" * 50_000
        refused("InvalidBlockList", blob.commit_block_list, [BlobBlock(ids[2])], status=400)       # not committed, so gone
        blob.stage_block(ids[3], b"tail")
        blob.commit_block_list([BlobBlock(ids[0]), BlobBlock(ids[3])])
        assert blob.download_blob().readall() == b"\0" * 50_000 + b"tail"
        with pytest.raises(ResourceExistsError):
            blob.commit_block_list([], match_condition=MatchConditions.IfMissing)
        refused("InvalidBlobOrBlock", lambda: [blob.stage_block("aaaa", b"x"), blob.stage_block("a", b"x")], status=400)

    def test_large_upload(self, standin, fs):
        content = os.urandom(5 << 20)
        client = standin.blobs(max_single_put_size=1 << 20, max_block_size=1 << 20).get_container_client(fs.file_system_name)
        blob = client.upload_blob("big", content, max_concurrency=3)
        assert blob.download_blob(max_concurrency=3).readall() == content

    def test_append_blob(self, container, standin):
        blob = container.get_blob_client("a")
        blob.create_append_blob()
        assert blob.append_block(b"one", appendpos_condition=0)["blob_append_offset"] == "0"
        refused("AppendPositionConditionNotMet", blob.append_block, b"one", appendpos_condition=0, status=412)
        refused("MaxBlobSizeConditionNotMet", blob.append_block, b"two", maxsize_condition=5, status=412)
        assert blob.append_block(b"two", appendpos_condition=3)["blob_committed_block_count"] == 2
        assert blob.download_blob().readall() == b"onetwo"
        standin.control("settings", {"max_appends": 2})
        refused("BlockCountExceedsLimit", blob.append_block, b"x", status=409)
        refused("InvalidBlobType", container.upload_blob("block", b"").append_block, b"x", status=409)

    def test_leases(self, container):
        blob = container.upload_blob("l", b"x")
        lease = BlobLeaseClient(blob)
        lease.acquire(-1)
        refused("LeaseIdMissing", blob.delete_blob, status=412)
        refused("LeaseIdMissing", blob.upload_blob, b"new", overwrite=True, status=412)
        refused("LeaseIdMissing", blob.set_blob_metadata, {"a": "1"}, status=412)
        blob.set_blob_metadata({"a": "1"}, lease=lease)
        refused("LeaseIdMismatchWithBlobOperation", blob.get_blob_properties, lease=str(uuid.uuid4()), status=412)
        blob.upload_blob(b"new", overwrite=True, lease=lease)
        assert blob.get_blob_properties().lease.duration == "infinite"
        lease.break_lease()
        blob.delete_blob()

    def test_conditions(self, container):
        blob = container.upload_blob("c", b"x")
        etag = blob.get_blob_properties().etag
        blob.upload_blob(b"y", overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified)
        with pytest.raises(ResourceModifiedError) as found:
            blob.upload_blob(b"z", overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified)
        assert code_of(found) == "ConditionNotMet"
        with pytest.raises(HttpResponseError) as found:
            blob.download_blob(etag=blob.get_blob_properties().etag, match_condition=MatchConditions.IfModified)
        assert found.value.status_code == 304

    def test_listing(self, container, standin):
        for name in ("a/1", "a/2", "b/c/3", "d&<e>", "f"):
            container.upload_blob(name, b"x", metadata={"n": "1"})
        flat = ["a", "a/1", "a/2", "b", "b/c", "b/c/3", "d&<e>", "f"]
        assert [b.name for b in container.list_blobs()] == flat
        assert [[b.name for b in page] for page in container.list_blobs(results_per_page=3).by_page()] == [flat[:3], flat[3:6], flat[6:]]
        assert [b.name for b in container.list_blobs(name_starts_with="a/")] == ["a/1", "a/2"]
        assert [b.metadata for b in container.list_blobs(name_starts_with="a/1", include=["metadata"])] == [{"n": "1"}]
        for size in (1, 2, 5000):
            assert [b.name for b in container.walk_blobs(results_per_page=size)] == ["a/", "b/", "d&<e>", "f"]
        listed = next(iter(container.list_blobs(name_starts_with="f")))
        assert (listed.size, listed.etag) == (1, container.get_blob_client("f").get_blob_properties().etag.strip('"'))


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
        assert file.download_file().readall() == big

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


def until(condition, seconds=20):
    import time
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


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

    def test_sabotage(self, fs, standin):
        written(fs.get_file_client("f"), b"12345")
        standin.control("sabotage", {"filesystem": fs.file_system_name, "path": "f", "length": 2})
        assert fs.get_file_client("f").download_file().readall() == b"12"

    def test_closed_connections(self, fs, standin):
        fs.get_file_client("f").create_file()
        assert standin.control("close-connections", {})["closed"] >= 1
        assert standin.control("operations")["connections"] == 1       # the one that asks
        fs.get_file_client("f").create_file()
