"""A bare client of the wire protocol, without driver or discovery: for control commands and measurements.

    python -m Sandbox.mongo.client PORT '{"sandboxStatus": 1}' [DATABASE]     prints the reply as Extended JSON
"""
import json
import socket
import ssl
import struct
import sys

from bson import json_util

from .values import decode, encode

_header = struct.Struct("<iiii")


class Client:
    def __init__(self, port: int, host: str = "127.0.0.1", tls: bool = False, timeout: float | None = 600):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
        self.stream, self.number = self.socket.makefile("rb", 1 << 20), 0

    def raw(self, database: str, command: dict) -> bytes:
        """The reply's document, not decoded."""
        self.number += 1
        body = struct.pack("<IB", 0, 0) + encode(command | {"$db": database})
        self.socket.sendall(_header.pack(16 + len(body), self.number, 0, 2013) + body)
        head = self.stream.read(16)
        if len(head) < 16:
            raise ConnectionError("closed by the server")
        length = _header.unpack(head)[0]
        data = self.stream.read(length - 16)
        if len(data) < length - 16:
            raise ConnectionError("half a reply")
        return data[5:]

    def command(self, database: str, command: dict) -> dict:
        answer = decode(self.raw(database, command))
        if not answer.get("ok"):
            raise RuntimeError(f"{answer.get('code')} {answer.get('errmsg')}")
        return answer

    def close(self) -> None:
        self.stream.close()
        self.socket.close()


def main() -> int:
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    command = json_util.loads(sys.argv[2])
    try:
        answer = Client(int(sys.argv[1])).command(sys.argv[3] if len(sys.argv) > 3 else "admin", command)
    except (RuntimeError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps({k: v for k, v in answer.items() if not k.startswith("$")}, default=json_util.default))
    return 0


if __name__ == "__main__":
    sys.exit(main())
