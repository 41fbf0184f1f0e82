"""Azure Blob: of the internal stages with the SAS that PUT hands out, and of anybody's accounts with their keys and SAS. Put Blob, blocks and
block list, HEAD, GET with ranges, List Blobs, DELETE, containers.

Path style is http://127.0.0.1:port/<account>/<container>/<blob>; with TLS the account is the host's first label."""
import base64
import hashlib
import hmac
import os
import threading
import time
import urllib.parse
import uuid
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from ..azure.errors import AzureError as Refused
from .azure_access import DELETE, LIST, READ, WRITE, check_request
from .http_server import Response
from .objects_read import content, page

VERSION = "2020-10-02"


class AzureError(Exception):
    def __init__(self, status, code, message=""):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message or code


def _string_to_sign(q, account, container):
    g = lambda name: q.get(name, "")
    return "\n".join([g("sp"), g("st"), g("se"), f"/blob/{account}/{container}", g("si"), g("sip"), g("spr"), g("sv"), g("sr"), "",
                      g("ses"), g("rscc"), g("rscd"), g("rsce"), g("rscl"), g("rsct")])


def _signature(key, text):
    return base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()


def sign_sas(key, account, container, start, end):
    q = {"sv": VERSION, "sr": "c", "sp": "racwdl", "st": start, "se": end}
    q["sig"] = _signature(key, _string_to_sign(q, account, container))
    return urllib.parse.urlencode(q)


class AzureStore:
    account = "sfcsandbox"

    def __init__(self, objects, credentials, accounts, settings):
        self.objects, self.credentials, self.accounts, self.settings = objects, credentials, accounts, settings
        self.containers = set()                       # made by their owners; with setting `buckets` empty every one is there
        self.blocks, self.lock = {}, threading.Lock()

    def handle(self, request):
        identity = {"x-ms-request-id": str(uuid.uuid4()), "x-ms-version": request.headers.get("x-ms-version", VERSION)}
        try:
            account, key = self._key(request)
            if account == self.account:
                self._authorize(request, key)
                response = self._route(request, key)
            else:
                response = self._foreign(request, account, key)
        except (AzureError, Refused) as error:
            body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>'
            response = Response(error.status, body.encode(), {"Content-Type": "application/xml", "x-ms-error-code": error.code})
        response.headers.update(identity)
        return response

    def _key(self, request):
        host = request.headers.get("host", "").split(":")[0]
        path = request.path.lstrip("/")
        first = host.split(".")[0]
        if first == self.account or first in self.accounts.azure:
            return first, path
        account, _, rest = path.partition("/")
        if account != self.account and account not in self.accounts.azure:
            raise AzureError(400, "InvalidUri", f"account {account}")
        return account, rest

    def _foreign(self, request, account, key):
        """An account of somebody else's; its blobs are kept as account:container/path."""
        container, _, path = key.partition("/")
        query, method = request.query, request.method
        listing = method == "GET" and query.get("comp") == "list" and not path
        wanted = LIST if listing else READ if method in ("GET", "HEAD") else DELETE if method == "DELETE" else WRITE
        check_request(request, account, self.accounts.azure_keys(account), container, path, wanted)
        if query.get("restype") == "container" and not path and not listing:
            return self._container(request, f"{account}:{container}")
        if self.settings.buckets and container not in self.settings.buckets.split(",") and f"{account}:{container}" not in self.containers:
            raise AzureError(404, "ContainerNotFound", "The specified container does not exist.")
        if listing:
            return self._list(query, account, container)
        return self._route(request, f"{account}:{container}/{path}")

    def _container(self, request, name):
        request.body()
        if request.method == "PUT":
            if name in self.containers:
                raise AzureError(409, "ContainerAlreadyExists", "The specified container already exists.")
            self.containers.add(name)
            return Response(201, b"", {"ETag": '"0x1"'})
        if request.method in ("HEAD", "GET"):
            return Response(200, b"", {"ETag": '"0x1"'})
        raise AzureError(501, "NotImplemented", f"{request.method} of a container")

    def _list(self, query, account, container):
        limit = min(int(query.get("maxresults", 5000)), self.settings.list_page)
        things, prefixes, last = page(self.objects, f"{account}:{container}", query.get("prefix", ""), query.get("delimiter", ""),
                                      base64.b64decode(query.get("marker", "")).decode(), limit)
        listed = "".join(f"<Blob><Name>{escape(n)}</Name><Properties><Last-Modified>{_date(t.modified)}</Last-Modified><Etag>{_etag(t)}</Etag>"
                         f"<Content-Length>{t.size}</Content-Length>"
                         f"<Content-Type>{escape(t.meta.get('content-type', 'application/octet-stream'))}</Content-Type>"
                         f"<Content-MD5>{t.meta.get('x-ms-blob-content-md5', '')}</Content-MD5><BlobType>BlockBlob</BlobType></Properties></Blob>"
                         for n, t in things)
        listed += "".join(f"<BlobPrefix><Name>{escape(p)}</Name></BlobPrefix>" for p in prefixes)
        marker = base64.b64encode(last.encode()).decode() if last is not None else ""
        return Response(200, (f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="{container}"><Prefix>{escape(query.get("prefix", ""))}'
                              f"</Prefix><Blobs>{listed}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>").encode(),
                        {"Content-Type": "application/xml"})

    def _authorize(self, request, key):
        q = request.query
        if "sig" not in q:
            raise AzureError(401, "NoAuthenticationInformation")
        container = key.partition("/")[0]
        signed = _string_to_sign(q, self.account, container)
        is_signed_by = lambda key: hmac.compare_digest(_signature(key, signed), q["sig"])
        is_expired = any(map(is_signed_by, self.credentials.azure_past_keys))
        if not (is_expired or is_signed_by(self.credentials.azure_key)) or q.get("sr") != "c":
            raise AzureError(403, "AuthenticationFailed", "Server failed to authenticate the request. Make sure the value of Authorization "
                             "header is formed correctly including the signature.")
        import calendar
        seconds = lambda t: calendar.timegm(time.strptime(t, "%Y-%m-%dT%H:%M:%SZ"))
        if is_expired or seconds(q["se"]) < time.time():
            raise AzureError(403, "AuthenticationFailed", "Signature not valid in the specified time frame")

    def _route(self, request, key):
        method, comp = request.method, request.query.get("comp")
        if method == "PUT" and comp == "block":
            return self._block(request, key)
        if method == "PUT" and comp == "blocklist":
            return self._block_list(request, key)
        if method == "PUT" and comp is None:
            return self._put(request, key)
        thing = self.objects.get(key)
        if thing is None:
            raise AzureError(404, "BlobNotFound", "The specified blob does not exist.")
        if method == "DELETE":
            self.objects.delete(key)
            return Response(202)
        headers = {"ETag": f'"{_etag(thing)}"', "x-ms-blob-type": "BlockBlob", **_answered(thing.meta), "Accept-Ranges": "bytes",
                   "Last-Modified": _date(thing.modified)}
        if method == "HEAD":
            return Response(200, b"", {**headers, "Content-Length": str(thing.size)})
        if method == "GET":
            found = content(request, thing, headers, "x-ms-range")
            if found is None:
                raise AzureError(416, "InvalidRange", "The range specified is invalid for the current size of the resource.")
            return found
        raise AzureError(405, "UnsupportedHttpVerb")

    def _receive(self, request):
        path, md5 = self.objects.path(), hashlib.md5()
        with open(path, "wb") as file:
            for chunk in request.chunks():
                file.write(chunk)
                md5.update(chunk)
        given = request.headers.get("content-md5")
        if given and given != base64.b64encode(md5.digest()).decode():
            os.unlink(path)
            raise AzureError(400, "Md5Mismatch", "The MD5 value specified in the request did not match with the MD5 value calculated by the server.")
        return path, md5

    def _put(self, request, key):
        if request.headers.get("x-ms-blob-type") != "BlockBlob":
            raise AzureError(400, "InvalidHeaderValue", "x-ms-blob-type")
        if request.length is None:
            raise AzureError(411, "MissingContentLengthHeader")
        path, md5 = self._receive(request)
        thing = self.objects.put(key, path, _meta(request.headers), "AZURE", md5.hexdigest(), self._create_only(request, key))
        if thing is None:
            raise AzureError(409, "BlobAlreadyExists", "The specified blob already exists.")
        return Response(201, b"", {"ETag": f'"{_etag(thing)}"', "Last-Modified": _date(thing.modified), "Content-MD5": base64.b64encode(md5.digest()).decode()})

    def _block(self, request, key):
        block = request.query.get("blockid", "")
        try:
            base64.b64decode(block, validate=True)
        except ValueError:
            raise AzureError(400, "InvalidQueryParameterValue", "blockid") from None
        path, md5 = self._receive(request)
        with self.lock:
            blocks = self.blocks.setdefault(key, {})
            if blocks and len(next(iter(blocks))) != len(block):
                raise AzureError(400, "InvalidBlobOrBlock", "The specified blob or block content is invalid.")
            blocks[block] = path
        return Response(201, b"", {"Content-MD5": base64.b64encode(md5.digest()).decode()})

    def _block_list(self, request, key):
        try:
            wanted = [(e.text or "").strip() for e in ElementTree.fromstring(request.body())]
        except ElementTree.ParseError:
            raise AzureError(400, "InvalidXmlDocument") from None
        with self.lock:
            blocks = self.blocks.pop(key, {})
        if any(b not in blocks for b in wanted):
            raise AzureError(400, "InvalidBlockList", "The specified block list is invalid.")
        path = self.objects.path()
        with open(path, "wb") as out:
            for block in wanted:
                with open(blocks[block], "rb") as file:
                    while chunk := file.read(1 << 20):
                        out.write(chunk)
        for name in blocks.values():
            os.unlink(name)
        thing = self.objects.put(key, path, _meta(request.headers), "AZURE", create_only=self._create_only(request, key))
        if thing is None:
            raise AzureError(409, "BlobAlreadyExists", "The specified blob already exists.")
        return Response(201, b"", {"ETag": f'"{_etag(thing)}"', "Last-Modified": _date(thing.modified)})

    def _create_only(self, request, key):
        """True when nothing may be there yet; If-Match is checked."""
        none, match, old = request.headers.get("if-none-match"), request.headers.get("if-match"), self.objects.get(key)
        if match is not None and (old is None or match not in ("*", f'"{_etag(old)}"', _etag(old))):
            raise AzureError(412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.")
        if none not in (None, "*"):
            raise AzureError(501, "NotImplemented", "If-None-Match other than *")
        return none == "*"


def _etag(thing):
    return f"0x8D{thing.generation:X}"


def _date(seconds):
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds))


def _meta(headers):
    return {n: v for n, v in headers.items() if n.startswith("x-ms-meta-") or n in ("content-type", "content-encoding") or n.startswith("x-ms-blob-content-")}


def _answered(meta):
    found = {n: v for n, v in meta.items() if n.startswith("x-ms-meta-")}
    for name, shown in (("content-type", "Content-Type"), ("content-encoding", "Content-Encoding"), ("content-md5", "Content-MD5")):
        value = meta.get("x-ms-blob-" + name) or meta.get(name)
        if value:
            found[shown] = value
    return found
