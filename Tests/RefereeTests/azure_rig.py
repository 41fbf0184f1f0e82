"""What the Azure referee tests share: the stand-in as a process, its control calls, and the official clients that drive it."""
import json
import pathlib
import subprocess
import sys
import time

import requests
from azure.core.credentials import AccessToken
from azure.storage.blob import BlobServiceClient
from azure.storage.filedatalake import DataLakeServiceClient

from Sandbox.azure import world

ROOT = pathlib.Path(__file__).resolve().parents[2]


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
        self.url = f"{self.origin}/{world.ACCOUNT}"
        self.tls_url = f"https://localhost:{self.ports['tls_azure']}/{world.ACCOUNT}"
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

    def lake(self, url=None, credential=world.KEY, **options):
        return DataLakeServiceClient(url or self.url, credential, **self._options(url, options))

    def blobs(self, url=None, credential=world.KEY, **options):
        return BlobServiceClient(url or self.url, credential, **self._options(url, options))

    def _options(self, url, options):
        return {"retry_total": 0, **({"connection_verify": self.ca} if (url or "").startswith("https") else {}), **options}

    def token(self, client=world.CLIENT, **more):
        return Fixed(self.control("token", {"client_id": client, **more})["access_token"])


class Fixed:
    """A credential that always gives the same token."""

    def __init__(self, token):
        self.token = token

    def get_token(self, *_, **__):
        return AccessToken(self.token, int(time.time()) + 3600)
