"""Destination adls as a user meets it: every way of logging in, what is refused and how that reads, and what is never shown."""
import base64
import csv
import datetime
import gzip
import io
import json
import re
import signal
import time
import urllib.parse

import pymongo
import pytest
import zstandard
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
from azure.storage.filedatalake import DataLakeServiceClient, FileSystemSasPermissions, generate_file_system_sas

from Sandbox.azure.world import ACCOUNT, KEY
from Sandbox.program import Run, call, settings, wait_until
from Sandbox.stack import FILESYSTEM, Stack

TENANT, CLIENT = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
PLAIN = {"hierarchy": True, "https_only": False, "clock_offset_seconds": 0, "shared_key_allowed": True}


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(str(tmp_path_factory.mktemp("stack")), snowflake=None, azure=[]) as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(stack):
    stack.azure("settings", PLAIN)
    stack.azure("faults", {"faults": []})
    stack.azure("filesystem", method="DELETE", name=FILESYSTEM)
    stack.azure("filesystem", {"name": FILESYSTEM})


@pytest.fixture
def place(stack):
    return {"ADLS_ACCOUNT_URL": stack.account_url, "ADLS_FILESYSTEM": FILESYSTEM}


def signature(permission: str = "racwdl", hours: float = 1) -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    return generate_file_system_sas(
        ACCOUNT, FILESYSTEM, KEY, permission=FileSystemSasPermissions.from_string(permission),
        start=now - datetime.timedelta(hours=2), expiry=now + datetime.timedelta(hours=hours))


def load(folder, environment: dict[str, str], *extra: str):
    """One file of three records into the lake."""
    (folder / "in.jsonl").write_text("".join(f'{{"n":{n}}}\n' for n in range(3)))
    return call("run", "--source", "file", "--dest", "adls", "--state", folder / "state", "--name", "lines",
                *settings(source__path=folder / "in.jsonl", pipeline__retry_for="1s"), *extra, env=environment)


def lines(stack) -> list[int]:
    lake = DataLakeServiceClient(stack.account_url, KEY).get_file_system_client(FILESYSTEM)
    paths = [path.name for path in lake.get_paths() if not path.is_directory and not path.name.startswith("_nebula/")]
    content = b"".join(lake.get_file_client(path).download_file().readall() for path in paths)
    return [json.loads(line)["n"] for line in content.splitlines()]


# --- Ways of logging in ----------------------------------------------------------------------------------------------

def ways(stack, folder) -> dict[str, dict[str, str]]:
    token = folder / "token"
    token.write_text("sandbox.federated.token")
    login = {"AZURE_AUTHORITY_HOST": stack.azure_url, "AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT}
    account = generate_account_sas(
        ACCOUNT, KEY, resource_types=ResourceTypes(container=True, object=True), permission=AccountSasPermissions.from_string("racwdl"),
        expiry=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1))
    return {
        "shared key": {"ADLS_SHARED_KEY": KEY},
        "signature": {"ADLS_SAS": signature()},
        "signature with its question mark": {"ADLS_SAS": "?" + signature()},
        "signature of the account": {"ADLS_SAS": account},
        "signature in the address": {"ADLS_ACCOUNT_URL": f"{stack.account_url}?{signature()}"},
        "service principal": login | {"AZURE_CLIENT_SECRET": "sandbox-secret"},
        "workload identity": login | {"AZURE_FEDERATED_TOKEN_FILE": str(token)},
        "machine's identity": {"AZURE_POD_IDENTITY_AUTHORITY_HOST": stack.azure_url},
        "App Service's identity": {"IDENTITY_ENDPOINT": f"{stack.azure_url}/msi/token", "IDENTITY_HEADER": "sandbox-identity-header"},
    }


@pytest.mark.parametrize("way", [
    "shared key", "signature", "signature with its question mark", "signature of the account", "signature in the address",
    "service principal", "workload identity", "machine's identity", "App Service's identity"])
def test_every_way_of_logging_in(stack, tmp_path, place, way):
    load(tmp_path, place | ways(stack, tmp_path)[way]).done(committed=3)
    assert lines(stack) == [0, 1, 2]


def test_a_token_that_ends_is_renewed_while_it_runs(stack, tmp_path, place):
    """Every request after the third has a token that no longer counts."""
    environment = place | ways(stack, tmp_path)["service principal"]
    stack.azure("faults", {"faults": [{"operation": "append", "action": "status", "status": 401, "code": "InvalidAuthenticationInfo"}]})
    stack.azure("signins", method="DELETE")
    load(tmp_path, environment).done(committed=3)
    assert lines(stack) == [0, 1, 2]
    assert len([one for one in stack.azure("signins")["requests"] if one["method"] == "POST"]) == 2


# --- What is refused -------------------------------------------------------------------------------------------------

REFUSED = {
    "no key": ({"ADLS_SHARED_KEY": "d3Jvbmc="}, {}, "credentials.refused", 2, "access keys"),
    "wrong key": ({"ADLS_SHARED_KEY": base64.b64encode(b"x" * 64).decode()}, {}, "credentials.refused", 3, "shared key"),
    "keys not allowed": ({"ADLS_SHARED_KEY": KEY}, {"shared_key_allowed": False}, "objects.denied", 3, "allowSharedKeyAccess"),
    "expired signature": ({"ADLS_SAS": (-1, "racwdl")}, {}, "credentials.expired", 3, "make a new one"),
    "signature that may only read": ({"ADLS_SAS": (1, "rl")}, {}, "objects.denied", 3, "racwdl"),
    "missing file system": ({"ADLS_SHARED_KEY": KEY, "ADLS_FILESYSTEM": "missing"}, {}, "objects.no_container", 3, "Create it"),
    "role without the right": ({"ROLE": "reader"}, {}, "objects.denied", 3, "Storage Blob Data Contributor"),
    "wrong secret": ({"AZURE_CLIENT_SECRET": "no-such-secret"}, {}, "credentials.refused", 3, "secret"),
    "http to an account that wants https": ({"ADLS_SHARED_KEY": KEY}, {"https_only": True}, "http.insecure", 3, "https://"),
    "http over the network": ({"ADLS_SHARED_KEY": KEY, "ADLS_ACCOUNT_URL": "http://lake.example.com/acme"}, {}, "http.insecure", 2, "https://"),
    "clock that is off": ({"ADLS_SHARED_KEY": KEY}, {"clock_offset_seconds": 3600}, "credentials.clock_skew", 3, "clock"),
}


def test_a_flat_account_is_told_by_validate(stack, tmp_path, place):
    stack.azure("settings", {"hierarchy": False})
    (tmp_path / "in.jsonl").write_text("")
    outcome = call("validate", "--source", "file", "--dest", "adls", "--state", tmp_path / "state",
                   *settings(source__path=tmp_path / "in.jsonl"), env=place | {"ADLS_SHARED_KEY": KEY})
    error, = [one["error"] for one in outcome.said[-1]["findings"] if not one["passed"]]
    assert (error["code"], outcome.code) == ("adls.no_hierarchy", 3) and error["remedy"]


# A look changes nothing.
ONLY_WRITING_SHOWS = ["signature that may only read", "role without the right"]


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("verb", ["run", "validate"])
def test_refusals_are_clear(stack, tmp_path, place, name, verb):
    change, service, code, exit, words = REFUSED[name]
    login = {"AZURE_AUTHORITY_HOST": stack.azure_url, "AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT}
    environment = place | change
    if "ROLE" in environment:
        stack.azure("principals", {"client_id": "weak", "secrets": ["weak-secret"], "role": environment.pop("ROLE")})
        environment |= login | {"AZURE_CLIENT_ID": "weak", "AZURE_CLIENT_SECRET": "weak-secret"}
    if "AZURE_CLIENT_SECRET" in change:
        environment |= login | change
    if isinstance(environment.get("ADLS_SAS"), tuple):
        hours, permission = environment["ADLS_SAS"]
        environment["ADLS_SAS"] = signature(permission, hours)
    stack.azure("settings", service)
    if verb == "run":
        error = load(tmp_path, environment).failed(code, exit)
    else:
        (tmp_path / "in.jsonl").write_text("")
        outcome = call("validate", "--source", "file", "--dest", "adls", "--state", tmp_path / "state",
                       *settings(source__path=tmp_path / "in.jsonl", pipeline__retry_for="1s"), env=environment)
        if name in ONLY_WRITING_SHOWS:
            outcome.done()
            return
        # What can't even be tried is an error, what was tried and refused a finding.
        findings = [one["error"] for one in outcome.said[-1].get("findings", []) if not one["passed"]]
        error = findings[0] if findings else outcome.failed(code, exit)
        assert (error["code"], outcome.code) == (code, exit), str(outcome)
    assert words in error["message"] + error["remedy"], error
    stack.azure("settings", PLAIN)
    assert lines(stack) == []


# --- What is written -------------------------------------------------------------------------------------------------

class Shop:
    """A collection whose every kind of change goes into the lake."""

    def __init__(self, stack: Stack, folder, name: str):
        self.stack, self.folder = stack, folder
        self.name = "".join(c if c.isalnum() else "_" for c in name)[-40:]
        self.client = pymongo.MongoClient(stack.mongo_uri, directConnection=True)
        self.collection = self.client.shop[self.name]
        self.client.shop.create_collection(self.name, changeStreamPreAndPostImages={"enabled": True})

    def change(self) -> None:
        self.collection.insert_one({"_id": "a", "n": 1, "text": 'quoted " and\nnewline'})
        self.collection.update_one({"_id": "a"}, {"$set": {"n": 2}})
        with self.client.start_session() as session, session.start_transaction():
            self.collection.insert_one({"_id": "b/ü"}, session=session)
        self.collection.delete_one({"_id": "a"})

    def run(self, *extra: str, **set_: object):
        return call("run", "--source", "mongo", "--dest", "adls", "--state", self.folder / "state", "--until-caught-up", "--name", "shop",
                    *settings(source__start="timestamp", source__start_timestamp="1:1", source__fullDocumentBeforeChange="whenAvailable",
                              pipeline__retry_for="1s", **set_), *extra,
                    env=self.stack.adls_environment("shop", self.name))


@pytest.fixture
def shop(stack, tmp_path, request):
    return Shop(stack, tmp_path, request.node.name)


def files(stack) -> dict[str, bytes]:
    lake = DataLakeServiceClient(stack.account_url, KEY).get_file_system_client(FILESYSTEM)
    return {path.name: lake.get_file_client(path.name).download_file().readall() for path in lake.get_paths()
            if not path.is_directory and not path.name.startswith("_nebula/")}


def events(content: bytes) -> list[dict]:
    return [json.loads(line) for line in content.splitlines()]


def test_lines_of_events(stack, shop):
    shop.change()
    shop.run().done()
    (path, content), = files(stack).items()
    assert re.fullmatch(rf"shop/{shop.name}/year=\d{{4}}/month=\d\d/day=\d\d/hour=\d\d/events-\d{{8}}-\d\d\.jsonl", path)
    insert, update, inside, delete = events(content)
    assert list(insert) == ["_meta", "documentKey", "fullDocument", "updateDescription", "fullDocumentBeforeChange"]
    assert list(insert["_meta"]) == ["operationType", "clusterTime", "wallTime", "ns", "txnNumber", "lsid", "resumeToken"]
    assert insert["fullDocument"] == {"_id": "a", "n": 1, "text": 'quoted " and\nnewline'} and insert["documentKey"] == {"_id": "a"}
    assert insert["updateDescription"] is None and insert["_meta"]["txnNumber"] is None and insert["_meta"]["lsid"] is None
    assert insert["_meta"]["ns"] == {"db": "shop", "coll": shop.name} and set(insert["_meta"]["clusterTime"]) == {"t", "i"}
    time = datetime.datetime.fromisoformat(insert["_meta"]["wallTime"])
    assert abs(datetime.datetime.now(datetime.timezone.utc) - time) < datetime.timedelta(minutes=5)
    assert update["updateDescription"]["updatedFields"] == {"n": 2} and update["fullDocumentBeforeChange"]["n"] == 1
    assert inside["_meta"]["txnNumber"] > 0 and inside["_meta"]["lsid"]["id"] and inside["documentKey"] == {"_id": "b/ü"}
    assert delete["_meta"]["operationType"] == "delete" and delete["fullDocument"] is None
    assert delete["fullDocumentBeforeChange"]["n"] == 2
    assert len({event["_meta"]["resumeToken"] for event in (insert, update, inside, delete)}) == 4


def test_documents_alone(stack, shop):
    shop.change()
    shop.run(destination__envelope="false").done()
    content, = files(stack).values()
    # An update is looked up as it is now: gone. A deletion leaves its key.
    assert events(content) == [{"_id": "a", "n": 1, "text": 'quoted " and\nnewline'}, {"_id": "a"}, {"_id": "b/ü"}, {"_id": "a"}]


@pytest.mark.parametrize("compression, unpack", [
    ("none", bytes), ("gzip", gzip.decompress),
    ("zstd", lambda raw: zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw), read_across_frames=True).read())])
@pytest.mark.parametrize("layout", ["rolling", "files"])
def test_compressed_in_each_layout(stack, shop, layout, compression, unpack):
    shop.change()
    shop.run(destination__layout=layout, destination__compression=compression).done()
    (path, content), = files(stack).items()
    ending = {"none": ".jsonl", "gzip": ".jsonl.gz", "zstd": ".jsonl.zst"}[compression]
    assert path.endswith(ending) and len(events(unpack(content))) == 4
    lake = DataLakeServiceClient(stack.account_url, KEY).get_file_system_client(FILESYSTEM)
    kind = lake.get_file_client(path).get_file_properties().content_settings
    assert kind.content_encoding is None
    assert kind.content_type == {"none": "application/x-ndjson", "gzip": "application/gzip", "zstd": "application/zstd"}[compression]


def test_a_file_an_event(stack, shop):
    shop.change()
    shop.run(destination__layout="per_event").done()
    found = files(stack)
    names = sorted(path.rpartition("/")[2] for path in found)
    assert [name.partition("-")[0] for name in names] == ["delete", "insert", "insert", "update"]
    assert any(name.startswith("insert-b%2F%C3%BC-") for name in names), names
    assert all(re.fullmatch(rf"shop/{shop.name}/year=\d{{4}}/month=\d\d/day=\d\d/.*-[0-9a-f]{{24}}-[0-9a-f]{{16}}\.json", path) for path in found)
    assert sorted(one["_meta"]["operationType"] for content in found.values() for one in events(content)) == [
        "delete", "insert", "insert", "update"]
    # Read again from the beginning, by a state that knows nothing: every event has its name, and nothing is written twice.
    before = dict(found)
    stack.azure("operations", method="DELETE")
    lake = DataLakeServiceClient(stack.account_url, KEY).get_file_system_client(FILESYSTEM)
    lake.delete_file("_nebula/shop/fence")
    shop.folder = shop.folder / "again"
    shop.run(destination__layout="per_event").done(committed=4)
    assert files(stack) == before


def test_per_event_never_replaces_what_is_not_its_own(stack, shop):
    shop.change()
    shop.run(destination__layout="per_event").done()
    path = sorted(files(stack))[0]
    lake = DataLakeServiceClient(stack.account_url, KEY).get_file_system_client(FILESYSTEM)
    lake.get_file_client(path).upload_data(b"another's", overwrite=True)
    lake.delete_file("_nebula/shop/fence")
    shop.folder = shop.folder / "again"
    error = shop.run(destination__layout="per_event").failed("adls.name_taken", 1)
    assert path in error["message"]
    assert files(stack)[path] == b"another's"


def test_own_paths_and_names(stack, shop):
    shop.change()
    shop.run(destination__path="raw/{pipeline}/{namespace}/dt={yyyy}-{mm}-{dd}", destination__file_name="{coll}-{hh}").done()
    path, = files(stack)
    assert re.fullmatch(rf"raw/shop/shop\.{shop.name}/dt=\d{{4}}-\d\d-\d\d/{shop.name}-\d\d\.jsonl", path), path


@pytest.mark.parametrize("name, value", [
    ("path", "../{coll}"), ("path", "a//b"), ("path", "{nothing}"), ("file_name", "a/b"), ("file_name", ""), ("path", "_nebula/x"),
    ("file_name", "x" * 1200)])
def test_paths_that_are_refused(stack, shop, name, value):
    error = shop.run(**{f"destination__{name}": value}).failed("config.bad_property", 2)
    assert name in error["message"] and not files(stack)


def test_csv_in_complete_files(stack, tmp_path, place):
    (tmp_path / "in.csv").write_text('id,text\n1,"a ""b"", c"\n2,"line\nbreak"\n3,\n')
    call("run", "--source", "file", "--dest", "adls", "--state", tmp_path / "state", *settings(
        source__path=tmp_path / "in.csv", destination__layout="files", destination__format="csv", destination__compression="gzip"),
        env=place | {"ADLS_SHARED_KEY": KEY}).done(committed=3)
    (path, content), = files(stack).items()
    assert path.endswith(".csv.gz")
    assert list(csv.reader(io.StringIO(gzip.decompress(content).decode()))) == [
        ["id", "text"], ["1", 'a "b", c'], ["2", "line\nbreak"], ["3", ""]]


def test_parts_by_size(stack, tmp_path, place):
    """`MAX_FILE_BYTES` holds for every part, and a record is never cut."""
    (tmp_path / "in.jsonl").write_text("".join(f'{{"n":{n},"text":"{"x" * 90}"}}\n' for n in range(100)))
    call("run", "--source", "file", "--dest", "adls", "--state", tmp_path / "state", "--name", "lines", *settings(
        source__path=tmp_path / "in.jsonl", source__batch_bytes=500), env=place | {"ADLS_SHARED_KEY": KEY, "MAX_FILE_BYTES": "1000"}).done(committed=100)
    found = files(stack)
    assert len(found) >= 11 and all(len(content) <= 1000 and content.endswith(b"\n") for content in found.values())
    parts = sorted(found, key=lambda path: int((re.findall(r"-part-(\d+)", path) or [1])[0]))
    assert [one["n"] for path in parts for one in events(found[path])] == list(range(100))


# --- Signals ---------------------------------------------------------------------------------------------------------

HELD = {"token": {"operation": "token"}, "fence": {"operation": "blob_put"}, "list": {"operation": "list"},
        "create": {"operation": "create"}, "lease": {"operation": "lease"}, "append": {"operation": "append"},
        "flush": {"operation": "flush"}, "rename": {"operation": "rename"}}


@pytest.mark.parametrize("name", HELD)
def test_the_shutdown_deadline_holds_whatever_has_no_answer(stack, shop, name):
    """The one request is not answered for a minute."""
    shop.change()
    stack.azure("faults", {"faults": [HELD[name] | {"action": "stall", "delay_ms": 60_000, "times": 0}]})
    environment = stack.adls_environment("shop", shop.name)
    if name == "token":
        del environment["ADLS_SHARED_KEY"]
        environment |= ways(stack, shop.folder)["service principal"]
    run = Run(["run", "--source", "mongo", "--dest", "adls", "--state", str(shop.folder / "state"), "--name", "shop", *settings(
        source__start="timestamp", source__start_timestamp="1:1", destination__flush_interval="200ms", pipeline__shutdown_deadline="200ms",
        destination__layout="files" if name == "rename" else "rolling")], environment, shop.folder / "log")
    wait_until(lambda: stack.azure("faults")["faults"][0]["done"], 30, f"a held {name}", run)
    run.signal(signal.SIGTERM)
    started = time.monotonic()
    assert run.wait(55) == 0, run.output
    assert time.monotonic() - started < 25, "the deadline is 200 ms, each of two clean-ups has 3 s"
    stack.azure("faults", {"faults": []})
    shop.run(destination__layout="files" if name == "rename" else "rolling").done()
    assert sum(len(events(content)) for content in files(stack).values()) == 4


# --- What is never shown ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("way", ["shared key", "signature", "signature in the address", "service principal", "workload identity",
                                 "App Service's identity"])
@pytest.mark.parametrize("works", [True, False])
def test_secrets_are_nowhere(stack, tmp_path, place, way, works):
    given = ways(stack, tmp_path)[way]
    texts = [given.get("ADLS_SHARED_KEY"), given.get("AZURE_CLIENT_SECRET"), given.get("IDENTITY_HEADER")]
    for text in (given.get("ADLS_SAS", ""), given.get("ADLS_ACCOUNT_URL", "")):
        found = urllib.parse.parse_qs(urllib.parse.urlsplit("x:?" + text.partition("?")[2] if "?" in text else "x:?" + text).query).get("sig")
        texts += found or []
    if way == "workload identity":
        texts.append("sandbox.federated.token")
    secrets = [form for text in texts if text for form in (text, urllib.parse.quote(text, safe=""))]
    assert secrets
    if not works:
        stack.azure("faults", {"faults": [{"operation": "append", "times": 0, "action": "status", "status": 403,
                                           "code": "AuthorizationPermissionMismatch"}]})
    outcome = load(tmp_path, place | given)
    assert (outcome.code == 0) == works, str(outcome)
    shown = json.dumps(outcome.said) + outcome.log + "".join(
        json.dumps(call("state", "show", "--state", tmp_path / "state", "--name", "lines", env=place | given).said))
    written = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
    lake = json.dumps(stack.azure("files", filesystem=FILESYSTEM))
    for secret in secrets:
        assert secret not in shown and secret.encode() not in written and secret not in lake, secret[:4]


def test_a_signature_may_be_renewed(stack, tmp_path, place):
    """It stands in the address, which says where the data goes; the place is the same."""
    for hours in (1, 2):
        environment = place | {"ADLS_ACCOUNT_URL": f"{stack.account_url}?{signature(hours=hours)}"}
        load(tmp_path, environment).done()
    assert lines(stack) == [0, 1, 2]
