"""Measures the stand-in with a bare reader that does not decode: events/s of a change stream, documents/s of a scan.

    .venv/bin/python -m Sandbox.mongo.measure [--events 1000000] [--documents 1000000] [--batch 1000]

Every event must come exactly once: the tokens of a run are collected (cut from the bytes) and must all differ.
"""
import argparse
import os
import platform
import re
import subprocess
import sys
import time

from bson import Binary, Int64, Timestamp

from .client import Client

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ZERO = Binary(b"\0" * 16, 4)
_token = re.compile(rb"\x02_data\x00\x25\x00\x00\x00([0-9A-F]{36})\x00\x00\x02operationType")


class Sandbox:
    def __init__(self, *arguments: str):
        self.process = subprocess.Popen([sys.executable, "-m", "Sandbox.mongo", *arguments], cwd=ROOT, text=True,
                                        stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline().split("/")[2].rpartition(":")[2])

    def cpu_seconds(self) -> float:
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def read_stream(port: int, batch: int) -> tuple[int, int, float, set]:
    """(events, bytes, seconds, tokens), reading from the log's beginning to its end."""
    client = Client(port)
    session = {"lsid": {"id": ZERO}}
    wanted = client.command("admin", {"sandboxStatus": 1})["events"]
    opened = client.command("shop", {"aggregate": "orders", "cursor": {"batchSize": 0}, **session, "pipeline": [
        {"$changeStream": {"startAtOperationTime": Timestamp(1, 1)}}]})
    cursor, replies, events, size = opened["cursor"]["id"], [], 0, 0
    began = time.monotonic()
    while events < wanted:
        raw = client.raw("shop", {"getMore": Int64(cursor), "collection": "orders", "batchSize": batch,
                                  "maxTimeMS": 1000, **session})
        events += raw.count(b"\x02operationType\0")
        size += len(raw)
        replies.append(raw)
    seconds = time.monotonic() - began
    tokens = set()
    for raw in replies:
        tokens.update(_token.findall(raw))
    client.close()
    return events, size, seconds, tokens


def read_scan(port: int, batch: int) -> tuple[int, int, float]:
    client, count, size = Client(port), 0, 0
    began = time.monotonic()
    command = {"find": "orders", "batchSize": batch}
    while True:
        raw = client.raw("shop", command)
        count += raw.count(b"\x12number\0")
        size += len(raw)
        tail = raw.rindex(b"\x12id\0")
        cursor = int.from_bytes(raw[tail + 4:tail + 12], "little")
        if not cursor:
            break
        command = {"getMore": Int64(cursor), "collection": "orders", "batchSize": batch}
    seconds = time.monotonic() - began
    client.close()
    return count, size, seconds


def report(what: str, count: int, size: int, seconds: float, cpu: float) -> None:
    print(f"{what}: {count} in {seconds:.2f} s = {count / seconds:,.0f}/s, {size / seconds / 1e6:.0f} MB/s, mean "
          f"{size / max(1, count):.0f} bytes; the server used {cpu:.2f} CPU s = {count / max(cpu, 0.01):,.0f} per CPU s",
          flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=1000)
    given = parser.parse_args()
    print(f"machine: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.platform()}, "
          f"Python {platform.python_version()}")
    began = time.monotonic()
    sandbox = Sandbox("--generate", str(given.events))
    print(f"preload: {given.events} events in {time.monotonic() - began:.1f} s")
    try:
        before = sandbox.cpu_seconds()
        print(f"preload: {before:.1f} CPU s")
        events, size, seconds, tokens = read_stream(sandbox.port, given.batch)
        report("change stream", events, size, seconds, sandbox.cpu_seconds() - before)
        print(f"distinct tokens: {len(tokens)}")
    finally:
        sandbox.stop()
    for name, options in (("scan, kept documents", ["--documents", str(given.documents)]),
                          ("scan, computed documents", ["--documents", str(given.documents), "--lazy"])):
        sandbox = Sandbox(*options)
        try:
            before = sandbox.cpu_seconds()
            report(name, *read_scan(sandbox.port, given.batch), sandbox.cpu_seconds() - before)
        finally:
            sandbox.stop()
    return 0 if len(tokens) == given.events == events else 1


if __name__ == "__main__":
    sys.exit(main())
