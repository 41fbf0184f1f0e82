"""Destination adls as a user meets it: every way of logging in, what is refused and how that reads, and what is never shown."""
import base64
import datetime
import json
import urllib.parse

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
from azure.storage.filedatalake import DataLakeServiceClient, FileSystemSasPermissions, generate_file_system_sas

from Sandbox.azure.world import ACCOUNT, KEY
from Sandbox.program import call, settings
from Sandbox.stack import FILESYSTEM, Stack

TENANT, CLIENT = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
PLAIN = {"https_only": False, "clock_offset_seconds": 0, "shared_key_allowed": True}


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(str(tmp_path_factory.mktemp("stack")), mongo=None, snowflake=None, azure=[]) as running:
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
            return outcome.done()
        # What can't even be tried is an error, what was tried and refused a finding.
        findings = [one["error"] for one in outcome.said[-1].get("findings", []) if not one["passed"]]
        error = findings[0] if findings else outcome.failed(code, exit)
        assert (error["code"], outcome.code) == (code, exit), str(outcome)
    assert words in error["message"] + error["remedy"], error
    stack.azure("settings", PLAIN)
    assert lines(stack) == []


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
