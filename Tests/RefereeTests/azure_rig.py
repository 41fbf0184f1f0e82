"""What the Azure referee tests share: the stand-in as a process, its control calls, the official clients, and fixtures."""
import base64
import datetime
import hmac
import json
import pathlib
import subprocess
import sys
import time
import urllib.parse
import uuid

import pytest
import requests
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.storage.blob import BlobServiceClient
from azure.storage.filedatalake import DataLakeServiceClient
from snowflake_rig import resolve_localhost_names

from Sandbox.azure.world import ACCOUNT, CLIENT, KEY

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOST = (ServiceRequestError, ServiceResponseError)      # no answer came


class StandIn:
    def __init__(self, folder, *arguments):
        self.folder = pathlib.Path(folder)
        ports = self.folder / "ports.json"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "Sandbox.azure", "--port-file", str(ports), "--data", str(self.folder / "data"), "--tls", *arguments],
            cwd=ROOT, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("ready azure"), line
        self.ports = json.loads(ports.read_text())
        self.origin = f"http://127.0.0.1:{self.ports['azure']}"
        self.url = f"{self.origin}/{ACCOUNT}"
        self.tls_url = f"https://localhost:{self.ports['tls_azure']}/{ACCOUNT}"
        self.authority = f"https://localhost:{self.ports['tls_azure']}"
        self.ca = str(self.folder / "data" / "ca.pem")

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20) == 0

    def control(self, control, body=None, /, *, method=None, **query):
        answer = requests.request(method or ("POST" if body is not None else "GET"), f"{self.origin}/sandbox/{control}", json=body, params=query, timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    def faults(self, *rules):
        self.control("faults", {"faults": list(rules)})

    def content(self, filesystem, path):
        answer = requests.get(f"{self.origin}/sandbox/content", params={"filesystem": filesystem, "path": path}, timeout=60)
        assert answer.ok, answer.text
        return answer.content

    def file(self, filesystem, path):
        """What the stand-in itself says of one path."""
        return next(f for f in self.control("files", filesystem=filesystem, prefix=path)["files"] if f["path"] == path)

    def lake(self, url=None, credential=KEY, **options):
        return DataLakeServiceClient(url or self.url, credential, **self._options(url, options))

    def blobs(self, url=None, credential=KEY, **options):
        return BlobServiceClient(url or self.url, credential, **self._options(url, options))

    def _options(self, url, options):
        return {"retry_total": 0, **({"connection_verify": self.ca} if (url or "").startswith("https") else {}), **options}

    def token(self, client=CLIENT, **more):
        return Fixed(self.control("token", {"client_id": client, **more})["access_token"])


class Fixed:
    """A credential that always gives the same token."""

    def __init__(self, token):
        self.token = token

    def get_token(self, *_, **__):
        return AccessToken(self.token, int(time.time()) + 3600)


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


def same(*contents):
    """Whether large contents are equal; a comparison in an assertion would print them."""
    return len(set(contents)) == 1


def hour(hours=1):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)


def signed(fs, method, path, query="", headers=None):
    """(url, headers) of a request that the client library can't make, signed here from the documentation."""
    now = datetime.datetime.now(datetime.timezone.utc)
    headers = {"x-ms-date": now.strftime("%a, %d %b %Y %H:%M:%S GMT"), "x-ms-version": "2023-11-03", **(headers or {})}
    target = f"/{ACCOUNT}{path}" if path.startswith("/") else f"/{ACCOUNT}/{fs.file_system_name}/{path}"
    get = lambda name: next((v for n, v in headers.items() if n.lower() == name), "")
    parts = [method, *(get(n) for n in ("content-encoding", "content-language", "content-length", "content-md5", "content-type")), "", "", "", "", "", ""]
    own = sorted((n.lower(), v) for n, v in headers.items() if n.lower().startswith("x-ms-"))
    text = "\n".join(parts) + "\n" + "".join(f"{n}:{v}\n" for n, v in own) + f"/{ACCOUNT}{target}"
    text += "".join(f"\n{n}:{v}" for n, v in sorted(urllib.parse.parse_qsl(query)))
    signature = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), "sha256").digest()).decode()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{signature}"
    return fs.url.partition(f"/{ACCOUNT}")[0] + target + ("?" + query if query else ""), headers


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
