"""Google's own clients: the forms of token requests that ours are tested with are those that google-auth asks in, and
google-cloud-storage is served by the stand-in that our store is tested with."""
import json
import os
import pathlib
import subprocess
import sys
import urllib.parse

import google.auth
import google.auth.transport
import google.cloud.storage
import jwt
import pytest
from google.api_core.exceptions import NotFound, PreconditionFailed
from google.auth.compute_engine import _metadata
from google.oauth2 import credentials as bearer
from requests.structures import CaseInsensitiveDict

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE.parent / "ObjectStoresTests" / "Fixtures"
SCOPE = ["https://www.googleapis.com/auth/devstorage.read_write"]


class Answer(google.auth.transport.Response):
    def __init__(self, body, headers=()):
        self._data, self._headers = json.dumps(body).encode(), CaseInsensitiveDict(headers)

    status = property(lambda self: 200)
    headers = property(lambda self: self._headers)
    data = property(lambda self: self._data)


class Capture(google.auth.transport.Request):
    """Answers as Google does, and keeps what was asked."""

    def __init__(self):
        self.seen = []

    def __call__(self, url, method="GET", body=None, headers=None, timeout=None, **_):
        parts = urllib.parse.urlsplit(url)
        body = body.decode() if isinstance(body, bytes) else body or ""
        path = parts.path + ("?" + parts.query if parts.query else "")
        self.seen.append({"method": method, "path": path, "body": body, "headers": {n.lower(): v for n, v in (headers or {}).items()}})
        if "impersonate" in url:
            return Answer({"accessToken": "imp", "expireTime": "2099-01-01T00:00:00Z"})
        if parts.path == "/subject":
            return Answer({"value": "SUBJECT"})
        return Answer({"access_token": "tok", "expires_in": 3599, "token_type": "Bearer", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"},
                      {"Metadata-Flavor": "Google", "Content-Type": "application/json"})


@pytest.mark.parametrize("name", ["service_account", "authorized_user", "external_file", "external_url", "external_impersonated", "metadata"])
def test_the_forms_are_those_of_google_auth(name, tmp_path, monkeypatch):
    (tmp_path / "subject").write_text('{"id_token":"SUBJECT"}' if name == "external_impersonated" else "SUBJECT")
    capture, key = Capture(), rsa_key()
    if name == "metadata":
        monkeypatch.setenv("GCE_METADATA_HOST", "169.254.169.254")
        _metadata.get_service_account_token(capture)
    else:
        told = json.loads(json.dumps(json.loads((FIXTURES / "google_credentials.json").read_text())[name]).replace("/FOLDER", str(tmp_path)))
        if name == "service_account":
            told["private_key"] = key
        if "service_account_impersonation_url" in told:  # google-auth checks its form
            told["service_account_impersonation_url"] = told["service_account_impersonation_url"].replace(
                "https://google.test/impersonate", "https://iamcredentials.googleapis.com/impersonate")
        credentials, _ = google.auth.load_credentials_from_dict(told, scopes=SCOPE if name != "authorized_user" else None, request=capture)
        credentials.refresh(capture)
    wanted = json.loads((FIXTURES / "google_token_requests.json").read_text())[name]
    # loading asks for the project as well
    seen = list({s["path"]: s for s in reversed(capture.seen) if s["path"] in {w["path"] for w in wanted}}.values())[::-1]
    assert len(seen) == len(wanted)
    for seen, wanted in zip(seen, wanted):
        assert (seen["method"], seen["path"]) == (wanted["method"], wanted["path"])
        assert {n: seen["headers"].get(n, "").split(";")[0] for n in wanted["headers"]} == wanted["headers"]
        if "json" in wanted:
            given = json.loads(seen["body"])
            assert {n: given[n] for n in wanted["json"]} == wanted["json"] and not given.get("delegates")
            continue
        given = dict(urllib.parse.parse_qsl(seen["body"]))
        if "assertion" in given:
            header, claims = jwt.get_unverified_header(given["assertion"]), jwt.decode(given.pop("assertion"), options={"verify_signature": False})
            assert header == {"typ": "JWT", "alg": "RS256", "kid": "key-1"}
            assert (claims["iss"], claims["scope"]) == ("loader@project.iam.gserviceaccount.com", SCOPE[0])
            assert claims["exp"] - claims["iat"] == 3600 and claims["aud"].endswith("/token")
        assert "&".join(sorted(f"{n}={v}" for n, v in given.items())) == wanted["form"]


def rsa_key():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    return rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


@pytest.fixture(scope="module")
def bucket():
    process = subprocess.Popen([sys.executable, str(HERE / "object_store_server.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    port = json.loads(process.stdout.readline())["port"]
    os.environ.pop("STORAGE_EMULATOR_HOST", None)
    client = google.cloud.storage.Client(
        project="p", credentials=bearer.Credentials("SECRET-token"), client_options={"api_endpoint": f"http://127.0.0.1:{port}"})
    yield client.bucket("bucket")
    process.stdin.close()
    process.wait()


@pytest.mark.parametrize("size", [0, 7, 3_000_000])
def test_googles_client_is_served(bucket, size):
    content = os.urandom(size)
    blob = bucket.blob(f"year=2025/a b+c&d(é)-{size}", chunk_size=1 << 20 if size > 1 << 20 else None)
    blob.metadata = {"sum": "1"}
    blob.upload_from_string(content, if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        bucket.blob(blob.name).upload_from_string(b"other", if_generation_match=0)
    found = bucket.get_blob(blob.name)
    assert (found.size, found.metadata) == (size, {"sum": "1"}) and found.generation
    assert found.download_as_bytes() == content
    if size:
        assert found.download_as_bytes(start=1, end=2) == content[1:3]
    found.delete()
    with pytest.raises(NotFound):
        found.delete()


def test_lists(bucket):
    for name in ("a/1", "a/2", "b/c/3", "d"):
        bucket.blob(name).upload_from_string(name)
    assert [b.name for b in bucket.list_blobs(prefix="a/")] == ["a/1", "a/2"]
    pages = bucket.list_blobs(delimiter="/", page_size=1)
    assert [b.name for b in pages] == ["d"] and pages.prefixes == {"a/", "b/"}

