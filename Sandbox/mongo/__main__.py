"""python -m Sandbox.mongo --port 0 --port-file F: starts the stand-in and prints one line, its URI, when it is ready."""
import argparse
import json
import os
import signal
import sys
import threading

from .server import Server, Settings


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m Sandbox.mongo", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--port-file", default="", help="the port is written here (and newline) when ready")
    parser.add_argument("--host-name", default="127.0.0.1", help="the name that clients are told; it binds 127.0.0.1 only")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--tls-cert", default="")
    parser.add_argument("--tls-key", default="")
    parser.add_argument("--tls-ca", default="", help="client certificates must be signed by this authority")
    parser.add_argument("--wire", type=int, default=21, help="maxWireVersion (17: 6.0, 21: 7.0)")
    parser.add_argument("--faults", default="", help="fault script: a JSON file, or the JSON list itself")
    parser.add_argument("--oplog-window", type=int, default=0, help="events the oplog keeps; 0: all")
    parser.add_argument("--noop-seconds", type=float, default=10, help="how often an idle stream's token moves")
    parser.add_argument("--clock-start", type=int, default=None, help="fixed second of every cluster time")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def publish(path: str, text: str) -> None:
    """The file appears with its whole content, so that a waiting script never reads half a port."""
    with open(path + ".new", "w", encoding="utf-8") as out:
        out.write(text)
    os.replace(path + ".new", path)


def main() -> int:
    given = arguments()
    sys.setswitchinterval(0.0005)
    server = Server(Settings(
        host=given.host_name, port=given.port, wire=given.wire, user=given.user, password=given.password,
        tls_cert=given.tls_cert, tls_key=given.tls_key, tls_ca=given.tls_ca, first_second=given.clock_start,
        noop_seconds=given.noop_seconds, verbose=given.verbose))
    server.log.window = given.oplog_window
    if given.faults:
        text = given.faults if given.faults.lstrip().startswith("[") else open(given.faults, encoding="utf-8").read()
        server.faults.install(json.loads(text))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.stop).start())
    if given.port_file:
        publish(given.port_file, f"{server.port}\n")
    print(server.uri, flush=True)
    accepting = threading.Thread(target=server.serve, daemon=True)
    accepting.start()
    while accepting.is_alive():
        accepting.join(0.2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
