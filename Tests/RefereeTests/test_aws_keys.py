"""The forms of key requests that our client is tested with are those that botocore asks in; and its choice is botocore's."""
import http.server
import json
import pathlib
import threading
import urllib.parse

import botocore.configloader
import botocore.session
import pytest

FIXTURES = pathlib.Path(__file__).parent.parent / "ObjectStoresTests" / "Fixtures"
FIXTURE = FIXTURES / "aws_key_requests.json"
PROFILES = json.loads((FIXTURES / "aws_profiles.json").read_text())
ROLE = "arn:aws:iam::123456789012:role/loader"
KEYS = {"Code": "Success", "AccessKeyId": "ASIAONE", "SecretAccessKey": "sk", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}
XML = (b"<AssumeRoleWithWebIdentityResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><AssumeRoleWithWebIdentityResult><Credentials>"
       b"<AccessKeyId>ASIAONE</AccessKeyId><SecretAccessKey>sk</SecretAccessKey><SessionToken>t</SessionToken>"
       b"<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>")


class Capture(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.server.seen.append({"method": self.command, "path": self.path, "body": body,
                                 "headers": {n.lower(): v for n, v in self.headers.items()}})
        answer = {"/latest/api/token": b"imds-token", "/latest/meta-data/iam/security-credentials/": b"loader", "/": XML}.get(
            self.path, json.dumps(KEYS).encode())
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = any


@pytest.fixture
def server(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
                 "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_EC2_METADATA_DISABLED",
                 "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Capture)
    server.seen, server.url, server.set = [], f"http://127.0.0.1:{server.server_address[1]}", monkeypatch.setenv
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def check(server, name):
    expected = json.loads(FIXTURE.read_text())[name]
    assert len(server.seen) == len(expected)
    for seen, wanted in zip(server.seen, expected):
        assert (seen["method"], seen["path"]) == (wanted["method"], wanted["path"])
        assert {n: seen["headers"].get(n) for n in wanted["headers"]} == wanted["headers"]
        assert "&".join(sorted(f"{n}={v}" for n, v in urllib.parse.parse_qsl(seen["body"]))) == wanted["form"]


def keys():
    return botocore.session.Session().get_credentials().get_frozen_credentials()


def test_machine(server):
    server.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
    assert keys().access_key == "ASIAONE"
    check(server, "machine")


def test_container(server):
    server.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url + "/v2/credentials/guid")
    server.set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic proof")
    assert keys().token == "t"
    check(server, "container")


def test_web_identity(server, tmp_path):
    (tmp_path / "token").write_text("eyJ.web.jwt")
    server.set("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    server.set("AWS_ROLE_ARN", ROLE)
    server.set("AWS_ROLE_SESSION_NAME", "session")
    server.set("AWS_ENDPOINT_URL_STS", server.url)
    assert keys().secret_key == "sk"
    check(server, "web identity")


def test_the_order(server, tmp_path):
    """Keys, web identity, profile, container, machine: what our choice does as well."""
    server.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
    server.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url + "/container")
    keys()
    assert [s["path"] for s in server.seen] == ["/container"]
    (tmp_path / "profiles").write_text("[default]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = s\n")
    server.set("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "profiles"))
    assert keys().access_key == "AKIDPROFILE"
    (tmp_path / "token").write_text("eyJ.jwt")
    server.set("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    server.set("AWS_ROLE_ARN", ROLE)
    server.set("AWS_ENDPOINT_URL_STS", server.url)
    assert keys().access_key == "ASIAONE"
    server.set("AWS_ACCESS_KEY_ID", "AKIDENV")
    server.set("AWS_SECRET_ACCESS_KEY", "s")
    assert keys().access_key == "AKIDENV"


@pytest.mark.parametrize("name", PROFILES)
def test_indented_profiles(tmp_path, name):
    """What our reader is tested with is what botocore reads."""
    (tmp_path / "credentials").write_text("\n".join(PROFILES[name]["lines"]) + "\n")
    found = botocore.configloader.raw_config_parse(str(tmp_path / "credentials"))
    for profile, expected in PROFILES[name]["profiles"].items():
        values = found.get(profile)
        ours = ("aws_access_key_id", "aws_secret_access_key", "region")
        assert (None if values is None else {n: values[n] for n in ours if n in values}) == expected


@pytest.mark.parametrize("url,allowed", [
    ("http://169.254.170.2/x", True), ("http://169.254.170.23/x", True), ("http://[fd00:ec2::23]/x", True), ("http://127.0.0.1:8/x", True),
    ("http://localhost/x", True), ("http://169.254.169.254/x", False), ("http://10.0.0.1/x", False), ("http://evil.example/x", False)])
def test_hosts_of_containers(url, allowed):
    from botocore.utils import ContainerMetadataFetcher
    fetcher = ContainerMetadataFetcher()
    if allowed:
        fetcher._validate_allowed_url(url)
    else:
        with pytest.raises(ValueError):
            fetcher._validate_allowed_url(url)
