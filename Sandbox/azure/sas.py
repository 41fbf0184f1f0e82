"""Shared access signatures: service SAS of a container, a directory or a path, and account SAS."""
import datetime
import hmac
import ipaddress

from .errors import AzureError
from .shared_key import sign

_SERVICE = ("si", "sip", "spr", "sv", "sr")
_ANSWER = ("rscc", "rscd", "rsce", "rscl", "rsct")


def _service(query, account, filesystem, path, depth):
    value = lambda name: query.get(name, "")
    kind = value("sr")
    if kind == "c":
        resource = filesystem
    elif kind == "d":
        resource = "/".join([filesystem, *path.split("/")[:depth]] if depth else [filesystem])
    else:
        resource = f"{filesystem}/{path}"
    newer = [""] if value("sv") < "2020-12-06" else ["", value("ses")]      # snapshot, then the encryption scope
    return "\n".join([value("sp"), value("st"), value("se"), f"/blob/{account}/{resource}", *map(value, _SERVICE), *newer, *map(value, _ANSWER)])


def _account(query, account):
    value = lambda name: query.get(name, "")
    parts = [account, *map(value, ("sp", "ss", "srt", "st", "se", "sip", "spr", "sv"))]
    if value("sv") >= "2020-12-06":
        parts.append(value("ses"))
    return "\n".join(parts) + "\n"


def _seconds(text):
    when = datetime.datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=datetime.timezone.utc)).timestamp()


def _in_time(query, now):
    try:
        begins, ends = (_seconds(query[name]) if query.get(name) else None for name in ("st", "se"))
    except ValueError:
        raise AzureError("AuthenticationFailed", "Signature fields not well formed.") from None
    if ends is None:
        raise AzureError("AuthenticationFailed", "Signature fields not well formed.")
    if now >= ends or begins is not None and now < begins:
        stamp = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
        raise AzureError("AuthenticationFailed", f"Signature not valid in the specified time frame: Start [{query.get('st', '')}] - "
                         f"Expiry [{query['se']}] - Current [{stamp}]")


def _origin(query, call):
    allowed = query.get("spr", "https,http").split(",")
    if ("https" if call.connection.secure else "http") not in allowed:
        raise AzureError("AuthorizationProtocolMismatch")
    if query.get("sip"):
        first, _, last = query["sip"].partition("-")
        if not ipaddress.ip_address(first) <= ipaddress.ip_address(call.connection.peer) <= ipaddress.ip_address(last or first):
            raise AzureError("AuthorizationSourceIPMismatch")


def verify(world, call, query=None, path=None, permissions=None):
    """Checks the SAS in `query` (default: the request's own) for the path and the permissions that its operation wants."""
    query = call.request.query if query is None else query
    operation = call.operation
    if path is None:
        path = call.query.get("directory", "").strip("/") if operation.name == "list" else call.path
    permissions = operation.sas if permissions is None else permissions
    for name in ("sv", "sp"):
        if name not in query:
            raise AzureError("AuthenticationFailed", "Signature fields not well formed.")
    if "skoid" in query:
        raise AzureError("AuthenticationFailed", "The stand-in has no user delegation keys.")
    if "ss" in query:
        text = _account(query, world.account)
    else:
        text = _service(query, world.account, call.filesystem, path, int(query.get("sdd") or 0))
    if not any(hmac.compare_digest(sign(key, text), query["sig"]) for key in world.keys):
        raise AzureError("AuthenticationFailed", f"Signature did not match. String to sign used was {text}")
    _in_time(query, call.now)
    _origin(query, call)
    if "ss" in query:
        if "b" not in query["ss"]:
            raise AzureError("AuthorizationServiceMismatch")
        if operation.level not in query.get("srt", ""):
            raise AzureError("AuthorizationResourceTypeMismatch")
    elif operation.level != "o" and operation.name not in ("list", "blob_list") or query.get("sr") == "b" and operation.level != "o":
        raise AzureError("AuthorizationFailure")
    if not set(permissions) & set(query["sp"]):
        raise AzureError("AuthorizationPermissionMismatch")
