"""What the Snowflake referee tests share: the stand-in as a process, its control calls, and a bare client."""
import json
import os
import pathlib
import socket
import subprocess
import sys
import uuid

import requests
import snowflake.connector
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ROOT = pathlib.Path(__file__).resolve().parents[2]
USER, PASSWORD = "LOADER", "of-the-test"


class StandIn:
    def __init__(self, folder, *arguments):
        self.folder, self.arguments = pathlib.Path(folder), arguments
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self.key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        (self.folder / "key.pub").write_bytes(public)
        self.start()

    def start(self):
        ports = self.folder / "ports.json"
        ports.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "Sandbox.snowflake", "--port-file", str(ports), "--data", str(self.folder / "data"), "--user", USER,
             "--password", PASSWORD, "--public-key", str(self.folder / "key.pub"), "--pat", "pat-of-the-test", "--oauth-token", "oauth-of-the-test",
             "--database", "DB.SCH", "--tls", "--memory", "1GB", *self.arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("ready "), line
        self.ports = json.loads(ports.read_text())
        self.port, self.url = self.ports["api"], f"http://127.0.0.1:{self.ports['api']}"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20) == 0

    def control(self, name, body=None, method=None):
        answer = requests.request(method or ("POST" if body is not None else "GET"), f"{self.url}/sandbox/{name}", json=body, timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    def faults(self, *rules):
        self.control("faults", {"faults": list(rules)})

    def connect(self, **given):
        options = {"user": USER, "password": PASSWORD, "account": "acme", "host": "127.0.0.1", "port": self.port, "protocol": "http",
                   "database": "DB", "schema": "SCH", "warehouse": "WH", "login_timeout": 20, **given}
        return snowflake.connector.connect(**{k: v for k, v in options.items() if v is not None})

    def bare(self, **login):
        return Bare(self, **login)


class Bare:
    """The wire protocol without a driver's help."""

    def __init__(self, standin, **login):
        self.standin = standin
        data = {"ACCOUNT_NAME": "ACME", "LOGIN_NAME": USER, "PASSWORD": PASSWORD, "CLIENT_APP_ID": "Bare", **login}
        self.answer = self.post("/session/v1/login-request?databaseName=DB&schemaName=SCH", {"data": data})
        self.data = self.answer["data"]
        self.token = self.data.get("token")

    def post(self, path, body=None, token=None, timeout=60):
        headers = {"Authorization": f'Snowflake Token="{token}"'} if token else {}
        answer = requests.post(self.standin.url + path, json=body or {}, headers=headers, timeout=timeout)
        assert answer.status_code == 200, answer.status_code
        return answer.json()

    def get(self, path):
        return requests.get(self.standin.url + path, headers={"Authorization": f'Snowflake Token="{self.token}"'}, timeout=60).json()

    def query(self, sql, request=None, timeout=60, **body):
        return self.post(f"/queries/v1/query-request?requestId={request or uuid.uuid4()}", {"sqlText": sql, **body}, self.token, timeout)

    def rows(self, sql, **body):
        answer = self.query(sql, **body)
        assert answer["success"], answer["message"]
        return answer["data"]["rowset"]

    def fails(self, sql, **body):
        """(code, sqlState, message)"""
        answer = self.query(sql, **body)
        assert not answer["success"], answer["data"]
        return answer["code"], answer["data"]["sqlState"], answer["message"]


def resolve_localhost_names():
    """bucket.localhost is this machine, as RFC 6761 has it and this resolver has not."""
    real = socket.getaddrinfo
    if getattr(real, "of_the_rig", False):
        return

    def resolve(host, *rest, **named):
        name = host.decode() if isinstance(host, bytes) else host
        return real("127.0.0.1" if isinstance(name, str) and name.endswith(".localhost") else host, *rest, **named)

    resolve.of_the_rig = True
    socket.getaddrinfo = resolve


def trust(path):
    os.environ["REQUESTS_CA_BUNDLE"] = str(path)
