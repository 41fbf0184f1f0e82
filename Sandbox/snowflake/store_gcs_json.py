"""Google Cloud Storage's JSON interface: media, multipart and resumable uploads, metadata, ranged reads, listing, delete, preconditions."""
import base64
import hashlib
import json
import re
import secrets
import threading
import time
import urllib.parse

import google_crc32c

from .http_server import Response
from .objects_read import content, page

UPLOAD = re.compile(r"(?:/resumable)?/upload/storage/v1/b/([^/]+)/o")
OBJECT = re.compile(r"(?:/download)?/storage/v1/b/([^/]+)(?:/o(?:/(.+))?)?")
RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
QUANTUM = 262144


class Failed(Exception):
    def __init__(self, status, reason, message=""):
        super().__init__(reason)
        self.status, self.reason, self.message = status, reason, message or reason


class GcsJson:
    def __init__(self, objects, settings):
        self.objects, self.settings = objects, settings
        self.sessions, self.lock = {}, threading.Lock()

    @staticmethod
    def bucket(request):
        """The bucket of a request to this interface, or None when it is none."""
        found = UPLOAD.fullmatch(request.raw_path) or OBJECT.fullmatch(request.raw_path)
        return urllib.parse.unquote(found[1]) if found else None

    def handle(self, request):
        try:
            if found := UPLOAD.fullmatch(request.raw_path):
                return self._upload(request, urllib.parse.unquote(found[1]))
            found = OBJECT.fullmatch(request.raw_path)
            bucket, name = urllib.parse.unquote(found[1]), urllib.parse.unquote(found[2]) if found[2] else None
            if name is not None:
                return self._object(request, bucket, name)
            if request.raw_path.endswith("/o"):
                return self._list(request, bucket)
            return Response.json({"kind": "storage#bucket", "id": bucket, "name": bucket, "location": "US", "storageClass": "STANDARD"})
        except Failed as failed:
            return Response.json({"error": {"code": failed.status, "message": failed.message,
                                            "errors": [{"domain": "global", "reason": failed.reason, "message": failed.message}]}}, failed.status)

    # --- reading

    def resource(self, bucket, name, thing):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(thing.modified)) + f".{int(thing.modified * 1000) % 1000:03d}Z"
        made = {"kind": "storage#object", "id": f"{bucket}/{name}/{thing.generation}", "name": name, "bucket": bucket, "size": str(thing.size),
                "generation": str(thing.generation), "metageneration": "1", "md5Hash": base64.b64encode(bytes.fromhex(thing.md5)).decode(),
                "crc32c": thing.meta.get("crc32c") or _crc32c(thing.path), "contentType": thing.meta.get("content-type", "application/octet-stream"),
                "timeCreated": stamp, "updated": stamp, "etag": thing.etag, "storageClass": "STANDARD"}
        if "content-encoding" in thing.meta:
            made["contentEncoding"] = thing.meta["content-encoding"]
        own = {n[len("x-goog-meta-"):]: v for n, v in thing.meta.items() if n.startswith("x-goog-meta-")}
        return {**made, "metadata": own} if own else made

    def _object(self, request, bucket, name):
        key = f"{bucket}/{name}"
        thing = self.objects.get(key)
        if thing is None:
            raise Failed(404, "notFound", f"No such object: {key}")
        self._conditions(request.query, key)
        if request.method == "DELETE":
            self.objects.delete(key)
            return Response(204)
        if request.method != "GET":
            raise Failed(405, "methodNotAllowed")
        if request.query.get("alt") != "media":
            return Response.json(self.resource(bucket, name, thing))
        found = content(request, thing, {"Content-Type": thing.meta.get("content-type", "application/octet-stream"),
                                         "x-goog-generation": str(thing.generation), "x-goog-hash": f"crc32c={_crc32c(thing.path)}"})
        if found is None:
            raise Failed(416, "requestedRangeNotSatisfiable")
        return found

    def _list(self, request, bucket):
        query = request.query
        after = base64.urlsafe_b64decode(query["pageToken"]).decode() if query.get("pageToken") else query.get("startOffset", "")
        limit = min(int(query.get("maxResults", 1000)), self.settings.list_page)
        things, prefixes, last = page(self.objects, bucket, query.get("prefix", ""), query.get("delimiter", ""), after, limit)
        made = {"kind": "storage#objects", "items": [self.resource(bucket, n, t) for n, t in things]}
        if prefixes:
            made["prefixes"] = prefixes
        if last is not None:
            made["nextPageToken"] = base64.urlsafe_b64encode(last.encode()).decode()
        return Response.json(made)

    # --- writing

    def _conditions(self, query, key):
        """True when nothing may be there yet."""
        old, only_new = self.objects.get(key), False
        generation = old.generation if old else 0
        for name in query:
            if name in ("ifMetagenerationMatch", "ifMetagenerationNotMatch"):
                raise Failed(501, "notImplemented", name)
        if "ifGenerationMatch" in query:
            only_new = query["ifGenerationMatch"] == "0"
            if int(query["ifGenerationMatch"]) != generation:
                raise Failed(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
        if "ifGenerationNotMatch" in query and int(query["ifGenerationNotMatch"]) == generation:
            raise Failed(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
        return only_new

    def _store(self, bucket, name, path, query, meta):
        key, crc = f"{bucket}/{name}", _crc32c(path)
        wanted = {**meta.pop("expect", {})}
        with open(path, "rb") as file:
            md5 = hashlib.file_digest(file, "md5")
        if wanted.get("crc32c", crc) != crc or wanted.get("md5Hash", base64.b64encode(md5.digest()).decode()) != base64.b64encode(md5.digest()).decode():
            raise Failed(400, "invalid", "Provided checksum doesn't match calculated checksum.")
        thing = self.objects.put(key, path, {**meta, "crc32c": crc}, "GCS", md5.hexdigest(), self._conditions(query, key))
        if thing is None:
            raise Failed(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
        return self.resource(bucket, name, thing)

    def _upload(self, request, bucket):
        query = request.query
        if "upload_id" in query:
            return self._continue(request, query["upload_id"])
        kind = query.get("uploadType")
        if kind == "media":
            path = self._save(request.body())
            return Response.json(self._store(bucket, query["name"], path, query, _meta({"contentType": request.headers.get("content-type")})))
        if kind == "multipart":
            described, data = _parts(request)
            return Response.json(self._store(bucket, query.get("name") or described["name"], self._save(data), query, _meta(described)))
        if kind != "resumable":
            raise Failed(400, "invalid", f"uploadType {kind}")
        described = json.loads(request.body() or b"{}")
        described.setdefault("contentType", request.headers.get("x-upload-content-type"))
        name = query.get("name") or described["name"]
        self._conditions(query, f"{bucket}/{name}")
        session = secrets.token_urlsafe(24)
        self.sessions[session] = {"bucket": bucket, "name": name, "query": dict(query), "meta": described, "path": self.objects.path(), "have": 0, "done": None,
                                  "lock": threading.Lock()}
        base = f"{'https' if request.secure else 'http'}://{request.headers['host']}{request.raw_path}"
        return Response(200, b"", {"Location": f"{base}?uploadType=resumable&upload_id={session}", "X-GUploader-UploadID": session})

    def _save(self, data):
        path = self.objects.path()
        with open(path, "wb") as file:
            file.write(data)
        return path

    def _continue(self, request, name):
        session = self.sessions.get(name)
        if session is None:
            raise Failed(404, "notFound", "the upload session is not known")
        body = request.body()
        if request.method == "DELETE":
            del self.sessions[name]
            return Response(499)
        with session["lock"]:
            if session["done"] is not None:
                return Response.json(session["done"])         # finished: the same answer again
            given = request.headers.get("content-range")
            found = RANGE.fullmatch(given) if given else None
            if given and not found:
                raise Failed(400, "invalid", "Content-Range")
            first, _, total = found.groups() if found else ("0", None, str(len(body)))
            if first is not None:
                self._append(session, int(first), body, total)
            if total != "*" and session["have"] == int(total):
                session["done"] = self._store(session["bucket"], session["name"], session["path"], session["query"], _meta(session["meta"]))
                return Response.json(session["done"])
            return Response(308, b"", {"Range": f"bytes=0-{session['have'] - 1}"} if session["have"] else {})

    @staticmethod
    def _append(session, first, body, total):
        if first > session["have"]:
            raise Failed(503, "backendError", "the chunk starts behind what is there")
        if total == "*" and len(body) % QUANTUM:
            raise Failed(400, "invalid", "a chunk must be a multiple of 256 KiB")
        with open(session["path"], "ab") as file:
            file.write(body[session["have"] - first:])
        session["have"] = max(session["have"], first + len(body))


def _parts(request):
    """(metadata, content) of a multipart/related body."""
    found = re.search(r"boundary=['\"]?([^'\";]+)", request.headers.get("content-type", ""))
    parts = request.body().split(b"--" + (found[1] if found else "").encode())
    if not found or len(parts) < 4:
        raise Failed(400, "invalid", "multipart body")
    described, data = (p.split(b"\r\n\r\n", 1) if b"\r\n\r\n" in p else p.split(b"\n\n", 1) for p in parts[1:3])
    told = re.search(rb"content-type:\s*([^\r\n]+)", data[0], re.I)
    described = {"contentType": told[1].decode() if told else None, **json.loads(described[1])}
    return described, data[1][:-2] if data[1].endswith(b"\r\n") else data[1][:-1]


def _meta(described):
    """The object's headers, as the XML interface has them."""
    meta = {f"x-goog-meta-{n.lower()}": v for n, v in (described.get("metadata") or {}).items()}
    for ours, theirs in (("content-type", "contentType"), ("content-encoding", "contentEncoding")):
        if described.get(theirs):
            meta[ours] = described[theirs]
    meta["expect"] = {n: described[n] for n in ("crc32c", "md5Hash") if n in described}
    return meta


def _crc32c(path):
    sums = google_crc32c.Checksum()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            sums.update(chunk)
    return base64.b64encode(sums.digest()).decode()
