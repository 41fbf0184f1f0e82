"""Azure Blob for staged files: service SAS verified, Put Blob, blocks and block list, HEAD, GET, DELETE.

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

from .http_server import Response

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

    def __init__(self, objects, credentials):
        self.objects, self.credentials = objects, credentials
        self.blocks, self.lock = {}, threading.Lock()

    def handle(self, request):
        identity = {"x-ms-request-id": str(uuid.uuid4()), "x-ms-version": request.headers.get("x-ms-version", VERSION)}
        try:
            key = self._key(request)
            self._authorize(request, key)
            response = self._route(request, key)
        except AzureError as error:
            body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{error.code}</Code><Message>{error.message}</Message></Error>'
            response = Response(error.status, body.encode(), {"Content-Type": "application/xml", "x-ms-error-code": error.code})
        response.headers.update(identity)
        return response

    def _key(self, request):
        host = request.headers.get("host", "").split(":")[0]
        path = request.path.lstrip("/")
        if host.startswith(self.account + "."):
            return path
        account, _, rest = path.partition("/")
        if account != self.account:
            raise AzureError(400, "InvalidUri", f"account {account}")
        return rest

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
        headers = {"ETag": f'"0x{thing.md5[:16]}"', "x-ms-blob-type": "BlockBlob", **_answered(thing.meta),
                   "Last-Modified": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(thing.modified))}
        if method == "HEAD":
            return Response(200, b"", {**headers, "Content-Length": str(thing.size)})
        if method == "GET":
            with open(thing.path, "rb") as file:
                return Response(200, file.read(), headers)
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
        if self.objects.put(key, path, _meta(request.headers), "AZURE", md5.hexdigest(), _create_only(request)) is None:
            raise AzureError(409, "BlobAlreadyExists", "The specified blob already exists.")
        return Response(201, b"", {"ETag": f'"0x{md5.hexdigest()[:16]}"', "Content-MD5": base64.b64encode(md5.digest()).decode()})

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
        thing = self.objects.put(key, path, _meta(request.headers), "AZURE", create_only=_create_only(request))
        if thing is None:
            raise AzureError(409, "BlobAlreadyExists", "The specified blob already exists.")
        return Response(201, b"", {"ETag": f'"0x{thing.md5[:16]}"'})


def _create_only(request):
    return request.headers.get("if-none-match") == "*"


def _meta(headers):
    return {n: v for n, v in headers.items() if n.startswith("x-ms-meta-") or n in ("content-type", "x-ms-blob-content-md5")}


def _answered(meta):
    found = {n: v for n, v in meta.items() if n.startswith("x-ms-meta-")}
    if "x-ms-blob-content-md5" in meta:
        found["Content-MD5"] = meta["x-ms-blob-content-md5"]
    return found
