"""One storage request on its way: which operation it is, on what, at which endpoint; and what all operations share."""
import base64
import binascii
import email.utils
import hashlib

from . import leases
from .connection import Response
from .errors import AzureError

CONTENT = {"x-ms-content-type": "content-type", "x-ms-content-encoding": "content-encoding", "x-ms-content-language": "content-language",
           "x-ms-content-disposition": "content-disposition", "x-ms-cache-control": "cache-control", "x-ms-content-md5": "content-md5",
           "x-ms-blob-content-type": "content-type", "x-ms-blob-content-encoding": "content-encoding",
           "x-ms-blob-content-language": "content-language", "x-ms-blob-content-disposition": "content-disposition",
           "x-ms-blob-cache-control": "cache-control", "x-ms-blob-content-md5": "content-md5"}
_dates = {}


def http_date(seconds):
    whole = int(seconds)
    found = _dates.get(whole)
    if found is None:
        if len(_dates) > 4096:
            _dates.clear()
        found = _dates[whole] = email.utils.formatdate(whole, usegmt=True)
    return found


def metadata(headers):
    """x-ms-meta-* as properties."""
    return {name[10:]: base64.b64encode(value.encode("latin-1")).decode() for name, value in headers.items() if name.startswith("x-ms-meta-")}


class Operation:
    """`sas`: any of these permissions will do; `level`: service, container or object; `right`: what a bearer's role must allow."""
    __slots__ = ("name", "handler", "sas", "level", "right")

    def __init__(self, name, handler, sas, level, right):
        self.name, self.handler, self.sas, self.level, self.right = name, handler, sas, level, right


OPERATIONS = {}


def operation(name, sas, right, level="o"):
    def register(handler):
        OPERATIONS[name] = Operation(name, handler, sas, level, right)
        return handler
    return register


class Call:
    __slots__ = ("world", "request", "connection", "headers", "query", "endpoint", "filesystem", "path", "operation", "now", "principal")

    def __init__(self, world, request, endpoint):
        self.world, self.request, self.connection, self.endpoint = world, request, request.connection, endpoint
        self.headers, self.query, self.now = request.headers, request.query, world.now()
        self.filesystem, self.path, self.operation, self.principal = "", "", None, None

    # --- what the request names

    def find_filesystem(self):
        found = self.world.store.filesystems.get(self.filesystem)
        if found is None:
            raise AzureError("FilesystemNotFound" if self.endpoint == "dfs" else "ContainerNotFound")
        return found

    def existing(self):
        """The file system and the path's node, which must be there."""
        filesystem = self.find_filesystem()
        node = filesystem.find(self.path)
        if node is None:
            raise AzureError("PathNotFound" if self.endpoint == "dfs" else "BlobNotFound")
        return filesystem, node

    def file(self):
        filesystem, node = self.existing()
        if node.directory:
            raise AzureError("ResourceTypeMismatch")
        return filesystem, node

    def flag(self, name):
        return self.query.get(name, "").lower() == "true"

    def number(self, name, default=None):
        text = self.query.get(name)
        if text is None:
            if default is None:
                raise AzureError("MissingRequiredQueryParameter", name)
            return default
        if not text.isdigit():
            raise AzureError("InvalidQueryParameterValue", name)
        return int(text)

    def base(self):
        return f"{'https' if self.connection.secure else 'http'}://{self.headers.get('host', '')}/"

    # --- conditions and leases

    def condition(self, node, prefix="", exists="", reading=False):
        """Conditional headers; `exists` is the code when If-None-Match: * meets something."""
        headers = self.headers
        match, none = headers.get(prefix + "if-match"), headers.get(prefix + "if-none-match")
        since, until = headers.get(prefix + "if-modified-since"), headers.get(prefix + "if-unmodified-since")
        if match is none is since is until is None:
            return
        failed = AzureError("SourceConditionNotMet" if prefix else "ConditionNotMet")
        if node is None:
            if match:
                raise failed
            return
        if match and match != "*" and match.strip('"') != node.etag.strip('"') or until and int(node.modified) > _seconds(until):
            raise failed
        if none == "*" and exists:
            raise AzureError(exists)
        if none and (none == "*" or none.strip('"') == node.etag.strip('"')) or since and int(node.modified) <= _seconds(since):
            raise AzureError("ConditionNotMet", status=304) if reading else failed

    def check_lease(self, node, header="x-ms-lease-id", writes=True):
        leases.check(node, self.headers.get(header), self.world.lease_now(), writes)

    def check_md5(self):
        given = self.headers.get("content-md5")
        if not given:
            return {}
        try:
            wanted = base64.b64decode(given, validate=True)
        except binascii.Error:
            wanted = b""
        if len(wanted) != 16:
            raise AzureError("InvalidMd5")
        if self.request.digest() != wanted:
            raise AzureError("Md5Mismatch")
        return {"Content-MD5": given}

    def no_body(self):
        if self.request.length:
            raise AzureError("ContentLengthMustBeZero")

    # --- what answers say

    def versions(self, node):
        return {"ETag": node.etag, "Last-Modified": http_date(node.modified)}

    def changed(self, status, node, **headers):
        return Response(status, {**self.versions(node), "x-ms-request-server-encrypted": "true", **headers})

    def described(self, node):
        """All headers of a path, for HEAD and GET."""
        given = {**self.versions(node), "Accept-Ranges": "bytes", "Content-Type": node.content.get("content-type", "application/octet-stream"),
                 "x-ms-resource-type": "directory" if node.directory else "file", "x-ms-creation-time": http_date(node.created),
                 "x-ms-server-encrypted": "true", "x-ms-owner": node.owner, "x-ms-group": node.group, "x-ms-permissions": node.permissions,
                 **leases.headers(node, self.world.lease_now())}
        for name in ("content-encoding", "content-language", "content-disposition", "cache-control", "content-md5"):
            if name in node.content:
                given[name.title().replace("Md5", "MD5")] = node.content[name]
        if self.endpoint == "dfs":
            given["x-ms-properties"] = ",".join(f"{name}={value}" for name, value in node.properties.items())
            return given
        given["x-ms-blob-type"] = node.kind
        if node.kind == "AppendBlob":
            given["x-ms-blob-committed-block-count"] = str(node.appends)
        if node.directory:
            given["x-ms-meta-hdi_isfolder"] = "true"
        for name, value in node.properties.items():
            given["x-ms-meta-" + name] = base64.b64decode(value).decode("utf-8", "replace")
        return given

    def take_content_headers(self, node):
        for name, kept in CONTENT.items():
            if name in self.headers:
                node.content[kept] = self.headers[name]

    def read(self, node):
        """GET of a file, or of a range of it."""
        headers, status, start, count = self.described(node), 200, 0, node.length
        asked = self.headers.get("x-ms-range") or self.headers.get("range")
        if asked:
            first, last = _range(asked)
            if first >= node.length:
                raise AzureError("InvalidRange", headers={"Content-Range": f"bytes */{node.length}"})
            last = node.length - 1 if last is None else min(last, node.length - 1)
            start, count, status = first, last - first + 1, 206
            headers["Content-Range"] = f"bytes {first}-{last}/{node.length}"
            if "Content-MD5" in headers:
                headers["x-ms-blob-content-md5"] = headers.pop("Content-MD5")
        store = self.world.store
        if self.headers.get("x-ms-range-get-content-md5", "").lower() == "true":
            if not asked or count > 4 << 20:
                raise AzureError("OutOfRangeInput")
            body = b"".join(store.segments.read(node.extents, start, count))
            headers["Content-MD5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
            return Response(status, headers, body)
        return Response(status, headers, pieces=store.held(node, start, count), length=count)


def _range(text):
    unit, _, span = text.partition("=")
    first, dash, last = span.partition("-")
    if unit.strip() != "bytes" or not dash or not first.isdigit() or last and not last.isdigit():
        raise AzureError("InvalidHeaderValue", f"range: {text}")
    if last and int(last) < int(first):
        raise AzureError("InvalidRange")
    return int(first), int(last) if last else None


def _seconds(text):
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError):
        raise AzureError("InvalidHeaderValue", text) from None
