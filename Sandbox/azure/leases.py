"""Leases of a path: the states available, leased, breaking, broken and expired, and what each lets through."""
import re
import uuid

from .errors import AzureError

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Lease:
    __slots__ = ("id", "duration", "expires", "breaks")

    def __init__(self, name, duration, now):
        self.id, self.duration, self.breaks, self.expires = name, duration, None, None
        self.renew(now)

    def renew(self, now):
        self.expires = None if self.duration == -1 else now + self.duration

    def state(self, now):
        if self.breaks is not None:
            return "breaking" if now < self.breaks else "broken"
        return "expired" if self.expires is not None and now >= self.expires else "leased"


def state(node, now):
    return "available" if node.lease is None else node.lease.state(now)


def headers(node, now):
    found = state(node, now)
    locked = found in ("leased", "breaking")
    given = {"x-ms-lease-status": "locked" if locked else "unlocked", "x-ms-lease-state": found}
    if found == "leased":
        given["x-ms-lease-duration"] = "infinite" if node.lease.duration == -1 else "fixed"
    return given


def check(node, given, now, writes=True):
    """Lets a use of the path through, or refuses it. A write without an id ends what is left of a lost lease."""
    lease = node.lease
    if lease is None:
        if given:
            raise AzureError("LeaseNotPresentWithBlobOperation")
        return
    if lease.state(now) in ("leased", "breaking"):
        if not given:
            if writes:
                raise AzureError("LeaseIdMissing")
        elif given.lower() != lease.id:
            raise AzureError("LeaseIdMismatchWithBlobOperation")
    elif given:
        raise AzureError("LeaseLost" if given.lower() == lease.id else "LeaseIdMismatchWithBlobOperation")
    elif writes:
        node.lease = None


def guid(text, code="InvalidHeaderValue"):
    text = text.lower()
    if not _GUID.fullmatch(text):
        raise AzureError(code)
    return text


def _duration(headers):
    if "x-ms-lease-duration" not in headers:
        raise AzureError("MissingRequiredHeader", "x-ms-lease-duration")
    try:
        duration = int(headers["x-ms-lease-duration"])
    except ValueError:
        raise AzureError("InvalidHeaderValue", "x-ms-lease-duration") from None
    if duration != -1 and not 15 <= duration <= 60:
        raise AzureError("InvalidHeaderValue", "x-ms-lease-duration")
    return duration


def acquire(node, headers, now):
    proposed = guid(headers["x-ms-proposed-lease-id"]) if headers.get("x-ms-proposed-lease-id") else str(uuid.uuid4())
    duration, lease = _duration(headers), node.lease
    found = state(node, now)
    if found == "leased" and lease.id != proposed:
        raise AzureError("LeaseAlreadyPresent")
    if found == "breaking":
        raise AzureError("LeaseIsBreakingAndCannotBeAcquired" if lease.id == proposed else "LeaseAlreadyPresent")
    node.lease = Lease(proposed, duration, now)
    return 201, {"x-ms-lease-id": proposed}


def _held(node, headers, absent):
    """The lease that the request names, whatever its state."""
    if not headers.get("x-ms-lease-id"):
        raise AzureError("MissingRequiredHeader", "x-ms-lease-id")
    if node.lease is None:
        raise AzureError(absent)
    return node.lease, headers["x-ms-lease-id"].lower()


def renew(node, headers, now):
    lease, given = _held(node, headers, "LeaseIdMismatchWithLeaseOperation")
    if given != lease.id:
        raise AzureError("LeaseIdMismatchWithLeaseOperation")
    if lease.breaks is not None:
        raise AzureError("LeaseIsBrokenAndCannotBeRenewed")
    lease.renew(now)
    return 200, {"x-ms-lease-id": lease.id}


def change(node, headers, now):
    lease, given = _held(node, headers, "LeaseNotPresentWithLeaseOperation")
    if not headers.get("x-ms-proposed-lease-id"):
        raise AzureError("MissingRequiredHeader", "x-ms-proposed-lease-id")
    proposed = guid(headers["x-ms-proposed-lease-id"])
    found = lease.state(now)
    if found in ("broken", "expired"):
        raise AzureError("LeaseNotPresentWithLeaseOperation")
    if lease.id not in (given, proposed):
        raise AzureError("LeaseIdMismatchWithLeaseOperation")
    if found == "breaking":
        raise AzureError("LeaseIsBreakingAndCannotBeChanged")
    lease.id = proposed
    return 200, {"x-ms-lease-id": proposed}


def release(node, headers, now):
    lease, given = _held(node, headers, "LeaseIdMismatchWithLeaseOperation")
    if given != lease.id:
        raise AzureError("LeaseIdMismatchWithLeaseOperation")
    node.lease = None
    return 200, {}


def break_(node, headers, now):
    lease = node.lease
    if lease is None:
        raise AzureError("LeaseNotPresentWithLeaseOperation")
    period = headers.get("x-ms-lease-break-period")
    if period is not None and (not period.isdigit() or int(period) > 60):
        raise AzureError("InvalidHeaderValue", "x-ms-lease-break-period")
    found = lease.state(now)
    if found in ("broken", "expired"):
        lease.breaks = now
    else:
        ends = lease.breaks if found == "breaking" else lease.expires
        asked = now + int(period) if period is not None else (ends if ends is not None else now)
        lease.breaks = asked if ends is None else min(asked, ends)
    return 202, {"x-ms-lease-time": str(max(0, round(lease.breaks - now)))}


ACTIONS = {"acquire": acquire, "renew": renew, "change": change, "release": release, "break": break_}


def act(node, headers, now):
    """(status, headers) of the Lease operation."""
    action = ACTIONS.get(headers.get("x-ms-lease-action", ""))
    if action is None:
        raise AzureError("InvalidHeaderValue" if headers.get("x-ms-lease-action") else "MissingRequiredHeader", "x-ms-lease-action")
    return action(node, headers, now)
