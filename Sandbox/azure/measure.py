"""Measures the stand-in with a bare client: small requests a second, and bytes a second of large and of small appends.

    .venv/bin/python -m Sandbox.azure.measure [--requests 10000] [--megabytes 500] [--partitions 1000]

What counts is the stand-in's own CPU time: client and stand-in share the machine here. Every answer's status is checked.
"""
import argparse
import http.client
import json
import os
import platform
import socket
import subprocess
import sys
import threading
import time
import types

from .calls import http_date
from .shared_key import sign, string_to_sign
from .world import ACCOUNT, KEY

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Client:
    """One keep-alive connection that signs what it sends."""

    def __init__(self, port):
        import base64
        self.socket, self.key = socket.create_connection(("127.0.0.1", port)), base64.b64decode(KEY)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, method, path, query, body=b"", wanted=()):
        headers = {"x-ms-date": http_date(time.time()), "x-ms-version": "2023-11-03", "content-length": str(len(body))}
        pairs = [tuple(p.split("=")) for p in query.split("&") if p]
        seen = types.SimpleNamespace(method=method, headers=headers, pairs=pairs, raw_path=f"/{ACCOUNT}{path}")
        signature = sign(self.key, string_to_sign(seen, ACCOUNT))
        head = (f"{method} /{ACCOUNT}{path}?{query} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: SharedKey {ACCOUNT}:{signature}\r\n"
                + "".join(f"{n}: {v}\r\n" for n, v in headers.items()) + "\r\n").encode()
        if len(body) < 65536:
            self.socket.sendall(head + body)
        else:
            self.socket.sendall(head)
            self.socket.sendall(body)
        status = int(self.socket.recv(65536).split(b" ", 2)[1])
        if status not in wanted:
            raise RuntimeError(f"{method} {path}?{query} was answered with {status}")


def in_parallel(count, work):
    failed = []

    def run(number):
        try:
            work(number)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


class Sandbox:
    def __init__(self, *arguments):
        self.process = subprocess.Popen([sys.executable, "-m", "Sandbox.azure", *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE)
        self.port = json.loads(self.process.stdout.readline().split(" ", 3)[3])["azure"]

    def said(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", "/sandbox/operations")
        return json.load(connection.getresponse())

    def stop(self):
        self.process.terminate()
        self.process.wait()


def report(sandbox, what, count, size, action):
    before, began = sandbox.said()["cpu_seconds"], time.monotonic()
    action()
    seconds, after = time.monotonic() - began, sandbox.said()
    cpu = max(after["cpu_seconds"] - before, 0.001)
    print(f"{what}: {count} requests, {size / 1e6:.0f} MB in {seconds:.2f} s = {count / seconds:,.0f}/s, {size / seconds / 1e6:.0f} MB/s; the stand-in "
          f"used {cpu:.2f} CPU s = {count / cpu:,.0f} requests, {size / cpu / 1e6:,.0f} MB per CPU s; peak {after['peak_memory_bytes'] >> 20} MiB",
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--partitions", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--data")
    given = parser.parse_args()
    print(f"machine: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.platform()}, Python {platform.python_version()}")
    sandbox = Sandbox("--filesystem", "raw", *(("--data", given.data) if given.data else ()))
    lanes = [Client(sandbox.port) for _ in range(given.connections)]
    share = given.requests // len(lanes)

    def small(lane):
        for number in range(share // 2):
            path = f"/raw/year%3D2025/month%3D01/{lane}-{number % given.partitions}.jsonl"
            lanes[lane].ask("PUT", path, "resource=file", b"", (201,))
            lanes[lane].ask("HEAD", path, "", b"", (200,))

    def large(lane):
        path, body = f"/raw/large-{lane}", os.urandom(1 << 20) * 4
        lanes[lane].ask("PUT", path, "resource=file", b"", (201,))
        for number in range((given.megabytes << 20) // len(body) // len(lanes)):
            lanes[lane].ask("PATCH", path, f"action=append&position={number * len(body)}&flush=true", body, (202,))

    def appends(lane):
        body, names = b"x" * 2000, [f"/raw/small/{lane}-{n}" for n in range(given.partitions // len(lanes))]
        for name in names:
            lanes[lane].ask("PUT", name, "resource=file", b"", (201,))
        for number in range(share):
            name, turn = names[number % len(names)], number // len(names)
            lanes[lane].ask("PATCH", name, f"action=append&position={turn * 2000}&flush=true", body, (202,))

    try:
        report(sandbox, "create and HEAD", share * len(lanes), 0, lambda: in_parallel(len(lanes), small))
        report(sandbox, f"append 2,000 bytes to {given.partitions} files", share * len(lanes), share * len(lanes) * 2000,
               lambda: in_parallel(len(lanes), appends))
        report(sandbox, "append 4 MiB", given.megabytes // 4, given.megabytes << 20, lambda: in_parallel(len(lanes), large))
    finally:
        sandbox.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
