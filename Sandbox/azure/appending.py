"""Append and flush: what is appended stays invisible until a flush names exactly the length that it makes.

A flush takes the pending ranges below its position. They must follow each other without a gap and without an overlap (a range left
behind by another writer makes them not contiguous), else 400 InvalidFlushPosition. The other ranges are dropped unless they are to be
retained. Nothing that is refused changes anything."""
from . import leases
from .calls import operation
from .connection import Response
from .errors import AzureError
from .segments import add


def _ready(node, position, extra=None):
    """The positions that a flush to `position` takes, in order."""
    at, taken = node.length, []
    pending = node.pending if extra is None else {**node.pending, extra[0]: extra[1]}
    for start in sorted(pending):
        if start >= position:
            break
        if start != at:
            raise AzureError("InvalidFlushPosition")
        at += pending[start][2]
        taken.append(start)
    if at != position:
        raise AzureError("InvalidFlushPosition")
    return taken


def _commit(call, node, taken, position, retain, close):
    for start in taken:
        add(node.extents, node.pending.pop(start))
    if not retain:
        call.world.store.discard(node, node.pending)
    node.appends += len(taken)
    node.flushes += 1
    node.closes += close
    node.length = position
    node.touch(call.now)


class _Leasing:
    """x-ms-lease-action of append and flush: acquire and renew before, release after; a failure leaves the lease as it was."""

    def __init__(self, call, node):
        self.call, self.node, self.action, self.old = call, node, call.headers.get("x-ms-lease-action"), node.lease
        self.renewed = False

    def __enter__(self):
        call, node, now = self.call, self.node, self.call.world.lease_now()
        if self.action in ("acquire", "acquire-release"):
            leases.acquire(node, call.headers, now)
        elif self.action in (None, "auto-renew", "release"):
            call.check_lease(node)
            if self.action == "auto-renew" and node.lease is not None:
                node.lease.renew(now)
                self.renewed = True
        else:
            raise AzureError("InvalidHeaderValue", "x-ms-lease-action")
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self.node.lease = self.old
        elif self.action in ("release", "acquire-release"):
            self.node.lease = None


@operation("append", "aw", "write")
def append(call):
    filesystem, node = call.file()
    request, settings = call.request, call.world.settings
    with _Leasing(call, node) as leasing:
        position, flush = call.number("position"), call.flag("flush")
        if not request.length:
            raise AzureError("InvalidHeaderValue", "Content-Length")
        if request.length > settings.max_append_bytes:
            raise AzureError("RequestBodyTooLarge")
        md5 = call.check_md5()
        if position < node.length:
            raise AzureError("InvalidFlushPosition" if flush else "InvalidQueryParameterValue", "position is below the committed length")
        if node.origin == "blob":
            raise AzureError("InvalidFlushOperation")
        if node.appends + len(node.pending) + (position not in node.pending) > settings.max_appends:
            raise AzureError("BlockCountExceedsLimit")
        taken = _ready(node, position + request.length, (position, (None, 0, request.length))) if flush else None
        old = node.pending.pop(position, None)
        if old is not None:
            call.world.segments.release([old])
        node.pending[position] = request.stored(call.world.segments)
        if flush:
            _commit(call, node, taken, position + request.length, call.flag("retainuncommitteddata"), call.flag("close"))
            return call.changed(202, node, **{"x-ms-lease-renewed": str(leasing.renewed).lower(), **md5})
    return Response(202, {"x-ms-request-server-encrypted": "true", **md5})


@operation("flush", "w", "write")
def flush(call):
    filesystem, node = call.file()
    with _Leasing(call, node) as leasing:
        call.no_body()
        call.condition(node)
        if node.origin == "blob":
            raise AzureError("InvalidFlushOperation")
        position = call.number("position")
        taken = _ready(node, position)
        call.take_content_headers(node)
        _commit(call, node, taken, position, call.flag("retainuncommitteddata"), call.flag("close"))
    return call.changed(200, node, **{"x-ms-lease-renewed": str(leasing.renewed).lower()})
