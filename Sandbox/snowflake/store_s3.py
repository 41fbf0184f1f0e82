"""S3: of the internal stages with the keys that PUT hands out, and of anybody's buckets with keys that live long. Path style or bucket in the
host name. Signatures verified by botocore; PUT, HEAD, GET with ranges, DELETE, DeleteObjects, ListObjectsV2, multi-part, conditions."""
import base64
import hashlib
import os
import secrets
import threading
import time
import urllib.parse
import zlib
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from .accounts import BUCKET
from .http_server import Response
from .objects_read import content, page
from .s3_signature import S3Error, verify

XML = {"Content-Type": "application/xml"}
SPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


class S3Store:
    def __init__(self, objects, credentials, accounts, settings):
        self.objects, self.credentials, self.accounts, self.settings = objects, credentials, accounts, settings
        self.uploads, self.lock = {}, threading.Lock()

    def handle(self, request):
        try:
            bucket, name = self._place(request)
            stage_keys = self.credentials.s3_keys
            signed_hash = verify(request, lambda key: stage_keys.get(key) or self.accounts.s3.get(key), self.settings.s3_region)
            access = request.headers["authorization"].partition("Credential=")[2].partition("/")[0]
            if (access in stage_keys) != (bucket == BUCKET):
                raise S3Error(403, "AccessDenied", "Access Denied")
            if bucket != BUCKET and self.settings.buckets and bucket not in self.settings.buckets.split(","):
                raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist")
            return self._route(request, bucket, name, signed_hash)
        except S3Error as error:
            body = (f"{HEAD}<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message>{error.extra}"
                    f"<RequestId>{secrets.token_hex(8)}</RequestId></Error>").encode()
            return Response(error.status, body, {**XML, "x-amz-request-id": secrets.token_hex(8), **error.headers})

    @staticmethod
    def _place(request):
        """(bucket, key within it)"""
        host = request.headers.get("host", "").split(":")[0]
        first = host.split(".")[0]
        path = request.path.lstrip("/")
        if host.replace(".", "").isdigit() or host == "localhost" or first == "s3":
            bucket, _, name = path.partition("/")             # path style
            return bucket, name
        return first, path

    def _route(self, request, bucket, name, signed_hash):
        method, query, key = request.method, request.query, f"{bucket}/{name}"
        if not name:
            return self._bucket(request, bucket, signed_hash)
        if method == "POST" and "uploads" in query:
            return self._start(request, key)
        if method == "PUT" and "partNumber" in query:
            return self._part(request, key, signed_hash)
        if method == "POST" and "uploadId" in query:
            return self._complete(request, key)
        if method == "DELETE" and "uploadId" in query:
            for path, _, _ in self._upload(query["uploadId"], key, remove=True)["parts"].values():
                os.unlink(path)
            return Response(204)
        if method == "GET" and "uploadId" in query:
            return self._parts(query["uploadId"], key)
        if set(query) - {"x-id", "versionId"}:
            raise S3Error(501, "NotImplemented", f"not in this stand-in: {request.raw_query}")
        if method == "PUT":
            return self._put(request, key, signed_hash)
        thing = self.objects.get(key)
        if method == "DELETE":
            self.objects.delete(key)
            return Response(204)
        if thing is None:
            raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
        headers = {"ETag": f'"{thing.etag}"', "Last-Modified": _date(thing.modified), "Accept-Ranges": "bytes",
                   **{n: v for n, v in thing.meta.items() if n.startswith("x-amz-meta-") or n in ("content-type", "content-encoding")}}
        if method == "HEAD":
            return Response(200, b"", {**headers, "Content-Length": str(thing.size)})
        if method == "GET":
            found = content(request, thing, headers)
            if found is None:
                raise S3Error(416, "InvalidRange", "The requested range is not satisfiable")
            return found
        raise S3Error(405, "MethodNotAllowed")

    # --- buckets

    def _bucket(self, request, bucket, signed_hash):
        method, query = request.method, request.query
        if method == "GET" and query.get("list-type") == "2":
            return self._list(query, bucket)
        if method == "GET" and "uploads" in query:
            with self.lock:
                found = [(u, v["key"].partition("/")[2]) for u, v in self.uploads.items() if v["key"].startswith(f"{bucket}/{query.get('prefix', '')}")]
            listed = "".join(f"<Upload><Key>{escape(n)}</Key><UploadId>{u}</UploadId></Upload>" for u, n in sorted(found, key=lambda f: f[1]))
            return Response(200, f"{HEAD}<ListMultipartUploadsResult {SPACE}><Bucket>{bucket}</Bucket><IsTruncated>false</IsTruncated>{listed}"
                                 "</ListMultipartUploadsResult>".encode(), XML)
        if method == "GET" and "location" in query:
            return Response(200, f"{HEAD}<LocationConstraint {SPACE}>{self.settings.s3_region}</LocationConstraint>".encode(), XML)
        if method == "POST" and "delete" in query:
            return self._delete_many(request, bucket, signed_hash)
        if method in ("HEAD", "PUT") and not query:
            request.body()
            return Response(200, b"", {"x-amz-bucket-region": self.settings.s3_region})
        raise S3Error(501, "NotImplemented", f"not in this stand-in: {method} {request.raw_query}")

    def _list(self, query, bucket):
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        limit = min(int(query.get("max-keys", 1000)), 1000, self.settings.list_page)
        after = query.get("start-after", "")
        if "continuation-token" in query:
            try:
                after = base64.urlsafe_b64decode(query["continuation-token"]).decode()
            except ValueError:
                raise S3Error(400, "InvalidArgument", "The continuation token provided is incorrect") from None
        things, prefixes, last = page(self.objects, bucket, prefix, delimiter, after, limit)
        shown = (lambda n: urllib.parse.quote(n)) if query.get("encoding-type") == "url" else escape
        listed = "".join(f"<Contents><Key>{shown(n)}</Key><LastModified>{time.strftime('%Y-%m-%dT%H:%M:%S.000Z', time.gmtime(t.modified))}</LastModified>"
                         f"<ETag>&quot;{t.etag}&quot;</ETag><Size>{t.size}</Size><StorageClass>STANDARD</StorageClass></Contents>" for n, t in things)
        listed += "".join(f"<CommonPrefixes><Prefix>{shown(p)}</Prefix></CommonPrefixes>" for p in prefixes)
        more = f"<NextContinuationToken>{base64.urlsafe_b64encode(last.encode()).decode()}</NextContinuationToken>" if last is not None else ""
        encoding = "<EncodingType>url</EncodingType>" if query.get("encoding-type") == "url" else ""
        return Response(200, (f"{HEAD}<ListBucketResult {SPACE}><Name>{bucket}</Name><Prefix>{shown(prefix)}</Prefix>{encoding}"
                              f"<KeyCount>{len(things) + len(prefixes)}</KeyCount><MaxKeys>{limit}</MaxKeys>"
                              f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{more}{listed}</ListBucketResult>").encode(), XML)

    def _delete_many(self, request, bucket, signed_hash):
        body = request.body()
        _check_hash(body, signed_hash)
        if not any(n == "content-md5" or n.startswith("x-amz-checksum-") for n in request.headers):
            raise S3Error(400, "InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
        _check_sums(request.headers, body)
        names = [e.text for e in ElementTree.fromstring(body).findall("{*}Object/{*}Key")]
        if not 1 <= len(names) <= 1000:
            raise S3Error(400, "MalformedXML")
        for name in names:
            self.objects.delete(f"{bucket}/{name}")
        listed = "".join(f"<Deleted><Key>{escape(n)}</Key></Deleted>" for n in names)
        return Response(200, f"{HEAD}<DeleteResult {SPACE}>{listed}</DeleteResult>".encode(), XML)

    # --- writing

    def _receive(self, request, signed_hash):
        if request.length is None or request.headers.get("content-encoding", "").startswith("aws-chunked") or signed_hash.startswith("STREAMING"):
            raise S3Error(501, "NotImplemented", "bodies in signed chunks")
        path, md5, sha, crc = self.objects.path(), hashlib.md5(), hashlib.sha256(), 0
        with open(path, "wb") as file:
            for chunk in request.chunks():
                file.write(chunk)
                md5.update(chunk)
                crc = zlib.crc32(chunk, crc) if "x-amz-checksum-crc32" in request.headers else 0
                if signed_hash != "UNSIGNED-PAYLOAD":
                    sha.update(chunk)
        try:
            if signed_hash != "UNSIGNED-PAYLOAD" and sha.hexdigest() != signed_hash:
                raise S3Error(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
            _check_sums(request.headers, None, md5.digest(), crc)
        except S3Error:
            os.unlink(path)
            raise
        return path, md5.hexdigest()

    def _conditions(self, request, key):
        """True when nothing may be there yet."""
        none, match = request.headers.get("if-none-match"), request.headers.get("if-match")
        if none not in (None, "*"):
            raise S3Error(501, "NotImplemented", "If-None-Match other than *")
        old = self.objects.get(key)
        if match is not None and (old is None or match.strip('"') != old.etag):
            raise S3Error(404, "NoSuchKey") if old is None else _condition_failed()
        return none == "*"

    def _put(self, request, key, signed_hash):
        path, md5 = self._receive(request, signed_hash)
        if self.objects.put(key, path, _meta(request.headers), "S3", md5, self._conditions(request, key)) is None:
            raise _condition_failed()
        return Response(200, b"", {"ETag": f'"{md5}"'})

    def _start(self, request, key):
        request.body()
        upload = secrets.token_urlsafe(32)
        with self.lock:
            self.uploads[upload] = {"key": key, "meta": _meta(request.headers), "parts": {}}
        bucket, _, name = key.partition("/")
        return Response(200, (f"{HEAD}<InitiateMultipartUploadResult {SPACE}><Bucket>{bucket}</Bucket><Key>{escape(name)}</Key>"
                              f"<UploadId>{upload}</UploadId></InitiateMultipartUploadResult>").encode(), XML)

    def _upload(self, upload, key, remove=False):
        with self.lock:
            found = self.uploads.get(upload)
            if found is None or found["key"] != key:
                raise S3Error(404, "NoSuchUpload", "The specified upload does not exist.")
            if remove:
                del self.uploads[upload]
            return found

    def _part(self, request, key, signed_hash):
        found, number = self._upload(request.query["uploadId"], key), int(request.query["partNumber"])
        if not 1 <= number <= 10000:
            raise S3Error(400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
        path, md5 = self._receive(request, signed_hash)
        with self.lock:
            found["parts"][number] = (path, md5, os.path.getsize(path))
        return Response(200, b"", {"ETag": f'"{md5}"'})

    def _parts(self, upload, key):
        parts = sorted(self._upload(upload, key)["parts"].items())
        listed = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>&quot;{md5}&quot;</ETag><Size>{size}</Size></Part>" for n, (_, md5, size) in parts)
        return Response(200, f"{HEAD}<ListPartsResult {SPACE}><UploadId>{upload}</UploadId><IsTruncated>false</IsTruncated>{listed}</ListPartsResult>".encode(), XML)

    def _complete(self, request, key):
        found = self._upload(request.query["uploadId"], key)
        try:
            tree = ElementTree.fromstring(request.body())
        except ElementTree.ParseError:
            raise S3Error(400, "MalformedXML") from None
        wanted = [(int(p.findtext("{*}PartNumber")), (p.findtext("{*}ETag") or "").strip('"')) for p in tree.findall("{*}Part")]
        if not wanted or [n for n, _ in wanted] != sorted({n for n, _ in wanted}):
            raise S3Error(400, "InvalidPartOrder")
        for at, (number, etag) in enumerate(wanted):
            part = found["parts"].get(number)
            if part is None or part[1] != etag:
                raise S3Error(400, "InvalidPart", "One or more of the specified parts could not be found.")
            if part[2] < 5 << 20 and at < len(wanted) - 1:
                raise S3Error(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
        path, sums = self.objects.path(), hashlib.md5()
        with open(path, "wb") as out:
            for number, etag in wanted:
                sums.update(bytes.fromhex(etag))
                with open(found["parts"][number][0], "rb") as file:
                    while chunk := file.read(1 << 20):
                        out.write(chunk)
        thing = self.objects.put(key, path, found["meta"], "S3", create_only=self._conditions(request, key), etag=f"{sums.hexdigest()}-{len(wanted)}")
        if thing is None:
            raise _condition_failed()
        self._upload(request.query["uploadId"], key, remove=True)
        for part in found["parts"].values():
            os.unlink(part[0])
        bucket, _, name = key.partition("/")
        return Response(200, (f"{HEAD}<CompleteMultipartUploadResult {SPACE}><Bucket>{bucket}</Bucket><Key>{escape(name)}</Key>"
                              f"<ETag>&quot;{thing.etag}&quot;</ETag></CompleteMultipartUploadResult>").encode(), XML)


def _condition_failed():
    return S3Error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", "<Condition>If-None-Match</Condition>")


def _check_hash(body, signed_hash):
    if signed_hash != "UNSIGNED-PAYLOAD" and hashlib.sha256(body).hexdigest() != signed_hash:
        raise S3Error(400, "XAmzContentSHA256Mismatch")


def _check_sums(headers, body, md5=None, crc=None):
    """Content-MD5 and x-amz-checksum-crc32, where given; other checksums are not known here."""
    given = headers.get("content-md5")
    if given is not None and base64.b64encode(md5 or hashlib.md5(body).digest()).decode() != given:
        raise S3Error(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
    crc32 = headers.get("x-amz-checksum-crc32")
    if crc32 is not None and base64.b64encode((zlib.crc32(body) if body is not None else crc).to_bytes(4, "big")).decode() != crc32:
        raise S3Error(400, "BadDigest", "The CRC32 you specified did not match what we received.")
    for name in headers:
        if name.startswith("x-amz-checksum-") and name not in ("x-amz-checksum-crc32", "x-amz-checksum-mode", "x-amz-checksum-algorithm", "x-amz-checksum-type"):
            raise S3Error(501, "NotImplemented", name)


def _date(seconds):
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds))


def _meta(headers):
    return {n: v for n, v in headers.items() if n.startswith("x-amz-meta-") or n in ("content-type", "content-encoding")}
