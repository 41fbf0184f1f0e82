"""Pipelines that referee tests run to their end and read back: file to file, and into one table of the stand-in."""
import base64
import csv
import io
import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import bson

from Sandbox.program import call, settings
from Sandbox.stack import DATABASE, ROOT, SCHEMA, Stack

ONCE = settings(pipeline__retry_for="1s")


@contextmanager
def mongo(folder: Path, *arguments: object):
    """A MongoDB stand-in of a test's own; gives its port."""
    port = folder / "mongo.port"
    child = subprocess.Popen([sys.executable, "-m", "Sandbox.mongo", "--port-file", str(port), *map(str, arguments)],
                             cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        assert child.stdout.readline().startswith("mongodb://")
        yield int(port.read_text())
    finally:
        child.terminate()
        assert child.wait(20) == 0


class Files:
    def __init__(self, folder: Path):
        self.folder, self.out, self.state = folder, folder / "out", folder / "state"

    def write(self, name: str, content: bytes | str) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run(self, source: Path, *extra: str):
        return call("run", "--source", "file", "--dest", "file", "--state", self.state,
                    *settings(source__path=source, destination__path=self.out), *ONCE, *extra)

    def lines(self) -> list:
        return [json.loads(line) for path in sorted(self.out.rglob("*.jsonl")) for line in path.read_bytes().splitlines()]

    def rows(self) -> list[dict]:
        return [row for path in sorted(self.out.rglob("*.csv")) for row in
                csv.DictReader(io.StringIO(path.read_text(), newline=""))]

    def letters(self) -> list[dict]:
        return dead_letters(self.state)


def dead_letters(state: Path) -> list[dict]:
    folder = state / "dead-letters"
    assert not list(folder.glob(".*")), "dead letters of a finished run are visible"
    for path in folder.glob("*.jsonl"):
        assert path.stat().st_mode & 0o777 == 0o600
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def payload(letter: dict) -> bytes:
    return letter["payload"].encode() if "payload" in letter else base64.b64decode(letter["payloadBase64"])


class ToSnowflake:
    """One table; runs a file or a collection into it until it is caught up."""

    def __init__(self, stack: Stack, folder: Path, name: str, **environment: str):
        self.stack, self.name, self.table, self.state = stack, name, name.upper(), folder / "table-state"
        self.environment = stack.environment("bad", name, self.table) | environment

    def run(self, source: str, *extra: str):
        return call("run", "--source", source, "--dest", "snowflake_optimized", "--until-caught-up", "--state", self.state,
                    *settings(destination__micro_batch_timeout_ms=200, destination__stage_prefix=self.name), *ONCE, *extra,
                    env=self.environment)

    def file(self, path: Path, *extra: str):
        return self.run("file", *settings(source__path=path), *extra)

    def put(self, *documents: bytes | dict) -> None:
        for document in documents:
            raw = document if isinstance(document, bytes) else bson.encode(document)
            self.stack.mongo({"sandboxPut": f"bad.{self.name}", "bson": bson.Binary(raw)})

    def select(self, columns: str, order: str = "1") -> list[tuple]:
        return self.stack.sql(f'SELECT {columns} FROM "{DATABASE}"."{SCHEMA}"."{self.table}" ORDER BY {order}')[0]

    @property
    def exists(self) -> bool:
        return bool(self.stack.sql(f"SHOW TABLES LIKE '{self.table}' IN SCHEMA {DATABASE}.{SCHEMA}")[0])

    def documents(self) -> list:
        return [json.loads(text) for text, in self.select("DOCUMENT", "SEQUENCE")]
