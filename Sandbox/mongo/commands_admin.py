"""Handshake, server facts, login, and the commands on collections and databases."""
import time

from bson import Binary, Int64, ObjectId, Timestamp
from bson.datetime_ms import DatetimeMS

from . import scram
from .failures import CommandError
from .matching import matches
from .registry import command
from .values import MAX_USER_BYTES, array, encode
from .wire import MAX_MESSAGE_BYTES, OP_QUERY, cursor_reply

VERSIONS = {17: [6, 0, 14, 0], 21: [7, 0, 12, 0], 25: [8, 0, 4, 0]}


def now() -> DatetimeMS:
    return DatetimeMS(int(time.time() * 1000))


@command("hello", "isMaster", before_login=True)
def hello(server, connection, request):
    here, stamp = server.address, server.log.stamp
    op_time = {"ts": Timestamp(stamp >> 32, stamp & 0xFFFFFFFF), "t": Int64(1)}
    answer = {
        "helloOk": True, "isWritablePrimary": True, "ismaster": True, "secondary": False, "setName": "rs0",
        "setVersion": 1, "hosts": [here], "me": here, "primary": here, "electionId": ObjectId("7fffffff0000000000000001"),
        "lastWrite": {"opTime": op_time, "lastWriteDate": now(), "majorityOpTime": op_time, "majorityWriteDate": now()},
        "maxBsonObjectSize": MAX_USER_BYTES, "maxMessageSizeBytes": MAX_MESSAGE_BYTES, "maxWriteBatchSize": 100000,
        "localTime": now(), "logicalSessionTimeoutMinutes": 30, "connectionId": connection.number, "minWireVersion": 0,
        "maxWireVersion": server.settings.wire, "readOnly": False}
    if request.body.get("saslSupportedMechs"):
        answer["saslSupportedMechs"] = ["SCRAM-SHA-256"]
    speculative = request.body.get("speculativeAuthenticate")
    if speculative and request.opcode != OP_QUERY and server.settings.user:
        try:
            answer["speculativeAuthenticate"] = scram.start(server, connection, speculative)
        except CommandError:
            pass                                            # the client then logs in by saslStart and hears why not
    return answer | {"ok": 1.0}


@command("ping", "endSessions", "refreshSessions", "killSessions", "killAllSessions", "logout", before_login=True)
def ping(server, connection, request):
    if "logout" in request.body:
        connection.user = None
    return {"ok": 1.0}


@command("saslStart", before_login=True)
def sasl_start(server, connection, request):
    return scram.start(server, connection, request.body) | {"ok": 1.0}


@command("saslContinue", before_login=True)
def sasl_continue(server, connection, request):
    return scram.proceed(server, connection, request.body) | {"ok": 1.0}


@command("startSession")
def start_session(server, connection, request):
    return {"id": {"id": Binary(ObjectId().binary + b"\0\0\0\0", 4)}, "timeoutMinutes": 30, "ok": 1.0}


@command("buildInfo", before_login=True)
def build_info(server, connection, request):
    parts = VERSIONS.get(server.settings.wire, VERSIONS[21])
    return {"version": ".".join(map(str, parts[:3])), "versionArray": parts, "gitVersion": "nebula-swift sandbox",
            "modules": [], "bits": 64, "debug": False, "maxBsonObjectSize": MAX_USER_BYTES, "ok": 1.0}


@command("serverStatus")
def server_status(server, connection, request):
    return {"host": server.address, "version": build_info(server, connection, request)["version"], "process": "mongod",
            "pid": Int64(server.pid), "uptime": time.monotonic() - server.started, "localTime": now(),
            "connections": {"current": len(server.connections), "available": 1000},
            "repl": {"setName": "rs0", "isWritablePrimary": True, "hosts": [server.address], "me": server.address},
            "oplogTruncation": {}, "ok": 1.0}


@command("replSetGetStatus")
def replica_set_status(server, connection, request):
    stamp = server.log.stamp
    op_time = {"ts": Timestamp(stamp >> 32, stamp & 0xFFFFFFFF), "t": Int64(1)}
    return {"set": "rs0", "myState": 1, "members": [{"_id": 0, "name": server.address, "health": 1.0, "state": 1,
            "stateStr": "PRIMARY", "optime": op_time, "self": True}], "ok": 1.0}


@command("connectionStatus", before_login=True)
def connection_status(server, connection, request):
    users = [{"user": connection.user, "db": "admin"}] if connection.user else []
    roles = [{"role": "root", "db": "admin"}] if connection.user else []
    return {"authInfo": {"authenticatedUsers": users, "authenticatedUserRoles": roles,
                         "authenticatedUserPrivileges": []}, "ok": 1.0}


@command("getParameter", "getCmdLineOpts", "getLog", "whatsmyuri", "hostInfo")
def nothing_to_say(server, connection, request):
    return {"ok": 1.0}


# --- collections -----------------------------------------------------------------------------------------------------

def listing(request, name: str, documents: list):
    return cursor_reply("firstBatch", 0, f"{request.body['$db']}.$cmd.{name}", array([encode(d) for d in documents]), None)


@command("listDatabases")
def list_databases(server, connection, request):
    with server.store.lock:
        sizes = {db: sum(len(c) for c in collections.values()) for db, collections in server.store.databases.items()
                 if collections}
    return {"databases": [{"name": db, "sizeOnDisk": Int64(count * 512), "empty": False} for db, count in sizes.items()],
            "totalSize": Int64(0), "ok": 1.0}


@command("listCollections")
def list_collections(server, connection, request):
    with server.store.lock:
        found = [{"name": c.name, "type": "collection", "options": c.options,
                  "info": {"readOnly": False, "uuid": Binary(c.uuid.bytes, 4)},
                  "idIndex": {"v": 2, "key": {"_id": 1}, "name": "_id_"}}
                 for c in server.store.databases.get(request.body["$db"], {}).values()]
    return listing(request, "listCollections", [c for c in found if matches(c, request.body.get("filter") or {})])


@command("listIndexes")
def list_indexes(server, connection, request):
    name = request.body["listIndexes"]
    target = server.store.collection(request.body["$db"], name)
    if not target:
        raise CommandError(26, f"ns does not exist: {request.body['$db']}.{name}")
    return cursor_reply("firstBatch", 0, target.namespace, array([encode(index) for index in target.indexes]), None)


@command("create")
def create(server, connection, request):
    options = {name: value for name, value in request.body.items()
               if name in ("changeStreamPreAndPostImages", "capped", "size", "max", "validator", "collation")}
    server.store.create(request.body["$db"], request.body["create"], options)
    return {"ok": 1.0}


@command("collMod")
def coll_mod(server, connection, request):
    options = {name: value for name, value in request.body.items()
               if name in ("changeStreamPreAndPostImages", "validator", "validationLevel")}
    server.store.modify(request.body["$db"], request.body["collMod"], options)
    return {"ok": 1.0}


@command("drop")
def drop(server, connection, request):
    if not server.store.drop(request.body["$db"], request.body["drop"]):
        return {"ok": 1.0}
    return {"nIndexesWas": 1, "ns": f"{request.body['$db']}.{request.body['drop']}", "ok": 1.0}


@command("dropDatabase")
def drop_database(server, connection, request):
    dropped = server.store.drop_database(request.body["$db"])
    return ({"dropped": request.body["$db"]} if dropped else {}) | {"ok": 1.0}


@command("renameCollection")
def rename_collection(server, connection, request):
    source, target = (tuple(request.body[name].split(".", 1)) for name in ("renameCollection", "to"))
    server.store.rename(source, target, bool(request.body.get("dropTarget")))
    return {"ok": 1.0}


@command("createIndexes")
def create_indexes(server, connection, request):
    created = not server.store.collection(request.body["$db"], request.body["createIndexes"])
    before, after = server.store.create_indexes(request.body["$db"], request.body["createIndexes"],
                                                request.body["indexes"])
    return {"numIndexesBefore": before, "numIndexesAfter": after, "createdCollectionAutomatically": created, "ok": 1.0}


@command("dropIndexes")
def drop_indexes(server, connection, request):
    was = server.store.drop_indexes(request.body["$db"], request.body["dropIndexes"], request.body["index"])
    return {"nIndexesWas": was, "ok": 1.0}
