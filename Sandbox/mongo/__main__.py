"""python -m Sandbox.mongo --port 0 --port-file F: starts the stand-in and prints one line, its URI, when it is ready."""
import argparse
import gc
import json
import os
import signal
import sys
import threading

from . import generator
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
    parser.add_argument("--generate", type=int, default=0, metavar="EVENTS",
                        help="preload so many distinct insert events of 500 to 600 bytes into --collection")
    parser.add_argument("--documents", type=int, default=0, help="preload so many documents, without events")
    parser.add_argument("--lazy", action="store_true", help="compute the documents when they are read")
    parser.add_argument("--two-gigabytes", action="store_true", help="preset: --documents 4000000 --lazy, 2.1 GB of BSON")
    parser.add_argument("--mixed-ids", action="store_true", help="ObjectId, integer, string and embedded _ids")
    parser.add_argument("--document-bytes", type=int, default=0, help="mean size of a document")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--collection", default="shop.orders")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def publish(path: str, text: str) -> None:
    """The file appears with its whole content, so that a waiting script never reads half a port."""
    with open(path + ".new", "w", encoding="utf-8") as out:
        out.write(text)
    os.replace(path + ".new", path)


def preload(server: Server, given: argparse.Namespace) -> None:
    db, _, coll = given.collection.partition(".")
    size = given.document_bytes or (525 if given.two_gigabytes else 330)
    documents = generator.Documents(given.seed, size, given.mixed_ids)
    if given.generate:
        generator.generate_events(server.store, db, coll, documents, given.generate)
    elif given.two_gigabytes or given.documents:
        generator.load(server.store, db, coll, documents, given.documents or 4_000_000, given.lazy or given.two_gigabytes)


def main() -> int:
    given = arguments()
    if given.mixed_ids and (given.lazy or given.two_gigabytes or given.generate):
        print("mongo sandbox: --mixed-ids needs documents that are kept (no --lazy, --two-gigabytes, --generate)",
              file=sys.stderr)
        return 2
    gc.disable()                    # millions of long-lived objects and hardly a cycle
    sys.setswitchinterval(0.0005)
    server = Server(Settings(
        host=given.host_name, port=given.port, wire=given.wire, user=given.user, password=given.password,
        tls_cert=given.tls_cert, tls_key=given.tls_key, tls_ca=given.tls_ca, first_second=given.clock_start,
        noop_seconds=given.noop_seconds, verbose=given.verbose))
    server.log.window = given.oplog_window
    if given.faults:
        text = given.faults if given.faults.lstrip().startswith("[") else open(given.faults, encoding="utf-8").read()
        server.faults.install(json.loads(text))
    preload(server, given)
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
