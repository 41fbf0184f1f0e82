"""Commands that exist only here. They are exempt from faults and stalls."""
from bson import Int64

from .registry import command


@command("sandboxFaults")
def faults(server, connection, request):
    """{sandboxFaults: [rule, …], keep: false}: replaces (or adds to) the fault script; see `faults`."""
    server.faults.install(request.body["sandboxFaults"], bool(request.body.get("keep")))
    return {"ok": 1.0}


@command("sandboxStall")
def stall(server, connection, request):
    """{sandboxStall: true | false}: stop answering everything but handshakes and these commands, or go on."""
    server.faults.stall(bool(request.body["sandboxStall"]))
    return {"ok": 1.0}


@command("sandboxStatus")
def status(server, connection, request):
    log = server.log
    return {"events": Int64(len(log.entries)), "floor": Int64(log.floor), "served": Int64(server.events_served),
            "openStreams": len(server.cursors.streams()), "connections": len(server.connections),
            "faults": [rule.spec | {"seen": rule.seen, "hits": rule.hits} for rule in server.faults.rules], "ok": 1.0}
