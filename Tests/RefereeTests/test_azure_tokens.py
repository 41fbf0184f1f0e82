"""The forms of token requests that our client is tested with are those that azure-identity asks in."""
import json
import pathlib
import urllib.parse

import pytest
from azure.core.pipeline.transport import HttpTransport
from azure.identity import ClientSecretCredential, ManagedIdentityCredential, WorkloadIdentityCredential

FIXTURE = pathlib.Path(__file__).parent.parent / "ObjectStoresTests" / "Fixtures" / "azure_token_requests.json"
TENANT = "11111111-1111-1111-1111-111111111111"
SCOPE = "https://storage.azure.com/.default"


class Answer:
    """What azure-core and msal want of an answer."""

    def __init__(self, request, body):
        self.request, self.status_code, self.reason = request, 200, "OK"
        self.headers, self.content_type = {"Content-Type": "application/json"}, "application/json"
        self._body = json.dumps(body)

    def text(self, encoding=None):
        return self._body

    def body(self):
        return self._body.encode()


class Capture(HttpTransport):
    def __init__(self):
        self.requests = []

    def send(self, request, **_):
        if "openid-configuration" in request.url:
            base = f"https://login.microsoftonline.com/{TENANT}"
            return Answer(request, {"issuer": f"{base}/v2.0", "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                                    "token_endpoint": f"{base}/oauth2/v2.0/token"})
        self.requests.append(request)
        return Answer(request, {"access_token": "tok", "expires_in": 3600, "expires_on": "4102444800", "token_type": "Bearer",
                                "resource": "https://storage.azure.com"})

    def open(self):
        pass

    def close(self):
        pass

    def __exit__(self, *_):
        pass


def form(body):
    pairs = body.items() if isinstance(body, dict) else urllib.parse.parse_qsl(body or "")
    return {n: str(v[0] if isinstance(v, list) else v) for n, v in pairs}


@pytest.fixture
def plain(monkeypatch):
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "IMDS_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def ways(plain, tmp_path, transport):
    common = {"transport": transport, "disable_instance_discovery": True}
    (tmp_path / "token").write_text("eyJ.k8s.jwt")
    yield "service principal", ClientSecretCredential(TENANT, "cid", "s3cr+t", **common)
    yield "workload identity", WorkloadIdentityCredential(tenant_id=TENANT, client_id="cid", token_file_path=str(tmp_path / "token"), **common)
    yield "IMDS system", ManagedIdentityCredential(transport=transport)
    yield "IMDS user-assigned", ManagedIdentityCredential(client_id="11111111-aaaa-bbbb-cccc-222222222222", transport=transport)
    plain.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1/msi/token")
    plain.setenv("IDENTITY_HEADER", "hdr")
    yield "App Service", ManagedIdentityCredential(transport=transport)


def test_the_forms_are_those_of_azure_identity(plain, tmp_path):
    expected, transport = json.loads(FIXTURE.read_text()), Capture()
    for name, credential in ways(plain, tmp_path, transport):
        transport.requests.clear()
        assert credential.get_token(SCOPE).token == "tok"
        asked, wanted = transport.requests[-1], expected[name]
        url = urllib.parse.urlsplit(asked.url)
        theirs = url.path + ("?" + urllib.parse.unquote(url.query) if url.query else "")
        headers = {n.lower(): v for n, v in asked.headers.items()}
        assert asked.method == wanted["method"], name
        assert sorted(theirs.split("&")) == sorted(wanted["path"].split("&")), name
        assert {n: headers.get(n) for n in wanted["headers"]} == wanted["headers"], name
        given = form(asked.body if hasattr(asked, "body") else None)
        ours = dict(p.split("=", 1) for p in wanted["form"].split("&") if p)
        assert {n: v for n, v in given.items() if n in ours} == ours, name
        # what else their client sends names itself
        assert all(n.startswith("client_info") or n.startswith("x-") for n in given if n not in ours), (name, given)
