"""Reads: find, aggregate, getMore, killCursors, count."""
import threading
from dataclasses import dataclass, field

from .changestreams import ChangeStream
from .commands_crud import session_id
from .failures import CommandError
from .pipelines import run_pipeline
from .registry import command
from .scans import Scan, ScanRecord, question
from .values import array
from .wire import cursor_reply

FIRST_BATCH = 101


@dataclass
class Cursor:
    number: int
    namespace: str
    session: bytes | None
    reader: object                       # a ChangeStream or a Scan
    in_use: threading.Lock = field(default_factory=threading.Lock)
    killed: bool = False


class Cursors:
    def __init__(self):
        self.lock, self.open, self.number = threading.Lock(), {}, 7_000_000_000

    def add(self, namespace: str, session: bytes | None, reader) -> Cursor:
        with self.lock:
            self.number += 1
            made = self.open[self.number] = Cursor(self.number, namespace, session, reader)
            return made

    def kill(self, number: int) -> bool:
        cursor = self.open.pop(number, None)
        if cursor:
            cursor.killed = True
        return cursor is not None

    def get(self, number: int) -> Cursor:
        found = self.open.get(number)
        if found is None:
            raise CommandError(43, f"cursor id {number} not found")
        return found

    def streams(self) -> list[Cursor]:
        return [c for c in list(self.open.values()) if isinstance(c.reader, ChangeStream)]


def check_owner(cursor: Cursor, request) -> None:
    """A getMore belongs to the session and the namespace of the command that made the cursor."""
    session, number = session_id(request.body), cursor.number
    if cursor.session is not None and session is None:
        raise CommandError(50736, f"Cannot run getMore on cursor {number}, which was created in session "
                           f"{cursor.session.hex()}, without an lsid")
    if cursor.session is None and session is not None:
        raise CommandError(50737, f"Cannot run getMore on cursor {number}, which was not created in a session, in "
                           f"session {session.hex()}")
    if cursor.session != session:
        raise CommandError(50738, f"Cannot run getMore on cursor {number}, which was created in session "
                           f"{cursor.session.hex()}, in session {session.hex()}")
    asked = f"{request.body['$db']}.{request.body['collection']}"
    if asked != cursor.namespace:
        raise CommandError(13, f"Requested getMore on namespace '{asked}', but cursor belongs to a different namespace "
                           f"{cursor.namespace}")


@command("find")
def find(server, connection, request):
    body = request.body
    store, name = server.store, body["find"]
    record = ScanRecord(server.next_scan(), (body["$db"], name), question(body))
    scan = Scan(store, store.collection(body["$db"], name), body, record)
    server.scans.append(record)
    size = body.get("batchSize")
    batch = scan.next_batch(FIRST_BATCH if size is None else int(size)) if size != 0 else []
    if body.get("singleBatch") or int(body.get("limit") or 0) < 0:
        scan.finished = True
    number = 0
    if not scan.finished:
        number = server.cursors.add(scan.namespace, session_id(body), scan).number
    return cursor_reply("firstBatch", number, scan.namespace, array(batch), None)


@command("aggregate")
def aggregate(server, connection, request):
    body = request.body
    pipeline = body.get("pipeline") or []
    if pipeline and "$changeStream" in pipeline[0]:
        return open_stream(server, request)
    batch, namespace = run_pipeline(server, body), f"{body['$db']}.{body['aggregate']}"
    return cursor_reply("firstBatch", 0, namespace, array(batch), None)


def open_stream(server, request):
    body = request.body
    unknown = set(body) - AGGREGATE_FIELDS
    if unknown:
        raise CommandError(40415, f"BSON field 'aggregate.{sorted(unknown)[0]}' is an unknown field.")
    if "cursor" not in body:
        raise CommandError(9, "The 'cursor' option is required, except for aggregate with the explain argument")
    stream = ChangeStream(server.store, server.lookups, body["$db"], body, server.settings.split_bytes)
    size = body["cursor"].get("batchSize")
    batch = stream.next_batch(FIRST_BATCH if size is None else int(size), 0) if size != 0 else []
    server.note_served(len(batch))
    token, number = stream.token_document(), 0
    server.note_stream(stream, stream.token)
    if not stream.finished:
        number = server.cursors.add(stream.namespace, session_id(body), stream).number
    return cursor_reply("firstBatch", number, stream.namespace, array(batch), token)


AGGREGATE_FIELDS = {
    "aggregate", "pipeline", "cursor", "$db", "lsid", "$clusterTime", "$readPreference", "readConcern", "maxTimeMS",
    "comment", "collation", "hint", "let", "allowDiskUse", "bypassDocumentValidation", "writeConcern", "txnNumber",
    "apiVersion", "apiStrict", "apiDeprecationErrors", "explain"}


@command("getMore")
def get_more(server, connection, request):
    body = request.body
    cursor = server.cursors.get(body["getMore"])
    check_owner(cursor, request)
    if not cursor.in_use.acquire(blocking=False):
        raise CommandError(12051, f"cursor with id {cursor.number} is already in use")
    try:
        if isinstance(cursor.reader, ChangeStream):
            return more_events(server, connection, cursor, body)
        batch = cursor.reader.next_batch(int(body["batchSize"]) if body.get("batchSize") else None)
        if cursor.reader.finished:
            server.cursors.kill(cursor.number)
        return cursor_reply("nextBatch", 0 if cursor.reader.finished else cursor.number, cursor.namespace, array(batch),
                            None)
    finally:
        cursor.in_use.release()


def more_events(server, connection, cursor: Cursor, body: dict):
    stream, wait = cursor.reader, body.get("maxTimeMS")
    limit = int(body.get("batchSize") or server.settings.stream_batch)
    try:
        batch = stream.next_batch(limit, (1000 if wait is None else int(wait)) / 1000,
                                  lambda: cursor.killed or server.stopping)
    except CommandError:
        server.cursors.kill(cursor.number)
        raise
    if cursor.killed and not batch:
        raise CommandError(237, f"cursor {cursor.number} was killed")
    server.note_served(len(batch))
    token = stream.token_document()
    if stream.finished:
        server.cursors.kill(cursor.number)
    return cursor_reply("nextBatch", 0 if stream.finished else cursor.number, cursor.namespace, array(batch), token)


@command("killCursors")
def kill_cursors(server, connection, request):
    killed = [number for number in request.body["cursors"] if server.cursors.kill(number)]
    server.log.wake()
    unknown = [number for number in request.body["cursors"] if number not in killed]
    return {"cursorsKilled": killed, "cursorsNotFound": unknown, "cursorsAlive": [], "cursorsUnknown": [], "ok": 1.0}


@command("count")
def count(server, connection, request):
    body = request.body
    collection = server.store.collection(body["$db"], body["count"])
    if collection is None:
        return {"n": 0, "ok": 1.0}
    if not body.get("query") and not body.get("limit") and not body.get("skip"):
        return {"n": len(collection), "ok": 1.0}
    scan = Scan(server.store, collection, {"find": body["count"], "$db": body["$db"], "filter": body.get("query"),
                                           "limit": body.get("limit"), "skip": body.get("skip")}, None)
    total = 0
    while not scan.finished:
        total += len(scan.next_batch(100_000))
    return {"n": total, "ok": 1.0}
