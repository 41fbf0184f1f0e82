"""Drives nebula-formats-check (Tests/FormatsCheck): frames in, frames out."""

import os
import pathlib
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def binary():
    """The built program; NEBULA_BUILD names another build folder (such as .build/release). Built when it is missing;
    `make test` has just built it."""
    folder = pathlib.Path(os.environ.get("NEBULA_BUILD", ROOT / ".build" / "debug"))
    program = folder / "nebula-formats-check"
    if not program.exists():
        subprocess.run(["swift", "build", "--product", "nebula-formats-check"], cwd=ROOT, check=True)
    return program


def frame(payload):
    return struct.pack("<I", len(payload)) + payload


def run(payloads, *arguments):
    """The answers, one per payload: (True, bytes) or (False, error text)."""
    fed = b"".join(frame(payload) for payload in payloads)
    done = subprocess.run([binary(), *map(str, arguments)], input=fed, capture_output=True, timeout=300)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    answers, at = [], 0
    while at < len(done.stdout):
        (length,) = struct.unpack_from("<I", done.stdout, at)
        status, body = done.stdout[at + 4], done.stdout[at + 5 : at + 4 + length]
        answers.append((status == 0, body if status == 0 else body.decode()))
        at += 4 + length
    assert len(answers) == len(payloads)
    return answers
