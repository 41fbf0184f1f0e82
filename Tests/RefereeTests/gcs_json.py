"""Google Cloud Storage by its JSON interface, as a part of object_store_server: uploads in one piece, in two parts and
resumable, preconditions, lists, ranges. What lies in a bucket is the same as by the XML interface."""
import base64
import json
import re
import uuid

try:
    import google_crc32c
except ImportError:
    google_crc32c = None

import hashlib
import urllib.parse

UNIT = 262144


class Refused(Exception):
    def __init__(self, status, message, reason="", headers=()):
        self.status, self.message, self.reason, self.headers = status, message, reason, dict(headers)

    def body(self):
        error = {"code": self.status, "message": self.message, "errors": [{"reason": self.reason, "message": self.message}]}
        return json.dumps({"error": error}).encode()


def route(path):
    return re.fullmatch(r"/(?:(upload|download)/)?storage/v1/b/([^/]+)(?:/o(?:/(.+))?)?", path)


def resource(name, found):
    headers = found["headers"]
    told = {"kind": "storage#object", "name": name, "size": str(len(found["body"])), "generation": str(found["generation"]),
            "metageneration": "1", "md5Hash": base64.b64encode(hashlib.md5(found["body"]).digest()).decode(),
            "metadata": {k[len("x-goog-meta-"):]: v for k, v in headers.items() if k.startswith("x-goog-meta-")},
            "contentType": headers.get("content-type"), "contentEncoding": headers.get("content-encoding")}
    if google_crc32c:
        told["crc32c"] = base64.b64encode(google_crc32c.Checksum(found["body"]).digest()).decode()
    return {k: v for k, v in told.items() if v is not None}


class Bucket:
    """One request; `request` is the handler, which has `world`, `query`, `body` and `headers`."""

    def __init__(self, request, world, bearer):
        self.request, self.world, self.query, self.bearer = request, world, request.query, bearer

    def answer(self, path):
        kind, bucket, name = route(path).groups()
        self.folder = f"/gcs/{urllib.parse.unquote(bucket)}/"
        if kind == "upload" and "upload_id" in self.query:
            return self.resume(self.query["upload_id"])
        if self.request.headers.get("Authorization") != "Bearer " + ("fresh" if self.world.expired else self.bearer):
            raise Refused(401, "Invalid Credentials", "authError")
        if bucket == "missing":
            raise Refused(404, "The specified bucket does not exist.", "notFound")
        if kind == "upload":
            return self.upload()
        if name is None:
            return self.list() if path.rstrip("/").endswith("/o") else (200, json.dumps({"name": bucket}).encode())
        return self.single(urllib.parse.unquote(name))

    def check(self, name):
        wanted, found = self.query.get("ifGenerationMatch"), self.world.objects.get(self.folder + name)
        if wanted is not None and int(wanted) != (found["generation"] if found else 0):
            raise Refused(412, "At least one of the pre-conditions you specified did not hold.", "conditionNotMet")
        return found

    def store(self, name, body, told):
        self.check(name)
        if told.get("md5Hash") not in (None, base64.b64encode(hashlib.md5(body).digest()).decode()):
            raise Refused(400, f"Provided MD5 hash \"{told['md5Hash']}\" doesn't match calculated MD5 hash.", "invalid")
        headers = {f"x-goog-meta-{k.lower()}": v for k, v in (told.get("metadata") or {}).items()}
        for field, header in (("contentType", "content-type"), ("contentEncoding", "content-encoding")):
            if told.get(field):
                headers[header] = told[field]
        made = self.request.store(self.folder + name, body, headers)
        return 200, json.dumps(resource(name, made)).encode(), {"Content-Type": "application/json"}

    def upload(self):
        kind = self.query["uploadType"]
        if kind == "media":
            return self.store(self.query["name"], self.request.body, {"contentType": self.request.headers.get("Content-Type")})
        if kind == "multipart":
            mark = re.search(r'boundary="?([^";]+)', self.request.headers["Content-Type"])[1].encode()
            first, second = (part.split(b"\r\n\r\n", 1)[1] for part in self.request.body.split(b"--" + mark)[1:3])
            told = json.loads(first)
            return self.store(self.query.get("name") or told["name"], second[:-2], told)
        told = json.loads(self.request.body or b"{}")
        name = self.query.get("name") or told["name"]
        self.check(name)
        number = uuid.uuid4().hex
        self.world.sessions[number] = {"name": name, "told": told, "body": b"", "query": self.query, "done": None}
        address = f"http://{self.request.headers['Host']}/upload/storage/v1/b/{self.folder[5:-1]}/o?uploadType=resumable&upload_id={number}"
        return 200, b"", {"Location": address}

    def resume(self, number):
        upload = self.world.sessions.get(number)
        if upload is None:
            raise Refused(404, "No such upload", "notFound")
        if self.request.command == "DELETE":
            del self.world.sessions[number]
            return 499, b""
        if upload["done"]:
            return upload["done"]
        first, last, total = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", self.request.headers["Content-Range"]).groups()
        if first is not None:
            first, last, body = int(first), int(last), self.request.body
            assert last - first + 1 == len(body)
            if first > len(upload["body"]):
                raise Refused(503, "there is a gap", "backendError")
            if (total == "*" or last + 1 < int(total)) and len(body) % UNIT:
                raise Refused(400, "chunks are multiples of 256 KiB", "invalid")
            keep = self.world.persists if last + 1 != (None if total == "*" else int(total)) else None
            upload["body"] += (body[len(upload["body"]) - first:] if keep is None else body[len(upload["body"]) - first:][:keep])
        if total != "*" and len(upload["body"]) == int(total):
            self.query = upload["query"]
            upload["done"] = self.store(upload["name"], upload["body"], upload["told"])
            return upload["done"]
        return 308, b"", {"Range": f"bytes=0-{len(upload['body']) - 1}"} if upload["body"] else {}

    def list(self):
        entries, more = self.request.page(self.folder, self.query.get("prefix", ""), self.query.get("delimiter"),
                                          self.query.get("pageToken", ""), int(self.query.get("maxResults", 1000)))
        told = {"kind": "storage#objects", "items": [resource(n, o) for n, o in entries if o], "prefixes": [n for n, o in entries if not o]}
        if more:
            told["nextPageToken"] = more
        return 200, json.dumps({k: v for k, v in told.items() if v}).encode(), {"Content-Type": "application/json"}

    def single(self, name):
        found = self.world.objects.get(self.folder + name)
        if not found:
            raise Refused(404, f"No such object: {name}", "notFound")
        self.check(name)
        if self.request.command == "DELETE":
            del self.world.objects[self.folder + name]
            return 204,
        if self.query.get("alt") != "media":
            return 200, json.dumps(resource(name, found)).encode(), {"Content-Type": "application/json"}
        status, body, headers = self.request.ranged(found["body"], self.request.headers.get("Range"))
        headers.update({"x-goog-generation": str(found["generation"]), "x-goog-stored-content-length": str(len(found["body"])),
                        "Content-Type": found["headers"].get("content-type", "application/octet-stream"),
                        "x-goog-hash": "md5=" + base64.b64encode(hashlib.md5(found["body"]).digest()).decode()})
        if found["headers"].get("content-encoding"):
            headers["Content-Encoding"] = found["headers"]["content-encoding"]
        return status, body, headers
