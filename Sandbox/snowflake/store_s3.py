"""S3 for staged files: SigV4 verified, PUT, HEAD, GET, DELETE, multi-part. Path style or bucket in the host name."""
import hashlib
import hmac
import os
import secrets
import threading
import time
import urllib.parse
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from .http_server import Response


class S3Error(Exception):
    def __init__(self, status, code, message=""):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message or code


class S3Store:
    def __init__(self, objects, credentials, region="us-west-2"):
        self.objects, self.credentials, self.region = objects, credentials, region
        self.uploads, self.lock = {}, threading.Lock()

    def handle(self, request):
        try:
            key = self._key(request)
            signed_hash = verify(request, self.credentials.s3_keys, self.region)
            return self._route(request, key, signed_hash)
        except S3Error as error:
            body = (f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message>'
                    f'<RequestId>{secrets.token_hex(8)}</RequestId></Error>').encode()
            return Response(error.status, body, {"Content-Type": "application/xml", "x-amz-request-id": secrets.token_hex(8)})

    @staticmethod
    def _key(request):
        host = request.headers.get("host", "").split(":")[0]
        first = host.split(".")[0]
        path = request.path.lstrip("/")
        if host.replace(".", "").isdigit() or host == "localhost" or first == "s3":
            return path                                    # path style: bucket/key
        return f"{first}/{path}"

    def _route(self, request, key, signed_hash):
        method, query = request.method, request.query
        if method == "POST" and "uploads" in query:
            return self._start(request, key)
        if method == "PUT" and "partNumber" in query:
            return self._part(request, key, signed_hash)
        if method == "POST" and "uploadId" in query:
            return self._complete(request, key)
        if method == "DELETE" and "uploadId" in query:
            self._upload(query["uploadId"], key, remove=True)
            return Response(204)
        if method == "PUT":
            return self._put(request, key, signed_hash)
        thing = self.objects.get(key)
        if thing is None:
            raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
        if method == "DELETE":
            self.objects.delete(key)
            return Response(204)
        headers = {"ETag": f'"{thing.md5}"', "Last-Modified": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(thing.modified)),
                   **{n: v for n, v in thing.meta.items() if n.startswith("x-amz-meta-")}}
        if method == "HEAD":
            return Response(200, b"", {**headers, "Content-Length": str(thing.size)})
        if method == "GET":
            with open(thing.path, "rb") as file:
                return Response(200, file.read(), headers)
        raise S3Error(405, "MethodNotAllowed")

    def _receive(self, request, signed_hash):
        path, md5, sha = self.objects.path(), hashlib.md5(), hashlib.sha256()
        with open(path, "wb") as file:
            for chunk in request.chunks():
                file.write(chunk)
                md5.update(chunk)
                if signed_hash != "UNSIGNED-PAYLOAD":
                    sha.update(chunk)
        if signed_hash != "UNSIGNED-PAYLOAD" and sha.hexdigest() != signed_hash:
            os.unlink(path)
            raise S3Error(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
        return path, md5.hexdigest()

    def _put(self, request, key, signed_hash):
        if request.length is None:
            raise S3Error(411, "MissingContentLength")
        path, md5 = self._receive(request, signed_hash)
        if self.objects.put(key, path, _meta(request.headers), "S3", md5, _create_only(request)) is None:
            raise S3Error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
        return Response(200, b"", {"ETag": f'"{md5}"'})

    def _start(self, request, key):
        request.body()
        upload = secrets.token_urlsafe(32)
        with self.lock:
            self.uploads[upload] = {"key": key, "meta": _meta(request.headers), "parts": {}}
        bucket, _, name = key.partition("/")
        body = (f'<?xml version="1.0" encoding="UTF-8"?><InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                f'<Bucket>{bucket}</Bucket><Key>{escape(name)}</Key><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>')
        return Response(200, body.encode(), {"Content-Type": "application/xml"})

    def _upload(self, upload, key, remove=False):
        with self.lock:
            found = self.uploads.get(upload)
            if found is None or found["key"] != key:
                raise S3Error(404, "NoSuchUpload", "The specified upload does not exist.")
            if remove:
                del self.uploads[upload]
            return found

    def _part(self, request, key, signed_hash):
        found = self._upload(request.query["uploadId"], key)
        path, md5 = self._receive(request, signed_hash)
        with self.lock:
            found["parts"][int(request.query["partNumber"])] = (path, md5, os.path.getsize(path))
        return Response(200, b"", {"ETag": f'"{md5}"'})

    def _complete(self, request, key):
        found = self._upload(request.query["uploadId"], key)
        try:
            tree = ElementTree.fromstring(request.body())
        except ElementTree.ParseError:
            raise S3Error(400, "MalformedXML") from None
        wanted = [(int(p.findtext("{*}PartNumber")), (p.findtext("{*}ETag") or "").strip('"')) for p in tree.findall("{*}Part")]
        if not wanted or [n for n, _ in wanted] != sorted({n for n, _ in wanted}):
            raise S3Error(400, "InvalidPartOrder")
        path = self.objects.path()
        with open(path, "wb") as out:
            for at, (number, etag) in enumerate(wanted):
                part = found["parts"].get(number)
                if part is None or part[1] != etag:
                    raise S3Error(400, "InvalidPart", "One or more of the specified parts could not be found.")
                if part[2] < 5 << 20 and at < len(wanted) - 1:
                    raise S3Error(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
                with open(part[0], "rb") as file:
                    while chunk := file.read(1 << 20):
                        out.write(chunk)
        thing = self.objects.put(key, path, found["meta"], "S3", create_only=_create_only(request))
        if thing is None:
            raise S3Error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
        self._upload(request.query["uploadId"], key, remove=True)
        for part in found["parts"].values():
            os.unlink(part[0])
        body = (f'<?xml version="1.0" encoding="UTF-8"?><CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                f'<Key>{escape(key)}</Key><ETag>"{thing.md5}-{len(wanted)}"</ETag></CompleteMultipartUploadResult>')
        return Response(200, body.encode(), {"Content-Type": "application/xml"})


def _create_only(request):
    return request.headers.get("if-none-match") == "*"


def _meta(headers):
    return {n: v for n, v in headers.items() if n.startswith("x-amz-meta-") or n == "content-type"}


def verify(request, keys, region):
    """Recomputes the SigV4 signature from the request on the wire; returns the payload hash that was signed."""
    headers = request.headers
    authorization = headers.get("authorization", "")
    if not authorization.startswith("AWS4-HMAC-SHA256 "):
        raise S3Error(403, "AccessDenied", "no SigV4 authorization")
    try:
        fields = dict(f.strip().split("=", 1) for f in authorization[17:].split(","))
        access, day, signed_region, service, end = fields["Credential"].split("/")
        names = fields["SignedHeaders"].split(";")
    except (KeyError, ValueError):
        raise S3Error(400, "AuthorizationHeaderMalformed") from None
    if access not in keys:
        raise S3Error(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
    secret, token, until = keys[access]
    if until < time.time():
        raise S3Error(400, "ExpiredToken", "The provided token has expired.")
    if headers.get("x-amz-security-token") != token:
        raise S3Error(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
    if signed_region != region or service != "s3" or end != "aws4_request":
        raise S3Error(400, "AuthorizationHeaderMalformed", f"the region '{signed_region}' is wrong; expecting '{region}'")
    for name in headers:
        if (name.startswith("x-amz-") or name == "host") and name not in names:
            raise S3Error(403, "AccessDenied", f"There were headers present in the request which were not signed: {name}")
    payload, stamp = headers.get("x-amz-content-sha256"), headers.get("x-amz-date", "")
    if not payload:
        raise S3Error(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    if not stamp.startswith(day) or abs(_seconds(stamp) - time.time()) > 900:
        raise S3Error(403, "RequestTimeTooSkewed")
    quote = lambda s, safe="": urllib.parse.quote(s, safe="-._~" + safe)
    path = quote(urllib.parse.unquote_to_bytes(request.raw_path), "/")
    pairs = sorted((quote(urllib.parse.unquote_to_bytes(k)), quote(urllib.parse.unquote_to_bytes(v)))
                   for k, _, v in (p.partition("=") for p in request.raw_query.split("&") if p))
    canonical = "\n".join([request.method, path, "&".join(f"{k}={v}" for k, v in pairs),
                           "".join(f"{n}:{' '.join(headers.get(n, '').split())}\n" for n in names), ";".join(names), payload])
    scope = f"{day}/{region}/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()])
    key = b"AWS4" + secret.encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest(), fields["Signature"]):
        raise S3Error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. "
                      f"canonical request was: {canonical}")
    return payload


def _seconds(stamp):
    import calendar
    try:
        return calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise S3Error(403, "AccessDenied", "bad x-amz-date") from None
