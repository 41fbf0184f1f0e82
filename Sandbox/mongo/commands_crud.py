"""Writes: insert, update, delete, findAndModify; retried writes answered once; transactions as one group of events."""
from bson import Int64, ObjectId

from .failures import CommandError
from .matching import matches, project
from .registry import command
from .scans import id_range, sort_documents
from .store import Collection, Store, transaction_elements
from .updates import Change, is_operators
from .values import decode, encode, key


class Writer:
    """Applies statements to a store; inside a transaction each event carries the session and the number."""

    def __init__(self, store: Store, transaction: bytes = b""):
        self.store, self.transaction = store, transaction

    def found(self, target: Collection | None, query: dict, one: bool, sort: dict | None = None) -> list[tuple]:
        """Keys of the matching documents."""
        if target is None:
            return []
        span, exact = id_range(query)
        keys, chosen = target.keys(span.low, span.high, (span.low_inclusive, span.high_inclusive)), []
        for at in keys:
            if exact or matches(decode(target.get(at)[0]), query):
                chosen.append(at)
                if one and not sort:
                    break
        if sort:
            raws = {id(target.get(at)[0]): at for at in chosen}
            chosen = [raws[id(raw)] for raw in sort_documents([target.get(at)[0] for at in chosen], sort)]
        return chosen[:1] if one else chosen

    def change(self, target: Collection, at: tuple, update) -> bool:
        """One update or replacement of an existing document; False when it changes nothing."""
        raw = target.get(at)[0]
        doc = decode(raw)
        if is_operators(update):
            change = Change(doc)
            change.apply(update)
            if change.changed:
                self.store.update(target, at, change.doc, change.description(), self.transaction)
            return change.changed
        if "_id" in update and key(update["_id"]) != at:
            raise CommandError(66, "After applying the update, the (immutable) field '_id' was found to have been "
                               "altered")
        new = encode({"_id": doc["_id"]} | {name: v for name, v in update.items() if name != "_id"})
        if new != raw:
            self.store.replace(target, at, new, self.transaction)
        return new != raw

    def upsert(self, target: Collection, query: dict, update) -> object:
        base = {name: condition for name, condition in query.items() if not name.startswith("$") and "." not in name
                and not (isinstance(condition, dict) and condition and next(iter(condition)).startswith("$"))}
        if is_operators(update):
            change = Change(base, inserting=True)
            change.apply(update)
            doc = change.doc
        else:
            doc = ({"_id": base["_id"]} if "_id" in base else {}) | update
        if "_id" not in doc:
            doc = {"_id": ObjectId()} | doc
        self.store.insert(target, encode(doc), self.transaction)
        return doc["_id"]

    # --- statements --------------------------------------------------------------------------------------------------

    def insert(self, db: str, name: str, raws: list[bytes], ordered: bool) -> dict:
        target, done, errors = self.store.ensure(db, name), 0, []
        for index, raw in enumerate(raws):
            try:
                self.store.insert(target, raw, self.transaction)
                done += 1
            except CommandError as error:
                errors.append(write_error(index, error))
                if ordered:
                    break
        return {"n": done} | ({"writeErrors": errors} if errors else {})

    def update(self, db: str, name: str, statements: list[dict], ordered: bool) -> dict:
        answer, errors = {"n": 0, "nModified": 0}, []
        upserted = []
        for index, statement in enumerate(statements):
            try:
                self._update_one(db, name, statement, index, answer, upserted)
            except CommandError as error:
                errors.append(write_error(index, error))
                if ordered:
                    break
        return answer | ({"upserted": upserted} if upserted else {}) | ({"writeErrors": errors} if errors else {})

    def _update_one(self, db, name, statement, index, answer, upserted) -> None:
        query, update = statement["q"], statement["u"]
        if isinstance(update, list):
            raise CommandError(238, "the stand-in does not run pipeline updates", name="NotImplemented")
        target = self.store.collection(db, name)
        keys = self.found(target, query, not statement.get("multi"))
        if not keys and statement.get("upsert"):
            made = self.upsert(self.store.ensure(db, name), query, update)
            upserted.append({"index": index, "_id": made})
            answer["n"] += 1
            return
        for at in keys:
            answer["n"] += 1
            answer["nModified"] += self.change(target, at, update)

    def delete(self, db: str, name: str, statements: list[dict], ordered: bool) -> dict:
        target, count = self.store.collection(db, name), 0
        for statement in statements:
            for at in self.found(target, statement["q"], statement.get("limit") == 1):
                self.store.delete(target, at, self.transaction)
                count += 1
        return {"n": count}

    def find_and_modify(self, db: str, name: str, body: dict) -> dict:
        target, query = self.store.collection(db, name), body.get("query") or {}
        keys = self.found(target, query, True, body.get("sort"))
        before = decode(target.get(keys[0])[0]) if keys else None
        last = {"n": len(keys)}
        if body.get("remove"):
            if keys:
                self.store.delete(target, keys[0], self.transaction)
            value = before
        else:
            last["updatedExisting"] = bool(keys)
            after_key = keys[0] if keys else None
            if keys:
                self.change(target, keys[0], body["update"])
            elif body.get("upsert"):
                target = self.store.ensure(db, name)
                made = self.upsert(target, query, body["update"])
                after_key = key(made)
                last |= {"n": 1, "upserted": made}
            value = before
            if body.get("new"):
                value = decode(target.get(after_key)[0]) if after_key else None
        if value is not None and body.get("fields"):
            value = project(value, body["fields"])
        return {"lastErrorObject": last, "value": value}


def write_error(index: int, error: CommandError) -> dict:
    return {"index": index, "code": error.code, "errmsg": error.message} | error.extra


class Sessions:
    """What a session's last retryable write answered, and the writes of its open transaction."""

    def __init__(self):
        self.answers: dict[bytes, tuple[int, str, object]] = {}
        self.open: dict[bytes, tuple[int, list]] = {}


def session_id(body: dict) -> bytes | None:
    lsid = body.get("lsid")
    return bytes(lsid["id"]) if isinstance(lsid, dict) and "id" in lsid else None


def write(server, request, act) -> dict:
    """Runs `act(writer)` under the lock: once for each txnNumber, later if a transaction is open."""
    body, sessions = request.body, server.sessions
    session, number = session_id(body), body.get("txnNumber")
    if body.get("autocommit") is False:
        return join_transaction(server, request, act)
    with server.store.lock:
        name = next(iter(body))
        if session and number is not None:
            known = sessions.answers.get(session)
            if known and known[:2] == (number, name):
                return known[2]
        answer = act(Writer(server.store)) | {"ok": 1.0}
        if session and number is not None:
            sessions.answers[session] = (number, name, answer)
    return answer


def join_transaction(server, request, act) -> dict:
    """Writes of a transaction are kept and applied at its commit; the answer counts what they would do."""
    body = request.body
    session = session_id(body)
    if body.get("startTransaction"):
        server.sessions.open[session] = (body["txnNumber"], [])
    number, writes = server.sessions.open.get(session, (None, None))
    if number != body["txnNumber"]:
        raise CommandError(251, f"Given transaction number {body['txnNumber']} does not match any in-progress "
                           "transactions.", ("TransientTransactionError",))
    writes.append(act)
    name = next(iter(body))
    count = len(request.raw_documents({"insert": "documents", "update": "updates", "delete": "deletes"}.get(name, "")))
    return {"n": count, "nModified": count, "ok": 1.0} if name == "update" else {"n": count, "ok": 1.0}


@command("commitTransaction")
def commit_transaction(server, connection, request):
    session = session_id(request.body)
    number, writes = server.sessions.open.pop(session, (None, []))
    if number is not None and number != request.body["txnNumber"]:
        raise CommandError(251, "no such transaction", ("TransientTransactionError",))
    if writes:
        lsid = {"id": request.body["lsid"]["id"]}
        with server.log.group():
            writer = Writer(server.store, transaction_elements(lsid, Int64(number)))
            for act in writes:
                act(writer)
    return {"ok": 1.0}


@command("abortTransaction")
def abort_transaction(server, connection, request):
    server.sessions.open.pop(session_id(request.body), None)
    return {"ok": 1.0}


@command("insert")
def insert(server, connection, request):
    db, name, raws = request.body["$db"], request.body["insert"], request.raw_documents("documents")
    ordered = request.body.get("ordered", True)
    return write(server, request, lambda writer: writer.insert(db, name, raws, ordered))


@command("update")
def update(server, connection, request):
    db, name = request.body["$db"], request.body["update"]
    statements = [decode(raw) for raw in request.raw_documents("updates")]
    ordered = request.body.get("ordered", True)
    return write(server, request, lambda writer: writer.update(db, name, statements, ordered))


@command("delete")
def delete(server, connection, request):
    db, name = request.body["$db"], request.body["delete"]
    statements = [decode(raw) for raw in request.raw_documents("deletes")]
    return write(server, request, lambda writer: writer.delete(db, name, statements, True))


@command("findAndModify")
def find_and_modify(server, connection, request):
    body = request.body
    name = body.get("findAndModify") or body["findandmodify"]
    return write(server, request, lambda writer: writer.find_and_modify(body["$db"], name, body))
