"""pymongo, someone else's client, drives the MongoDB stand-in: each test is a behaviour the Mongo source relies on."""
import contextlib
import datetime
import json
import os
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time

import bson
import pymongo
import pytest
from bson import Binary, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo.errors import AutoReconnect, DuplicateKeyError, NotPrimaryError, OperationFailure, ServerSelectionTimeoutError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RESUMABLE = "ResumableChangeStreamError"


class Sandbox:
    def __init__(self, *arguments: str):
        self.process = subprocess.Popen([sys.executable, "-m", "Sandbox.mongo", *arguments], cwd=ROOT, text=True,
                                        stdout=subprocess.PIPE)
        self.uri = self.process.stdout.readline().strip()
        self.port = int(self.uri.split("@")[-1].split("/?")[0].rpartition(":")[2])
        self.clients = []

    def client(self, uri: str | None = None, **options) -> pymongo.MongoClient:
        made = pymongo.MongoClient(uri or self.uri, **({"serverSelectionTimeoutMS": 5000} | options))
        self.clients.append(made)
        return made

    def stop(self) -> int:
        for client in self.clients:
            client.close()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        self.process.stdout.close()
        return code


@pytest.fixture
def start():
    running = []

    def make(*arguments):
        running.append(Sandbox(*arguments))
        return running[-1]
    yield make
    for sandbox in running:
        assert sandbox.stop() == 0


@pytest.fixture(scope="module")
def shared():
    sandbox = Sandbox("--noop-seconds", "1")
    yield sandbox
    assert sandbox.stop() == 0


_names = iter(range(10_000))


@pytest.fixture
def client(shared):
    made = shared.client()
    yield made
    made.admin.command("sandboxFaults", [])
    made.admin.command({"sandboxSet": {"window": 0, "splitBytes": 16 * 1024 * 1024 + 16 * 1024}})


@pytest.fixture
def db(client):
    """A database of the test's own."""
    return client[f"db{next(_names)}"]


def take(stream, count: int) -> list:
    events, deadline = [], time.monotonic() + 10
    while len(events) < count:
        assert time.monotonic() < deadline, f"{len(events)} of {count} events"
        event = stream.try_next()
        if event is not None:
            events.append(event)
    return events


def kinds(events) -> list:
    return [event["operationType"] for event in events]


class Raw:
    """Change-stream commands by hand, as the Mongo source sends them."""

    def __init__(self, db, target, stage: dict | None = None, stages: list | None = None, **cursor):
        self.db, self.target = db, target
        self.session = db.client.start_session()
        self.reply = db.command({"aggregate": target, "pipeline": [{"$changeStream": stage or {}}, *(stages or [])],
                                 "cursor": cursor or {"batchSize": 0}}, session=self.session, codec_options=db.codec_options)
        self.id, self.token = self.reply["cursor"]["id"], self.reply["cursor"]["postBatchResumeToken"]

    def more(self, wait_ms: int = 100, **options) -> list:
        name = self.target if isinstance(self.target, str) else "$cmd.aggregate"
        reply = self.db.command({"getMore": Int64(self.id), "collection": name, "maxTimeMS": wait_ms} | options,
                                session=self.session, codec_options=self.db.codec_options)
        self.id, self.token = reply["cursor"]["id"], reply["cursor"]["postBatchResumeToken"]
        return reply["cursor"]["nextBatch"]


def failure(code: int, act) -> pymongo.errors.PyMongoError:
    with pytest.raises((OperationFailure, NotPrimaryError)) as caught:
        act()
    assert caught.value.details["code"] == code, caught.value
    return caught.value


# --- handshake, facts, unknown commands --------------------------------------------------------------------------------

def test_a_driver_discovers_the_replica_set(shared, client):
    hello = client.admin.command("hello")
    assert (hello["setName"], hello["isWritablePrimary"]) == ("rs0", True)
    assert client.primary == ("127.0.0.1", shared.port)
    assert hello["operationTime"] >= hello["lastWrite"]["opTime"]["ts"]
    assert client.server_info()["versionArray"][0] == 7
    assert client.admin.command("ping")["ok"] == 1.0
    assert client.admin.command("serverStatus")["repl"]["setName"] == "rs0"
    assert client.admin.command("connectionStatus")["authInfo"]["authenticatedUsers"] == []
    assert "$clusterTime" in client.admin.command("ping")


def test_a_wrong_set_name_finds_no_server(shared):
    other = shared.client(shared.uri.replace("rs0", "rs9"), serverSelectionTimeoutMS=300)
    with pytest.raises(ServerSelectionTimeoutError):
        other.admin.command("ping")


def test_unknown_commands_and_fields(db):
    failure(59, lambda: db.command("makeCoffee"))
    failure(40415, lambda: Raw(db, "c", {"showEverything": True}))
    failure(40415, lambda: db.command({"aggregate": "c", "cursor": {}, "showExpandedEvents": True,
                                       "pipeline": [{"$changeStream": {}}]}))
    failure(2, lambda: Raw(db, "c", {"fullDocument": "sometimes"}))
    failure(20, lambda: Raw(db, "c", {}, [{"$sort": {"_id": 1}}]))
    failure(40324, lambda: Raw(db, "c", {}, [{"$nonsense": 1}]))


def test_operation_time_rises_with_writes(db):
    first = db.command("ping")["operationTime"]
    db.c.insert_one({})
    assert db.command("ping")["operationTime"] > first


# --- CRUD --------------------------------------------------------------------------------------------------------------

def test_writes_and_their_results(db):
    c = db.c
    assert len(c.insert_many([{"_id": n, "v": n} for n in range(5)]).inserted_ids) == 5
    assert c.update_one({"_id": 1}, {"$set": {"v": 10}, "$inc": {"n": 2}, "$push": {"l": 1}}).modified_count == 1
    assert c.update_one({"_id": 1}, {"$set": {"v": 10}}).modified_count == 0
    assert c.find_one({"_id": 1}) == {"_id": 1, "v": 10, "n": 2, "l": [1]}
    assert c.update_many({"v": {"$gte": 3}}, {"$unset": {"v": ""}}).modified_count == 3
    assert c.update_one({"_id": "new"}, {"$set": {"a": 1}}, upsert=True).upserted_id == "new"
    assert c.replace_one({"_id": "new"}, {"b": 2}).modified_count == 1
    assert c.find_one_and_update({"_id": "new"}, {"$inc": {"b": 1}}, return_document=True) == {"_id": "new", "b": 3}
    assert c.find_one_and_replace({"_id": "new"}, {"c": 1}) == {"_id": "new", "b": 3}
    assert c.find_one_and_delete({"_id": "new"}) == {"_id": "new", "c": 1}
    assert c.delete_many({"_id": {"$lt": 2}}).deleted_count == 2
    assert (c.count_documents({}), c.estimated_document_count()) == (3, 3)
    with pytest.raises(DuplicateKeyError):
        c.insert_one({"_id": 3})


def test_an_id_is_made_and_comes_first(db):
    db.command("insert", "c", documents=[RawBSONDocument(bson.encode({"a": 1})),
                                         RawBSONDocument(bson.encode({"b": 1, "_id": 7}))])
    assert [list(document) for document in db.c.find()] == [["_id", "b"], ["_id", "a"]]


def test_equal_numbers_are_one_id(db):
    db.c.insert_one({"_id": 1})
    for same in (1.0, Int64(1), Decimal128("1.0")):
        with pytest.raises(DuplicateKeyError):
            db.c.insert_one({"_id": same})


def test_collections_and_indexes(client, db):
    db.create_collection("a")
    failure(48, lambda: db.command("create", "a"))
    db.a.create_index("x")
    assert sorted(db.a.index_information()) == ["_id_", "x_1"]
    db.a.insert_one({"_id": 1})
    db.a.rename("b")
    assert db.list_collection_names() == ["b"] and db.b.count_documents({}) == 1
    assert db.name in client.list_database_names()
    client.drop_database(db.name)
    assert db.name not in client.list_database_names()


# --- order and scans ---------------------------------------------------------------------------------------------------

EVERY_TYPE_IN_ORDER = [MinKey(), None, float("nan"), -5, 2.5, Decimal128("3"), Int64(2**40), "", "a", "é", {}, {"a": 1},
                       {"a": "x"}, b"", b"zz", ObjectId("0" * 24), ObjectId("f" * 24), False, True,
                       datetime.datetime(1970, 1, 1), datetime.datetime(2030, 1, 1), Timestamp(1, 1), Timestamp(1, 2),
                       MaxKey()]


def by_bytes(values) -> list:
    return [bson.encode({"v": value}) for value in values]


def test_ids_of_every_type_sort_as_mongodb_sorts_them(db):
    db.c.insert_many([{"_id": value} for value in reversed(EVERY_TYPE_IN_ORDER)])
    found = by_bytes(d["_id"] for d in db.c.find().sort("_id", 1).batch_size(3))
    assert found == by_bytes(EVERY_TYPE_IN_ORDER)
    backwards = by_bytes(d["_id"] for d in db.c.find().sort("_id", -1).batch_size(5))
    assert backwards == found[::-1]


def test_comparison_is_type_bracketed(db):
    db.c.insert_many([{"_id": value, "v": value} for value in EVERY_TYPE_IN_ORDER])
    for field in ("_id", "v"):
        def found(condition):
            return by_bytes(d[field] for d in db.c.find({field: condition}).sort("_id", 1))
        assert found({"$gt": -5}) == by_bytes([2.5, Decimal128("3"), Int64(2**40)])
        assert found({"$gte": "a"}) == by_bytes(["a", "é"])
        assert found({"$lt": 3}) == by_bytes([-5, 2.5])
        assert found({"$lte": False}) == by_bytes([False])
        assert found({"$gt": None}) == [] and found({"$gte": None}) == by_bytes([None])
        assert len(found({"$gt": MinKey()})) == len(EVERY_TYPE_IN_ORDER) - 1
        assert found({"$in": [2.5, "a", True]}) == by_bytes([2.5, "a", True])
        assert found({"$type": "string"}) == by_bytes(["", "a", "é"])
        assert found({"$type": "number"}) == by_bytes([float("nan"), -5, 2.5, Decimal128("3"), Int64(2**40)])


def test_pages_by_id_within_a_type(db):
    db.c.insert_many([{"_id": value, "v": 1} for value in EVERY_TYPE_IN_ORDER + list(range(100, 400))])
    read, last = [], -5
    while page := list(db.c.find({"_id": {"$gt": last, "$type": "number"}, "v": 1}).sort("_id", 1).limit(50)):
        read += page
        last = page[-1]["_id"]
    assert by_bytes(d["_id"] for d in read) == by_bytes([2.5, Decimal128("3"), *range(100, 400), Int64(2**40)])
    assert [d["_id"] for d in db.c.find({"$and": [{"_id": {"$gte": 390}}, {"_id": {"$lt": 392}}]})] == [390, 391]
    assert db.c.find_one({"_id": {}}) == {"_id": {}, "v": 1}
    assert db.c.count_documents({"_id": {"$nin": [1]}, "$or": [{"_id": "a"}, {"_id": 390}]}) == 2


def test_min_and_max_with_a_hint_cross_the_brackets(db):
    db.c.insert_many([{"_id": value} for value in EVERY_TYPE_IN_ORDER])
    found = [d["_id"] for d in db.c.find().min([("_id", 2.5)]).max([("_id", b"")]).hint([("_id", 1)])]
    assert by_bytes(found) == by_bytes(EVERY_TYPE_IN_ORDER[4:13])
    failure(51173, lambda: db.command("find", "c", min={"_id": 2}))


def test_scans_batch_limit_and_see_later_documents(db):
    db.c.insert_many([{"_id": n} for n in range(500)])
    cursor = db.c.find().batch_size(100)
    first = [next(cursor)["_id"] for _ in range(100)]
    db.c.delete_many({"_id": {"$gte": 490}})
    db.c.insert_one({"_id": 1000})
    assert first + [d["_id"] for d in cursor] == list(range(490)) + [1000]
    assert len(list(db.c.find().limit(120).batch_size(50))) == 120
    assert [d["_id"] for d in db.c.find().sort("_id", 1).skip(5).limit(2)] == [5, 6]
    reply = db.command("find", "c", batchSize=0)
    assert reply["cursor"]["firstBatch"] == [] and reply["cursor"]["id"] != 0
    assert db.command({"find": "c", "batchSize": 7})["cursor"]["firstBatch"][-1] == {"_id": 6}


def test_projection_and_sort_by_other_fields(db):
    db.c.insert_many([{"_id": n, "g": n % 3, "x": {"y": n, "z": 0}} for n in range(9)])
    assert [d["_id"] for d in db.c.find({}, {"_id": 1}).sort([("g", -1), ("_id", 1)])] == [2, 5, 8, 1, 4, 7, 0, 3, 6]
    assert db.c.find_one({"_id": 4}, {"x.y": 1, "_id": 0}) == {"x": {"y": 4}}
    assert db.c.find_one({"_id": 4}, {"x": 0}) == {"_id": 4, "g": 1}


def test_a_reply_ends_at_sixteen_megabytes(db):
    db.c.insert_many([{"_id": n, "x": "y" * 6_000_000} for n in range(5)])
    reply = db.command("find", "c", batchSize=100)
    assert len(reply["cursor"]["firstBatch"]) == 2 and reply["cursor"]["id"] != 0
    assert [d["_id"] for d in db.c.find()] == [0, 1, 2, 3, 4]


def test_planning_aggregates(db):
    db.c.insert_many([{"_id": n, "g": n % 2} for n in range(100)])
    buckets = list(db.c.aggregate([{"$bucketAuto": {"groupBy": "$_id", "buckets": 4}}]))
    assert [b["count"] for b in buckets] == [25] * 4
    assert [(b["_id"]["min"], b["_id"]["max"]) for b in buckets] == [(0, 25), (25, 50), (50, 75), (75, 99)]
    assert len(list(db.c.aggregate([{"$sample": {"size": 10}}]))) == 10
    stats = next(db.c.aggregate([{"$collStats": {"storageStats": {}, "count": {}}}]))
    assert stats["count"] == 100 and stats["storageStats"]["avgObjSize"] > 0
    grouped = db.c.aggregate([{"$match": {"_id": {"$lt": 11}}}, {"$group": {"_id": "$g", "n": {"$sum": 1}}}])
    assert {g["_id"]: g["n"] for g in grouped} == {0: 6, 1: 5}


# --- change streams ----------------------------------------------------------------------------------------------------

def test_events_of_every_data_operation(db):
    with db.c.watch(max_await_time_ms=100) as stream:
        db.c.insert_one({"_id": 1, "a": {"b": 1}, "l": [1, 2, 3], "gone": 1})
        db.c.update_one({"_id": 1}, {"$set": {"a.b": 2}, "$unset": {"gone": 1}, "$pop": {"l": 1}})
        db.c.replace_one({"_id": 1}, {"z": 1})
        db.c.delete_one({"_id": 1})
        insert, update, replace, delete = take(stream, 4)
    assert insert["fullDocument"] == {"_id": 1, "a": {"b": 1}, "l": [1, 2, 3], "gone": 1}
    assert insert["ns"] == {"db": db.name, "coll": "c"} and insert["documentKey"] == {"_id": 1}
    assert update["updateDescription"] == {"updatedFields": {"a.b": 2}, "removedFields": ["gone"],
                                           "truncatedArrays": [{"field": "l", "newSize": 2}]}
    assert "fullDocument" not in update and replace["fullDocument"] == {"_id": 1, "z": 1}
    assert kinds([insert, update, replace, delete]) == ["insert", "update", "replace", "delete"]
    assert "fullDocument" not in delete and "wallTime" in delete
    tokens = [event["_id"]["_data"] for event in (insert, update, replace, delete)]
    assert tokens == sorted(tokens) and all(token.startswith("82") for token in tokens)
    seconds, increment = insert["clusterTime"].time, insert["clusterTime"].inc
    assert tokens[0][2:18] == f"{seconds:08X}{increment:08X}"


def test_scopes(client, db):
    other = client[db.name + "other"]
    with client.watch(max_await_time_ms=100) as all_, db.watch(max_await_time_ms=100) as one:
        db.a.insert_one({"_id": 1})
        db.b.insert_one({"_id": 2})
        other.a.insert_one({"_id": 3})
        assert [e["documentKey"]["_id"] for e in take(all_, 3)] == [1, 2, 3]
        assert [e["documentKey"]["_id"] for e in take(one, 2)] == [1, 2]
        assert one.try_next() is None
    failure(72, lambda: Raw(db, 1, {"allChangesForCluster": True}))
    failure(73, lambda: Raw(client.admin, 1, {}))


def test_resume_after_start_after_and_at_a_time(db):
    with db.c.watch(max_await_time_ms=100) as stream:
        db.c.insert_many([{"_id": n} for n in range(10)])
        events = take(stream, 10)
    for option in ("resume_after", "start_after"):
        with db.c.watch(max_await_time_ms=100, **{option: events[3]["_id"]}) as stream:
            assert [e["documentKey"]["_id"] for e in take(stream, 6)] == [4, 5, 6, 7, 8, 9]
    with db.c.watch(max_await_time_ms=100, start_at_operation_time=events[7]["clusterTime"]) as stream:
        assert [e["documentKey"]["_id"] for e in take(stream, 3)] == [7, 8, 9]
    first = Raw(db, "c", {"startAfter": events[3]["_id"]}, batchSize=2).reply["cursor"]["firstBatch"]
    assert [e["documentKey"]["_id"] for e in first] == [4, 5]
    failure(40674, lambda: Raw(db, "c", {"startAfter": events[3]["_id"], "resumeAfter": events[3]["_id"]}))
    failure(9, lambda: Raw(db, "c", {"startAfter": {"_data": "nonsense"}}))
    failure(40649, lambda: Raw(db, "c", {"startAfter": {"x": 1}}))
    third = events[3]["_id"]["_data"]
    for unknown in (third[:20] + "0FFFFFFFFFFF" + third[32:], third[:2] + "00000001" + third[10:]):
        failure(280, lambda: Raw(db, "c", {"startAfter": {"_data": unknown}}))


def test_post_batch_tokens_move_on_empty_batches(db):
    stream = Raw(db, "c")
    start = stream.token["_data"]
    assert stream.more(50) == []
    db.other.insert_many([{} for _ in range(5)])
    assert stream.more(50) == []
    quiet = stream.token["_data"]
    assert quiet > start
    deadline = time.monotonic() + 10
    while stream.token["_data"] == quiet and time.monotonic() < deadline:   # the idle server's own no-op writes
        stream.more(300)
    assert stream.token["_data"] > quiet
    db.c.insert_one({"_id": "after"})
    assert [e["documentKey"]["_id"] for e in Raw(db, "c", {"resumeAfter": {"_data": quiet}}).more()] == ["after"]


def test_a_full_batchs_token_is_its_last_event(db):
    stream = Raw(db, "c")
    db.c.insert_many([{"_id": n} for n in range(5)])
    batch = stream.more(batchSize=2)
    assert len(batch) == 2 and stream.token == batch[-1]["_id"]
    resumed = Raw(db, "c", {"resumeAfter": stream.token})
    assert [e["documentKey"]["_id"] for e in resumed.more()] == [2, 3, 4]
    assert resumed.token["_data"] > resumed.reply["cursor"]["postBatchResumeToken"]["_data"]


def test_get_more_waits_and_wakes(db):
    stream = Raw(db, "c")
    began = time.monotonic()
    assert stream.more(300) == []
    assert 0.28 < time.monotonic() - began < 5
    threading.Timer(0.2, lambda: db.c.insert_one({"_id": 1})).start()
    began = time.monotonic()
    assert len(stream.more(20_000)) == 1
    assert time.monotonic() - began < 10


def test_get_more_needs_the_aggregates_session_and_namespace(db):
    stream = Raw(db, "c")
    more = {"getMore": Int64(stream.id), "collection": "c", "maxTimeMS": 10}
    failure(50738, lambda: db.command(more))
    failure(13, lambda: db.command(more | {"collection": "d"}, session=stream.session))
    assert stream.more(10) == []
    db.command("killCursors", "c", cursors=[Int64(stream.id)])
    failure(43, lambda: stream.more(10))


@pytest.mark.parametrize("how", ["drop", "rename", "dropDatabase"])
def test_invalidate(client, db, how):
    db.c.insert_one({"_id": 0})
    stream = Raw(db, "c")
    db.c.insert_one({"_id": 1})
    {"drop": db.c.drop, "rename": lambda: db.c.rename("d"), "dropDatabase": lambda: client.drop_database(db.name)}[how]()
    events = stream.more()
    assert kinds(events) == ["insert", "rename" if how == "rename" else "drop", "invalidate"]
    assert stream.id == 0 and stream.token == events[-1]["_id"] and set(events[-1]) == {
        "_id", "operationType", "clusterTime", "wallTime"}
    db.c.insert_one({"_id": 2})
    failure(260, lambda: Raw(db, "c", {"resumeAfter": events[-1]["_id"]}))
    again = Raw(db, "c", {"startAfter": events[-1]["_id"]})
    assert [e["documentKey"]["_id"] for e in again.more() if e["operationType"] == "insert"] == [2]
    after_drop = Raw(db, "c", {"resumeAfter": events[1]["_id"]})
    assert kinds(after_drop.more()) == ["invalidate"] and after_drop.id == 0


@pytest.mark.parametrize("match", [{"operationType": "insert"}, {"documentKey._id": {"$gte": 0}}])
def test_an_invalidate_that_is_filtered_out_ends_the_stream_all_the_same(db, match):
    db.c.insert_one({"_id": 0})
    stream = Raw(db, "c", stages=[{"$match": match}])
    db.c.insert_one({"_id": 1})
    db.c.drop()
    assert kinds(stream.more()) == ["insert"] and stream.id == 0
    db.c.insert_one({"_id": 2})
    quiet = Raw(db, "c", stages=[{"$match": match}])
    db.c.drop()
    assert quiet.more() == [] and quiet.id == 0
    db.c.insert_one({"_id": 3})
    for ended, left in ((stream, [2]), (quiet, [3])):
        failure(260, lambda ended=ended: Raw(db, "c", {"resumeAfter": ended.token}))
        again = Raw(db, "c", {"startAfter": ended.token}, [{"$match": match}])
        assert [e["documentKey"]["_id"] for e in again.more()] == left


def test_a_database_stream_outlives_a_collection(client, db):
    with db.watch(max_await_time_ms=100) as stream, client.watch(max_await_time_ms=100) as whole:
        db.c.insert_one({"_id": 1})
        db.c.drop()
        db.d.insert_one({"_id": 2})
        client.drop_database(db.name)
        assert kinds(take(stream, 6)) == ["insert", "drop", "insert", "drop", "dropDatabase", "invalidate"]
        assert not stream.alive
        assert kinds(take(whole, 5))[-1] == "dropDatabase"
        db.c.insert_one({"_id": 3})
        assert kinds(take(whole, 1)) == ["insert"]


def test_expanded_events_only_when_asked(db):
    plain, expanded = Raw(db, 1), Raw(db, 1, {"showExpandedEvents": True})
    db.create_collection("c")
    db.c.create_index("x")
    db.c.insert_one({"_id": 1})
    db.c.update_one({"_id": 1}, {"$set": {"a": 1}})
    db.command("collMod", "c", changeStreamPreAndPostImages={"enabled": True})
    db.c.drop_index("x_1")
    assert kinds(plain.more()) == ["insert", "update"]
    events = expanded.more()
    assert kinds(events) == ["create", "createIndexes", "insert", "update", "modify", "dropIndexes"]
    assert events[1]["operationDescription"]["indexes"][0]["key"] == {"x": 1}
    assert all(isinstance(event["collectionUUID"], Binary) for event in events)
    assert events[3]["updateDescription"]["disambiguatedPaths"] == {}


def test_update_lookup_serves_the_document_as_it_is_now(db):
    stream = Raw(db, "c", {"fullDocument": "updateLookup"})
    db.c.insert_one({"_id": 1, "v": 0})
    db.c.update_one({"_id": 1}, {"$set": {"v": 1}})
    db.c.update_one({"_id": 1}, {"$set": {"v": 2}})
    token = stream.token
    assert [e.get("fullDocument") for e in stream.more()] == [{"_id": 1, "v": 0}, {"_id": 1, "v": 2}, {"_id": 1, "v": 2}]
    db.c.delete_one({"_id": 1})
    events = Raw(db, "c", {"fullDocument": "updateLookup", "resumeAfter": token}).more()
    assert [e.get("fullDocument", "none") for e in events] == [{"_id": 1, "v": 0}, None, None, "none"]
    db.c.drop()
    db.c.insert_one({"_id": 1, "v": "another collection's"})
    events = Raw(db, "c", {"fullDocument": "updateLookup", "resumeAfter": token}).more()
    assert [e["fullDocument"] for e in events if e["operationType"] == "update"] == [None, None]


def test_images(db):
    db.c.insert_one({"_id": 1, "v": 0})
    off = Raw(db, "c", {"fullDocument": "whenAvailable", "fullDocumentBeforeChange": "whenAvailable"})
    required = Raw(db, "c", {"fullDocument": "required"})
    db.c.update_one({"_id": 1}, {"$set": {"v": 1}})
    event, = off.more()
    assert event["fullDocument"] is None and event["fullDocumentBeforeChange"] is None
    assert failure(47, required.more).has_error_label("NonResumableChangeStreamError")
    db.command("collMod", "c", changeStreamPreAndPostImages={"enabled": True})
    exact = Raw(db, "c", {"fullDocument": "required", "fullDocumentBeforeChange": "required"})
    for value in (2, 3):
        db.c.update_one({"_id": 1}, {"$set": {"v": value}})
    db.c.delete_one({"_id": 1})
    one, two, delete = exact.more()
    assert (one["fullDocumentBeforeChange"]["v"], one["fullDocument"]["v"]) == (1, 2)
    assert (two["fullDocumentBeforeChange"]["v"], two["fullDocument"]["v"]) == (2, 3)
    assert delete["fullDocumentBeforeChange"] == {"_id": 1, "v": 3}


@pytest.mark.parametrize("match, wanted", [
    ({"operationType": "insert"}, [1, 2, 3]), ({"operationType": {"$in": ["update", "delete"]}}, [1, 2]),
    ({"ns.coll": {"$ne": "c"}}, []), ({"fullDocument.v": {"$gte": 20}}, [2, 3]),
    ({"$or": [{"documentKey._id": 3}, {"operationType": "delete"}]}, [3, 2]),
    ({"$and": [{"operationType": "insert"}, {"fullDocument.v": {"$lt": 20}}]}, [1])])
def test_match_after_the_change_stream(db, match, wanted):
    with db.c.watch([{"$match": match}], max_await_time_ms=100) as stream:
        db.c.insert_many([{"_id": n, "v": n * 10} for n in (1, 2, 3)])
        db.c.update_one({"_id": 1}, {"$set": {"v": 11}})
        db.c.delete_one({"_id": 2})
        assert [e["documentKey"]["_id"] for e in take(stream, len(wanted))] == wanted
        assert stream.try_next() is None


def test_a_rename_is_found_by_where_it_leads(db):
    wanted = {"$or": [{"ns.coll": "kept"}, {"to.db": db.name, "to.coll": "kept"}]}
    with db.watch([{"$match": wanted}], max_await_time_ms=100) as stream:
        for name in ("one", "two"):
            db[name].insert_one({"_id": name})
        db.one.rename("other")
        db.two.rename("kept")
        db.kept.insert_one({"_id": 3})
        assert [(e["operationType"], e["ns"]["coll"]) for e in take(stream, 2)] == [("rename", "two"), ("insert", "kept")]


def test_project_keeps_the_token(db):
    with db.c.watch([{"$project": {"documentKey": 1}}], max_await_time_ms=100) as stream:
        db.c.insert_one({"_id": 1, "v": 1})
        assert set(take(stream, 1)[0]) == {"_id", "documentKey"}
    bad = Raw(db, "c", {}, [{"$project": {"_id": 0}}])
    db.c.insert_one({"_id": 2})
    failure(280, bad.more)


def test_large_events_fail_without_split_and_come_in_fragments_with_it(db):
    db.c.insert_one({"_id": 1, "x": "p" * 9_000_000})
    plain = Raw(db, "c", {"fullDocument": "updateLookup"})
    split = Raw(db, "c", {"fullDocument": "updateLookup"}, [{"$changeStreamSplitLargeEvent": {}}])
    db.c.update_one({"_id": 1}, {"$set": {"x": "q" * 9_000_000}})
    db.c.insert_one({"_id": 2})
    assert "16793600" in failure(10334, plain.more).details["errmsg"]
    failure(43, plain.more)
    first, second, rest = split.more(), split.more(), split.more()      # two of 9 MB do not fit in one reply
    assert [f["splitEvent"] for f in first + second[:1]] == [{"fragment": 1, "of": 2}, {"fragment": 2, "of": 2}]
    whole = {k: v for f in first + second[:1] for k, v in f.items() if k not in ("_id", "splitEvent")}
    assert whole["fullDocument"]["x"] == whole["updateDescription"]["updatedFields"]["x"] == "q" * 9_000_000
    assert [e["documentKey"]["_id"] for e in second[1:] + rest] == [2]
    again = Raw(db, "c", {"fullDocument": "updateLookup", "resumeAfter": first[0]["_id"]},
                [{"$changeStreamSplitLargeEvent": {}}])
    assert again.more()[0]["splitEvent"] == {"fragment": 2, "of": 2}
    failure(7182802, lambda: Raw(db, "c", {}, [{"$changeStreamSplitLargeEvent": {}}, {"$match": {}}]))


def test_fragments_cut_across_two_get_mores_with_small_events(client, db):
    client.admin.command({"sandboxSet": {"splitBytes": 2000}})
    stream = Raw(db, "c", {}, [{"$changeStreamSplitLargeEvent": {}}])
    db.c.insert_one({"_id": 1, "x": "y" * 3000})
    db.c.insert_one({"_id": 2})
    cut = stream.more(batchSize=1)
    assert cut[0]["splitEvent"] == {"fragment": 1, "of": 3} and stream.token == cut[0]["_id"]
    rest = stream.more()
    assert [e.get("splitEvent", {}).get("fragment") for e in rest] == [2, 3, None]
    assert rest[0]["fullDocument"]["x"] == "y" * 3000 and rest[2]["documentKey"] == {"_id": 2}


def test_a_15_9_megabyte_document(db):
    stream = Raw(db, "c")
    db.c.insert_one({"_id": 1, "x": "y" * 15_900_000})
    assert len(stream.more()[0]["fullDocument"]["x"]) == 15_900_000
    assert len(db.c.find_one()["x"]) == 15_900_000


def test_history_lost(client, db):
    stream = Raw(db, "c")
    db.c.insert_many([{"_id": n} for n in range(10)])
    events = stream.more()
    behind = Raw(db, "c", {"resumeAfter": events[0]["_id"]})
    client.admin.command({"sandboxSet": {"window": 4}})
    db.c.insert_one({"_id": 10})
    for act in (lambda: Raw(db, "c", {"resumeAfter": events[3]["_id"]}), behind.more,
                lambda: Raw(db, "c", {"startAtOperationTime": events[0]["clusterTime"]})):
        assert failure(286, act).has_error_label("NonResumableChangeStreamError")
    kept = Raw(db, "c", {"resumeAfter": events[7]["_id"]})
    assert [e["documentKey"]["_id"] for e in kept.more()] == [8, 9, 10]
    client.admin.command({"sandboxSet": {"floor": -1}})
    failure(286, lambda: Raw(db, "c", {"resumeAfter": events[9]["_id"]}))


def test_events_that_share_one_cluster_time(client, db):
    stream = Raw(db, "c")
    client.admin.command({"sandboxGroup": f"{db.name}.c", "documents": [{"_id": n} for n in range(4)]})
    db.c.insert_one({"_id": 4})
    events = stream.more()
    assert len({e["clusterTime"] for e in events[:4]}) == 1 and events[4]["clusterTime"] > events[0]["clusterTime"]
    assert len({e["_id"]["_data"] for e in events}) == 5
    inside = Raw(db, "c", {"resumeAfter": events[1]["_id"]})
    assert [e["documentKey"]["_id"] for e in inside.more()] == [2, 3, 4]
    at = Raw(db, "c", {"startAtOperationTime": events[0]["clusterTime"]})
    assert len(at.more()) == 5


def test_a_transactions_events_come_at_its_commit(client, db):
    db.c.insert_one({"_id": 0, "v": 0})
    stream = Raw(db, "c")
    with client.start_session() as session:
        with session.start_transaction():
            db.c.insert_one({"_id": 1}, session=session)
            db.c.update_one({"_id": 0}, {"$set": {"v": 1}}, session=session)
            assert stream.more(50) == []
        with session.start_transaction():
            db.c.insert_one({"_id": 2}, session=session)
            session.abort_transaction()
    events = stream.more()
    assert kinds(events) == ["insert", "update"] and events[0]["clusterTime"] == events[1]["clusterTime"]
    assert events[0]["lsid"]["id"] == events[1]["lsid"]["id"] and events[0]["txnNumber"] == events[1]["txnNumber"] == 1


# --- faults ------------------------------------------------------------------------------------------------------------

def script(client, *rules):
    client.admin.command("sandboxFaults", list(rules))


@pytest.mark.parametrize("rule", [
    {"command": "streamGetMore", "at": 2, "code": 91}, {"command": "streamGetMore", "at": 2, "code": 43},
    {"command": "streamGetMore", "at": 2, "close": "before"}, {"command": "streamGetMore", "at": 2, "close": "after"},
    {"command": "streamGetMore", "at": 2, "partial": True}, {"command": "streamGetMore", "at": 2, "stepdown": True},
    {"command": "streamGetMore", "at": 2, "kill_cursor": True}, {"command": "streamGetMore", "times": 3, "delay_ms": 50}])
def test_the_driver_resumes_and_loses_nothing(client, db, rule):
    with db.c.watch(max_await_time_ms=100, batch_size=10) as stream:
        db.c.insert_many([{"_id": n} for n in range(100)])
        script(client, rule)
        assert [e["documentKey"]["_id"] for e in take(stream, 100)] == list(range(100))
    assert client.admin.command("sandboxStatus")["faults"][0]["hits"] >= 1


def test_errors_by_script(client, db):
    stream = Raw(db, "c")
    script(client, {"command": "streamGetMore", "code": 91}, {"command": "streamGetMore", "at": 2, "code": 91, "labels": []},
           {"command": "streamGetMore", "at": 3, "code": 286, "kill_cursor": True},
           {"command": "changeStream", "code": 280}, {"command": "find", "at": 2, "code": 13},
           {"command": "insert", "collection": "d", "code": 10107, "times": 2})
    assert failure(91, stream.more).has_error_label(RESUMABLE)
    assert not failure(91, stream.more).has_error_label(RESUMABLE)
    failure(286, stream.more)
    failure(43, stream.more)
    failure(280, lambda: Raw(db, "c"))
    assert db.c.find_one() is None
    failure(13, db.c.find_one)
    db.c.insert_one({})
    with pytest.raises(NotPrimaryError):
        db.d.insert_one({})
    failure(9, lambda: script(client, {"command": "find", "explode": 1}))


def test_every_get_more_failing_for_a_while(client, db):
    stream = Raw(db, "c")
    script(client, {"command": "streamGetMore", "seconds": 0.5, "code": 189})
    began = time.monotonic()
    while True:
        try:
            stream.more(10)
            break
        except AutoReconnect:
            assert time.monotonic() - began < 10
    assert time.monotonic() - began >= 0.4


def test_a_reply_lost_after_the_write_is_applied_once(client, db):
    script(client, {"command": "insert", "close": "after"})
    db.c.insert_one({"_id": 1})                   # pymongo repeats it with the same txnNumber
    assert db.c.count_documents({}) == 1
    script(client, {"command": "insert", "close": "after"})
    bare = client.get_database(db.name).client
    with pytest.raises(AutoReconnect):
        pymongo.MongoClient(bare.address[0], bare.address[1], retryWrites=False, directConnection=True)[db.name].c.insert_one(
            {"_id": 2})
    assert db.c.count_documents({}) == 2


def test_stall(client, db):
    db.c.insert_one({"_id": 1})
    client.admin.command("sandboxStall", True)
    answered = []
    waiting = threading.Thread(target=lambda: answered.append(db.c.find_one()))
    waiting.start()
    waiting.join(0.4)
    assert waiting.is_alive() and client.admin.command("ping")["ok"]
    client.admin.command("sandboxStall", False)
    waiting.join(10)
    assert answered == [{"_id": 1}]


def test_faults_from_a_file_and_the_port_file(start, tmp_path):
    (tmp_path / "faults.json").write_text(json.dumps([{"command": "find", "code": 13, "message": "not allowed"}]))
    sandbox = start("--faults", str(tmp_path / "faults.json"), "--port-file", str(tmp_path / "port"))
    assert int((tmp_path / "port").read_text()) == sandbox.port
    assert "not allowed" in str(failure(13, sandbox.client().a.c.find_one))


def test_raw_bytes_are_stored_as_they_came(client, db):
    bad = bytearray(bson.encode({"_id": 1, "s": "abcd"}))
    bad[bad.index(b"abcd")] = 0xFF
    stream = Raw(db, "c")
    client.admin.command({"sandboxPut": f"{db.name}.c", "bson": Binary(bytes(bad))})
    with pytest.raises(bson.errors.InvalidBSON):
        stream.more()
    with pytest.raises(bson.errors.InvalidBSON):
        db.c.find_one()


# --- login and TLS -----------------------------------------------------------------------------------------------------

def test_scram(start):
    sandbox = start("--user", "loader", "--password", "s3cret")
    good = sandbox.client()
    good.a.c.insert_one({"_id": 1})
    assert good.admin.command("connectionStatus")["authInfo"]["authenticatedUsers"] == [{"user": "loader", "db": "admin"}]
    for user, password in (("loader", "wrong"), ("nobody", "s3cret")):
        uri = f"mongodb://{user}:{password}@127.0.0.1:{sandbox.port}/?replicaSet=rs0"
        failure(18, sandbox.client(uri).a.c.find_one)
    anonymous = sandbox.client(f"mongodb://127.0.0.1:{sandbox.port}/?replicaSet=rs0")
    failure(13, anonymous.a.c.find_one)
    explicit = sandbox.client(sandbox.uri + "&authMechanism=SCRAM-SHA-256")
    assert explicit.a.c.count_documents({}) == 1


def certificate(folder, name: str, host: str):
    key, cert = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName={host}"], check=True, capture_output=True)
    return str(cert), str(key)


def test_tls(start, tmp_path):
    cert, key = certificate(tmp_path, "good", "IP:127.0.0.1")
    other, _ = certificate(tmp_path, "other", "IP:127.0.0.1")
    sandbox = start("--tls-cert", cert, "--tls-key", key)
    assert sandbox.client(tlsCAFile=cert).admin.command("ping")["ok"]
    assert sandbox.client(tlsAllowInvalidCertificates=True).admin.command("ping")["ok"]
    for options in ({"tlsCAFile": other}, {}):
        with pytest.raises(ServerSelectionTimeoutError, match="certificate verify failed"):
            sandbox.client(serverSelectionTimeoutMS=1000, **options).admin.command("ping")


def test_a_certificate_for_another_host(start, tmp_path):
    cert, key = certificate(tmp_path, "elsewhere", "DNS:elsewhere.example")
    sandbox = start("--tls-cert", cert, "--tls-key", key)
    with pytest.raises(ServerSelectionTimeoutError, match="(?i)mismatch"):
        sandbox.client(tlsCAFile=cert, serverSelectionTimeoutMS=1000).admin.command("ping")
    assert sandbox.client(tlsCAFile=cert, tlsAllowInvalidHostnames=True).admin.command("ping")["ok"]


# --- generator, workload, truth ----------------------------------------------------------------------------------------

def test_generated_events_are_distinct_seeded_and_sized(start):
    one, two = start("--generate", "3000", "--seed", "7"), start("--generate", "3000", "--seed", "7")
    read = []
    for sandbox in (one, two):
        documents = sandbox.client(document_class=RawBSONDocument)
        with documents.shop.orders.watch(start_at_operation_time=Timestamp(1, 1), max_await_time_ms=100) as stream:
            read.append(take(stream, 3000))
    sizes = [len(event.raw) for event in read[0]]
    assert 500 <= min(sizes) and max(sizes) <= 600, (min(sizes), max(sizes))
    assert len({event["_id"]["_data"] for event in read[0]}) == 3000
    assert [e["fullDocument"].raw for e in read[0]] == [e["fullDocument"].raw for e in read[1]]
    assert len({e["fullDocument"].raw for e in read[0]}) == 3000
    kept = one.client(document_class=RawBSONDocument).shop.orders
    assert [d.raw for d in kept.find()] == [e["fullDocument"].raw for e in read[0]]
    assert one.client().shop.orders.update_one({"_id": read[0][5]["documentKey"]["_id"]}, {"$set": {"v": 1}}).modified_count


def test_the_measurement_reads_each_event_once():
    run = subprocess.run([sys.executable, "-m", "Sandbox.mongo.measure", "--events", "5000", "--documents", "5000"],
                         cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "distinct tokens: 5000" in run.stdout


def test_lazy_documents_behave_as_kept_ones(client, db):
    for name, lazy in (("kept", False), ("lazy", True)):
        client.admin.command({"sandboxLoad": f"{db.name}.{name}", "count": 2000, "seed": 3, "lazy": lazy})
    ids = [d["_id"] for d in db.kept.find({}, {"_id": 1})]
    assert list(db.kept.find()) == list(db.lazy.find())
    for collection in (db.kept, db.lazy):
        collection.delete_one({"_id": ids[10]})
        collection.update_one({"_id": ids[20]}, {"$set": {"v": 1}})
        collection.insert_many([{"_id": 5}, {"_id": ObjectId("f" * 24)}])
        collection.delete_one({"_id": ids[30]})
        collection.insert_one({"_id": ids[30], "back": True})
    assert list(db.kept.find()) == list(db.lazy.find())
    assert db.lazy.count_documents({}) == db.lazy.estimated_document_count() == 2001
    middle = {"_id": {"$gt": ids[15], "$lte": ids[40]}}
    assert list(db.kept.find(middle).sort("_id", -1)) == list(db.lazy.find(middle).sort("_id", -1))


def truth(client, tmp_path):
    path = str(tmp_path / "truth.sqlite")
    client.admin.command({"sandboxTruth": path})
    return sqlite3.connect(path)


def test_truth_of_a_copy_under_changes(start, tmp_path):
    sandbox = start("--documents", "5000", "--mixed-ids", "--seed", "4")
    client = sandbox.client(document_class=RawBSONDocument)
    db = client.shop
    stream = Raw(db, "orders", {"fullDocument": "updateLookup"})
    client.admin.command({"sandboxWorkload": "shop.orders", "rate": 3000, "changes": 3000, "mixedIds": True})
    copied = [d.raw for d in db.orders.find().batch_size(50)]
    events = []
    while client.admin.command({"sandboxWorkload": "status"})["running"]:
        events += stream.more(20, batchSize=100)
    while batch := stream.more(200):
        events += batch
    done = client.admin.command({"sandboxWorkload": "stop"})
    assert (done["changes"], done["error"]) == (3000, "") and len(events) == 3000
    base = truth(client, tmp_path)
    opened, = base.execute("SELECT place FROM stream WHERE number=1").fetchone()
    # each event, in order
    log = base.execute("SELECT token, operation, document_key, update_description, place FROM event WHERE place > ? "
                       "ORDER BY place", (opened,)).fetchall()
    assert [row[0] for row in log] == [e["_id"]["_data"] for e in events]
    assert [row[1] for row in log] == [e["operationType"] for e in events]
    assert [row[2] for row in log] == [e["documentKey"].raw for e in events]
    # each looked-up document is one that was served for that token
    for event, row in zip(events, log, strict=True):
        if event["operationType"] == "update":
            assert row[3] == event["updateDescription"].raw
            served = [raw for raw, in base.execute(
                "SELECT v.bson FROM served s LEFT JOIN version v ON v.version = s.version WHERE s.place = ?", (row[4],))]
            full = event["fullDocument"]
            assert (None if full is None else full.raw) in served
    # the copy carried, for each batch, exactly the versions that lived when it was read
    scan, = base.execute("SELECT number FROM scan ORDER BY number LIMIT 1").fetchone()
    owed = [raw for raw, in base.execute(
        "SELECT v.bson FROM scan_batch b JOIN version v ON v.rank BETWEEN b.from_rank AND b.to_rank AND "
        "v.from_place <= b.place AND (v.to_place IS NULL OR b.place < v.to_place) WHERE b.number = ? AND v.coll='orders' "
        "ORDER BY v.rank", (scan,))]
    assert owed == copied
    # the last state
    last = [raw for raw, in base.execute("SELECT bson FROM version WHERE to_place IS NULL ORDER BY rank")]
    assert last == [d.raw for d in db.orders.find()]


def test_a_workload_is_the_same_for_the_same_seed(start):
    ends = []
    for _ in range(2):
        sandbox = start("--documents", "300")
        admin = sandbox.client().admin
        admin.command({"sandboxWorkload": "shop.orders", "seed": 5, "rate": 0, "changes": 2000})
        while admin.command({"sandboxWorkload": "status"})["running"]:
            time.sleep(0.01)
        ends.append([d.raw for d in sandbox.client(document_class=RawBSONDocument).shop.orders.find()])
    assert ends[0] == ends[1] and len(ends[0]) > 300


def test_truth_through_drop_rename_and_reload(client, db, tmp_path):
    db.c.insert_many([{"_id": n} for n in range(3)])
    db.c.rename("d")
    db.d.update_one({"_id": 1}, {"$set": {"v": 1}})
    db.d.drop()
    client.admin.command({"sandboxLoad": f"{db.name}.c", "count": 5, "lazy": True})
    db.c.delete_one({"_id": db.c.find_one()["_id"]})
    base = truth(client, tmp_path)
    alive = base.execute("SELECT coll, count(*) FROM version WHERE db=? AND to_place IS NULL GROUP BY coll", (db.name,))
    assert alive.fetchall() == [("c", 4)]
    lived = base.execute("SELECT coll, count(*), count(to_place) FROM version WHERE db=? GROUP BY coll ORDER BY coll",
                         (db.name,)).fetchall()
    assert lived == [("c", 8, 4), ("d", 4, 4)]


# --- the process -------------------------------------------------------------------------------------------------------

def test_it_listens_on_loopback_only(shared):
    listening = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True).stdout if os.path.exists(
        "/usr/bin/ss") else ""
    if listening:
        assert f"127.0.0.1:{shared.port}" in listening and f"0.0.0.0:{shared.port}" not in listening
    wanted = f"{struct.unpack('<I', socket.inet_aton('127.0.0.1'))[0]:08X}:{shared.port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:
        locals_ = [line.split()[1] for line in table if line.split()[3] == "0A"]
    assert [place for place in locals_ if place.endswith(f":{shared.port:04X}")] == [wanted]


def test_sigterm_ends_it_while_clients_wait(start):
    sandbox = start()
    stream = Raw(sandbox.client().a, "c")

    def wait():
        with contextlib.suppress(pymongo.errors.PyMongoError):      # an empty batch, or a closed connection
            stream.more(30_000)
    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.2)
    assert sandbox.stop() == 0
    waiting.join(10)
    assert not waiting.is_alive()


def test_bad_messages_end_only_their_connection(shared, client):
    for junk in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", struct.pack("<iiii", 2**31 - 1, 1, 0, 2013),
                 struct.pack("<iiii", 21, 1, 0, 2013) + b"\0\0\0\0\7", struct.pack("<iiii", 20, 1, 0, 9) + b"abcd"):
        with socket.create_connection(("127.0.0.1", shared.port), 5) as raw:
            raw.sendall(junk)
            raw.shutdown(socket.SHUT_WR)
            raw.recv(1000)
    assert client.admin.command("ping")["ok"]

