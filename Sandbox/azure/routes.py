"""Which operation a request is, at which endpoint, and on what.

The real endpoints differ by host: ACCOUNT.dfs.… and ACCOUNT.blob.…; those names work here as well (http://ACCOUNT.dfs.localhost:port/fs).
In the path form http://127.0.0.1:port/ACCOUNT/fs one port serves both, and the request's own form tells: what only one endpoint has
(`resource`, `action`, … or `restype`, `comp`, x-ms-blob-type) decides; a plain GET, HEAD or DELETE of a path is the DFS endpoint's,
but the Blob endpoint's if it accepts XML. The strict ports `dfs` and `blob` refuse the other's forms."""
from . import appending, blob, blob_list, dfs      # they register their operations  # noqa: F401
from .calls import OPERATIONS
from .errors import AzureError

_DFS = {"resource", "action", "mode", "recursive", "position"}
_BLOB = {"comp", "restype", "blockid"}


def endpoint_of(request, account):
    """(endpoint it reached or None, account in the host)"""
    host = request.headers.get("host", "")
    if host.startswith(account + "."):
        label = host.split(".", 2)[1]
        if label in ("dfs", "blob"):
            return label, True
    return request.connection.endpoint, False


def form_of(request):
    """The endpoint whose form a request has, or None when both have it."""
    query = request.query
    if request.method == "PATCH" or "x-ms-rename-source" in request.headers or not _DFS.isdisjoint(query):
        return "dfs"
    if not _BLOB.isdisjoint(query) or "x-ms-blob-type" in request.headers:
        return "blob"
    return "dfs" if request.method == "POST" else None


def locate(call, in_host):
    """Sets endpoint, file system and path."""
    request, account = call.request, call.world.account
    path = request.path[1:]
    if not in_host:
        first, _, path = path.partition("/")
        if first != account:
            raise AzureError("InvalidUri", f"the account of this stand-in is {account}, not {first}")
    form, reached = form_of(request), call.endpoint
    if reached is not None and form not in (None, reached):
        raise AzureError("UnsupportedQueryParameter", f"this form belongs to the {form} endpoint, and this is the {reached} endpoint")
    call.endpoint = reached or form or ("blob" if "xml" in request.headers.get("accept", "") else "dfs")
    call.filesystem, _, rest = path.partition("/")
    call.path = rest.strip("/")
    if "//" in rest or any(part in (".", "..") for part in call.path.split("/")) or len(rest) > 1024:
        raise AzureError("InvalidUri")


def find(call):
    """The operation, by name."""
    method, query = call.request.method, call.query
    name = (_dfs if call.endpoint == "dfs" else _blob)(call, method, query)
    if name is None:
        raise AzureError("UnsupportedHttpVerb", f"the stand-in has no {method} of this form at the {call.endpoint} endpoint")
    return OPERATIONS[name]


def _dfs(call, method, query):
    resource = query.get("resource")
    if not call.filesystem:
        return "filesystem_list" if method == "GET" and resource == "account" else None
    if not call.path and resource == "filesystem":
        return {"PUT": "filesystem_create", "DELETE": "filesystem_delete", "HEAD": "filesystem_properties", "PATCH": "filesystem_set_properties",
                "GET": "list"}.get(method)
    if method == "PUT":
        return "rename" if "x-ms-rename-source" in call.headers else "create"
    if method == "PATCH":
        action = query.get("action", "").lower()
        found = {"append": "append", "flush": "flush", "setproperties": "set_properties", "setaccesscontrol": "set_access"}.get(action)
        if found is None:
            raise AzureError("InvalidQueryParameterValue" if action else "MissingRequiredQueryParameter", "action")
        return found
    return {"HEAD": "properties", "GET": "read", "DELETE": "delete", "POST": "lease"}.get(method)


def _blob(call, method, query):
    comp, restype = query.get("comp"), query.get("restype")
    if restype == "account" and comp == "properties":
        return "account_info"
    if not call.filesystem:
        return "container_list" if method == "GET" and comp == "list" else None
    if restype == "container":
        if comp == "list":
            return "blob_list" if method == "GET" else None
        if comp == "metadata" and method == "PUT":
            return "filesystem_set_properties"
        if comp in (None, "metadata"):
            return {"PUT": "filesystem_create", "DELETE": "filesystem_delete", "HEAD": "filesystem_properties",
                    "GET": "filesystem_properties"}.get(method)
        return None
    if method == "PUT":
        return {None: "blob_put", "block": "blob_block", "blocklist": "blob_block_list", "appendblock": "blob_append", "lease": "lease",
                "metadata": "blob_set_metadata", "properties": "blob_set_properties"}.get(comp)
    if method in ("GET", "HEAD"):
        plain = "read" if method == "GET" else "properties"
        return {None: plain, "blocklist": "blob_get_block_list", "metadata": "blob_metadata"}.get(comp)
    return "blob_delete" if method == "DELETE" and comp is None else None
