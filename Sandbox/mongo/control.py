"""Commands that exist only here; they are exempt from faults, stalls and login. Send them to any database.

    {sandboxStatus: 1}
    {sandboxFaults: [rule, …], keep: false}       the fault script, see `faults`
    {sandboxStall: true | false}                  stop answering all but handshakes and these commands, or go on
    {sandboxSet: {floor, window, splitBytes, noopSeconds, streamBatch}}
                  floor: events with a place up to it are gone from the oplog; -1: all so far. window: events it keeps
    {sandboxLoad: "db.coll", count, seed, bytes, mixedIds, lazy}         documents without events
    {sandboxGenerate: "db.coll", events, seed, bytes}                    a new collection of so many inserts, in the log
    {sandboxWorkload: "db.coll", seed, rate, changes, seconds, mix, bytes, mixedIds, growing}   starts; "stop" or
                  "status" else; see `workload`
    {sandboxGroup: "db.coll", documents: […]}     inserts whose events share one cluster time
    {sandboxPut: "db.coll", bson: Binary}         stores these bytes as they are (they need not be good BSON after _id)
    {sandboxTruth: "/path/file.sqlite", documents: true}                 the truth dump, see `truth`
"""
from bson import Int64

from . import generator, truth
from .failures import CommandError
from .registry import command
from .workload import Workload


def namespace(request, name: str) -> tuple[str, str]:
    db, _, coll = request.body[name].partition(".")
    return db, coll


@command("sandboxStatus", before_login=True)
def status(server, connection, request):
    log = server.log
    return {"events": Int64(len(log.entries)), "floor": Int64(log.floor), "served": Int64(server.events_served),
            "openStreams": len(server.cursors.streams()), "connections": len(server.connections),
            "workload": server.workload.status() if server.workload else None,
            "faults": [rule.spec | {"seen": rule.seen, "hits": rule.hits} for rule in server.faults.rules], "ok": 1.0}


@command("sandboxFaults", before_login=True)
def faults(server, connection, request):
    server.faults.install(request.body["sandboxFaults"], bool(request.body.get("keep")))
    return {"ok": 1.0}


@command("sandboxStall", before_login=True)
def stall(server, connection, request):
    server.faults.stall(bool(request.body["sandboxStall"]))
    return {"ok": 1.0}


@command("sandboxSet", before_login=True)
def settings(server, connection, request):
    given, log = request.body["sandboxSet"], server.log
    unknown = set(given) - {"floor", "window", "splitBytes", "noopSeconds", "streamBatch"}
    if unknown:
        raise CommandError(9, f"sandboxSet: unknown {sorted(unknown)}")
    with log.lock:
        if "floor" in given:
            log.floor = len(log.entries) if given["floor"] < 0 else given["floor"]
        log.window = given.get("window", log.window)
        log.noop_seconds = given.get("noopSeconds", log.noop_seconds)
        server.settings.split_bytes = given.get("splitBytes", server.settings.split_bytes)
        server.settings.stream_batch = given.get("streamBatch", server.settings.stream_batch)
    log.wake()
    return {"floor": Int64(log.floor), "ok": 1.0}


@command("sandboxLoad", before_login=True)
def load(server, connection, request):
    body = request.body
    documents = generator.Documents(int(body.get("seed", 1)), int(body.get("bytes", 330)), bool(body.get("mixedIds")))
    if body.get("lazy") and documents.mixed_ids:
        raise CommandError(9, "lazy documents have ObjectIds only")
    made = generator.load(server.store, *namespace(request, "sandboxLoad"), documents, int(body["count"]),
                          bool(body.get("lazy")))
    return {"n": len(made), "ok": 1.0}


@command("sandboxGenerate", before_login=True)
def generate(server, connection, request):
    body = request.body
    documents = generator.Documents(int(body.get("seed", 1)), int(body.get("bytes", 330)))
    generator.generate_events(server.store, *namespace(request, "sandboxGenerate"), documents, int(body["events"]),
                              int(body.get("collections", 1)))
    return {"events": Int64(len(server.log.entries)), "ok": 1.0}


@command("sandboxWorkload", before_login=True)
def workload(server, connection, request):
    body, running = request.body, server.workload
    asked = body["sandboxWorkload"]
    if asked in ("stop", "status"):
        if running and asked == "stop":
            running.stop()
        return (running.status() if running else {}) | {"ok": 1.0}
    if running and running.thread.is_alive():
        raise CommandError(2, "a workload is running")
    names = {"seed": "seed", "rate": "rate", "changes": "changes", "seconds": "seconds", "mix": "mix", "bytes": "bytes",
             "mixedIds": "mixed_ids", "collections": "collections", "growing": "growing"}
    server.workload = Workload(server.store, *namespace(request, "sandboxWorkload"),
                               **{names[name]: value for name, value in body.items() if name in names})
    server.workload.start()
    return {"ok": 1.0}


@command("sandboxGroup", before_login=True)
def group(server, connection, request):
    target = server.store.ensure(*namespace(request, "sandboxGroup"))
    with server.log.group():
        for raw in request.raw_documents("documents"):
            server.store.insert(target, raw)
    return {"ok": 1.0}


@command("sandboxPut", before_login=True)
def put(server, connection, request):
    with server.store.lock:
        server.store.insert(server.store.ensure(*namespace(request, "sandboxPut")), bytes(request.body["bson"]))
    return {"ok": 1.0}


@command("sandboxTruth", before_login=True)
def write_truth(server, connection, request):
    return truth.dump(server, request.body["sandboxTruth"], bool(request.body.get("documents", True))) | {"ok": 1.0}
