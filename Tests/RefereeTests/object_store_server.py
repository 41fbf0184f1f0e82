"""S3, Azure Blob and Google Cloud Storage as far as our stores use them, each request checked: S3's signatures by
botocore. The first line on stdout says, in JSON, where it listens; it ends when stdin does.

    /__ctl     POST {"fail": [{"match", "n", "status", "code", "after", "drop", "damage", "headers"}], "expired", "skew", …}
    /__log     the requests so far;  /__objects  what lies here
    /azure/…   Azure, account `azure`;  /gcs/…  GCS by XML, /storage/v1/… by JSON;  anything else  S3, path style
"""
import base64
import datetime
import email.utils
import hashlib
import http.server
import json
import os
import ssl
import sys
import tempfile
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import escape

sys.path.insert(0, os.path.dirname(__file__))
import gcs_json  # noqa: E402
import sigv4  # noqa: E402

SECRETS = {"AKIDEXAMPLE": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
SAS = "sv=2023-11-03&sp=rcwd&sig=SECRETSIG%2B%3D"
BEARER = "SECRET-token"
REGIONS = {"frankfurt": "eu-central-1"}
LOCK = threading.RLock()


class World:
    def __init__(self):
        self.objects, self.uploads, self.blocks, self.log, self.faults = {}, {}, {}, [], []
        self.expired, self.skew, self.count, self.page = False, 0, 0, 1000
        self.sessions, self.generation, self.persists, self.lenient = {}, 1000, None, False


class Answer(Exception):
    def __init__(self, status, code="", message="", **headers):
        self.status, self.code, self.message, self.headers = status, code, message, headers


WORLD = World()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(time.time() + WORLD.skew, usegmt=True)

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        if "Content-Length" not in dict(headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code, message="", headers=()):
        headers = {"x-ms-error-code": code, "Content-Type": "application/xml", **dict(headers)}
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        self.answer(status, b"" if self.command == "HEAD" else body, headers)

    def any(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        self.query = {urllib.parse.unquote(n): urllib.parse.unquote(v)
                      for n, _, v in (p.partition("=") for p in query.split("&") if p)}
        if path.startswith("/__"):
            return self.control(path)
        with LOCK:
            WORLD.log.append({"method": self.command, "path": self.path,
                              "headers": {k.lower(): v for k, v in self.headers.items()}})
            fault = next((f for f in WORLD.faults if f["match"] in f"{self.command} {self.path}" and f["n"] > 0), None)
            if fault:
                fault["n"] -= 1
        if fault and fault.get("damage"):     # on the way, where nobody sees it
            self.body, fault = self.body[:-1] + bytes([self.body[-1] ^ 1]), None
        if fault and not fault.get("after"):
            return self.fail(fault)
        try:
            with LOCK:
                done = self.work(path)
        except gcs_json.Refused as refused:
            return self.fail(fault) if fault else self.answer(refused.status, refused.body(), refused.headers)
        except Answer as answer:
            if fault:
                return self.fail(fault)
            return self.refuse(answer.status, answer.code, answer.message, answer.headers)
        if fault:
            return self.fail(fault)
        self.answer(*done)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = any

    def fail(self, fault):
        if fault.get("drop"):
            self.close_connection = True
        else:
            self.refuse(fault["status"], fault.get("code", ""), "as it was told", fault.get("headers", {}))

    def control(self, path):
        with LOCK:
            if path == "/__log":
                return self.answer(200, json.dumps(WORLD.log).encode())
            if path == "/__objects":
                told = {k: {"size": len(o["body"]), "sha256": hashlib.sha256(o["body"]).hexdigest(), **o["headers"]}
                        for k, o in WORLD.objects.items()}
                told["__uploads"] = len(WORLD.uploads) + sum(not s["done"] for s in WORLD.sessions.values())
                return self.answer(200, json.dumps(told).encode())
            order = json.loads(self.body or b"{}")
            if order.get("reset"):
                WORLD.__init__()
            WORLD.faults += order.get("fail", [])
            WORLD.expired, WORLD.skew = order.get("expired", WORLD.expired), order.get("skew", WORLD.skew)
            WORLD.page, WORLD.persists = order.get("page", WORLD.page), order.get("persists", WORLD.persists)
            WORLD.lenient = order.get("lenient", WORLD.lenient)
            if "put" in order:
                self.store(order["put"]["path"], order["put"]["body"].encode(), order["put"].get("headers", {}))
            self.answer(200, b"{}")

    # What all three share

    def store(self, path, body, headers, etag=None):
        WORLD.generation += 1
        WORLD.objects[path] = {"body": body, "headers": headers, "generation": WORLD.generation,
                               "etag": etag or hashlib.md5(body).hexdigest()}
        return WORLD.objects[path]

    def metadata(self, prefix):
        kept = ("content-type", "content-encoding", "x-ms-blob-content-md5", "x-ms-blob-content-type",
                "x-ms-blob-content-encoding", "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id")
        return {k.lower(): v for k, v in self.headers.items() if k.lower().startswith(prefix) or k.lower() in kept}

    def check_md5(self, code):
        claimed = self.headers.get("Content-MD5")
        if claimed and base64.b64decode(claimed) != hashlib.md5(self.body).digest():
            raise Answer(400, code)

    @staticmethod
    def ranged(body, wanted):
        """Status, bytes and headers of what a Range header asks for."""
        if not wanted:
            return 200, body, {}
        first, last = (int(n) for n in wanted.removeprefix("bytes=").split("-"))
        if first >= len(body):
            raise Answer(416, "InvalidRange")
        piece = body[first:last + 1]
        return 206, piece, {"Content-Range": f"bytes {first}-{first + len(piece) - 1}/{len(body)}"}

    @staticmethod
    def page(folder, prefix, delimiter, after, limit):
        """(name, object or None for a folder) of a page, and what asks for the next; WORLD.page makes pages small."""
        entries, limit = [], min(limit, WORLD.page)
        for path in sorted(WORLD.objects, key=lambda p: p.encode()):
            if not path.startswith(folder + prefix):
                continue
            name = path[len(folder):]
            cut = name.find(delimiter, len(prefix)) if delimiter else -1
            entry = (name[:cut + 1], None) if cut >= 0 else (name, WORLD.objects[path])
            if entry[0].encode() <= after.encode() or entry in entries:
                continue
            if len(entries) == limit:
                return entries, entries[-1][0]
            entries.append(entry)
        return entries, ""

    def work(self, path):
        if gcs_json.route(path):
            return gcs_json.Bucket(self, WORLD, BEARER).answer(path)
        if path.startswith("/azure/"):
            return self.azure(urllib.parse.unquote(path))
        if path.startswith("/gcs/"):
            return self.gcs(urllib.parse.unquote(path))
        return self.s3(urllib.parse.unquote(path))

    # S3

    def s3(self, path):
        bucket = path.split("/")[1]
        region = REGIONS.get(bucket, "us-east-1")
        found = sigv4.problems(self.command, self.path, self.headers, sigv4.sha256(self.body), SECRETS, region,
                               secure=isinstance(self.connection, ssl.SSLSocket))
        if WORLD.expired and self.headers.get("x-amz-security-token") != "fresh":
            raise Answer(400, "ExpiredToken", "The provided token has expired.")
        if found == ["AuthorizationHeaderMalformed"]:
            raise Answer(301, "PermanentRedirect", "elsewhere", **{"x-amz-bucket-region": region})
        if found:
            raise Answer(403, found[0].split(":")[0], "; ".join(found))
        signed = datetime.datetime.strptime(self.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
        now = datetime.datetime.fromtimestamp(time.time() + WORLD.skew, datetime.timezone.utc).replace(tzinfo=None)
        if abs((signed - now).total_seconds()) > 900:
            raise Answer(403, "RequestTimeTooSkewed")
        if bucket == "missing":
            raise Answer(404, "NoSuchBucket")
        return getattr(self, "s3_" + self.command)(path)

    def s3_condition(self, path):
        if self.headers.get("If-None-Match") == "*" and path in WORLD.objects and not WORLD.lenient:
            raise Answer(412, "PreconditionFailed")

    def s3_PUT(self, path):
        self.check_md5("BadDigest")
        if "uploadId" in self.query:
            upload = WORLD.uploads.get(self.query["uploadId"])
            if not upload or upload["path"] != path:
                raise Answer(404, "NoSuchUpload")
            upload["parts"][int(self.query["partNumber"])] = self.body
            return 200, b"", {"ETag": f'"{hashlib.md5(self.body).hexdigest()}"'}
        self.s3_condition(path)
        made = self.store(path, self.body, self.metadata("x-amz-meta-"))
        return 200, b"", {"ETag": f'"{made["etag"]}"'}

    def s3_POST(self, path):
        if "uploads" in self.query:
            WORLD.count += 1
            name = f"upload+{WORLD.count}/="  # needs encoding
            WORLD.uploads[name] = {"path": path, "parts": {}, "headers": self.metadata("x-amz-meta-")}
            return 200, (f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId>"
                         "</InitiateMultipartUploadResult>").encode()
        name = self.query["uploadId"]
        if name not in WORLD.uploads:
            raise Answer(404, "NoSuchUpload")
        self.s3_condition(path)
        upload, body, digests = WORLD.uploads[name], b"", b""
        space = "{http://s3.amazonaws.com/doc/2006-03-01/}"
        for index, part in enumerate(ElementTree.fromstring(self.body).iter(space + "Part")):
            number, etag = int(part.find(space + "PartNumber").text), part.find(space + "ETag").text
            data = upload["parts"].get(number)
            if data is None or number != index + 1 or etag.strip('"') != hashlib.md5(data).hexdigest():
                raise Answer(400, "InvalidPart")
            body, digests = body + data, digests + hashlib.md5(data).digest()
        etag = f"{hashlib.md5(digests).hexdigest()}-{len(digests) // 16}"
        self.store(path, body, upload["headers"], etag)
        del WORLD.uploads[name]
        return 200, (f"<CompleteMultipartUploadResult><ETag>&quot;{etag}&quot;</ETag>"
                     "</CompleteMultipartUploadResult>").encode()

    def s3_HEAD(self, path):
        found = WORLD.objects.get(path)
        if not found:
            raise Answer(404, "NoSuchKey")
        return 200, b"", {**found["headers"], "ETag": f'"{found["etag"]}"', "Content-Length": str(len(found["body"]))}

    def s3_GET(self, path):
        if "list-type" in self.query:
            return self.s3_list(path.rstrip("/") + "/")
        found = WORLD.objects.get(path)
        if not found:
            raise Answer(404, "NoSuchKey")
        etag = f'"{found["etag"]}"'
        if self.headers.get("If-Match") not in (None, etag):
            raise Answer(412, "PreconditionFailed")
        status, body, headers = self.ranged(found["body"], self.headers.get("Range"))
        return status, body, {**found["headers"], **headers, "ETag": etag}

    def s3_list(self, bucket):
        entries, more = self.page(bucket, self.query.get("prefix", ""), self.query.get("delimiter"),
                                  self.query.get("continuation-token", ""), int(self.query.get("max-keys", 1000)))
        text = "".join(f"<Contents><Key>{escape(name)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                       f"<ETag>&quot;{found['etag']}&quot;</ETag><Size>{len(found['body'])}</Size></Contents>"
                       for name, found in entries if found)
        text += "".join(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name, found in entries if not found)
        if more:
            text += f"<NextContinuationToken>{escape(more)}</NextContinuationToken>"
        return 200, (f'<?xml version="1.0"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{bucket[1:-1]}</Name>'
                     f"<Prefix>{escape(self.query.get('prefix', ''))}</Prefix><KeyCount>{len(entries)}</KeyCount>"
                     f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{text}</ListBucketResult>").encode(), {"Content-Type": "application/xml"}

    def s3_DELETE(self, path):
        if "uploadId" in self.query:
            if WORLD.uploads.pop(self.query["uploadId"], None) is None:
                raise Answer(404, "NoSuchUpload")
        else:
            WORLD.objects.pop(path, None)
        return 204,

    # Azure Blob

    def azure(self, path):
        given = {n: v for n, v in self.query.items() if n in ("sv", "sp", "sig")}
        expected = {n: urllib.parse.unquote(v) for n, _, v in (p.partition("=") for p in SAS.split("&"))}
        if WORLD.expired and given.get("sig") != "fresh" or given.get("sig") not in ("fresh", expected["sig"]):
            raise Answer(403, "AuthenticationFailed", "Server failed to authenticate the request.\nsig SECRET")
        if not self.headers.get("x-ms-version"):
            raise Answer(400, "MissingRequiredHeader")
        if path.split("/")[2] == "missing":
            raise Answer(404, "ContainerNotFound")
        return getattr(self, "azure_" + self.command)(path)

    def azure_PUT(self, path):
        self.check_md5("Md5Mismatch")
        if self.query.get("comp") == "block":
            name = base64.b64decode(self.query["blockid"], validate=True)
            blocks = WORLD.blocks.setdefault(path, {})
            if len(name) > 64 or any(len(other) != len(name) for other in blocks):
                raise Answer(400, "InvalidBlobOrBlock")
            blocks[name] = self.body
            return 201,
        exists = path in WORLD.objects and self.headers.get("If-None-Match") == "*"
        if self.query.get("comp") == "blocklist":
            if exists:
                raise Answer(409, "BlobAlreadyExists")
            names = [base64.b64decode(e.text) for e in ElementTree.fromstring(self.body).iter("Latest")]
            blocks = WORLD.blocks.get(path, {})
            if any(name not in blocks for name in names):
                raise Answer(400, "InvalidBlockList")
            body = b"".join(blocks[name] for name in names)
            WORLD.blocks.pop(path, None)
        else:
            if self.headers.get("x-ms-blob-type") != "BlockBlob":
                raise Answer(400, "InvalidHeaderValue")
            if exists:
                raise Answer(409, "BlobAlreadyExists")
            body = self.body
        made = self.store(path, body, self.metadata("x-ms-meta-"))
        return 201, b"", {"ETag": '"0x' + made["etag"] + '"'}

    def azure_HEAD(self, path):
        found = WORLD.objects.get(path)
        if not found:
            raise Answer(404, "BlobNotFound")
        headers = {k: v for k, v in found["headers"].items() if k.startswith("x-ms-meta-")}
        if "x-ms-blob-content-md5" in found["headers"]:
            headers["Content-MD5"] = found["headers"]["x-ms-blob-content-md5"]
        return 200, b"", {**headers, "ETag": '"0x' + found["etag"] + '"', "Content-Length": str(len(found["body"]))}

    def azure_GET(self, path):
        if self.query.get("comp") == "list":
            return self.azure_list(path.rstrip("/") + "/")
        found = WORLD.objects.get(path)
        if not found:
            raise Answer(404, "BlobNotFound")
        etag = '"0x' + found["etag"] + '"'
        if self.headers.get("If-Match") not in (None, etag):
            raise Answer(412, "ConditionNotMet")
        status, body, headers = self.ranged(found["body"], self.headers.get("x-ms-range"))
        kept = {k: v for k, v in found["headers"].items() if k.startswith("x-ms-meta-")}
        return status, body, {**kept, **headers, "ETag": etag, "x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream",
                              "Last-Modified": email.utils.formatdate(usegmt=True)}

    def azure_list(self, container):
        entries, more = self.page(container, self.query.get("prefix", ""), self.query.get("delimiter"), self.query.get("marker", ""),
                                  int(self.query.get("maxresults", 5000)))
        text = "".join(f"<Blob><Name>{escape(name)}</Name><Properties><Etag>0x{found['etag']}</Etag><ResourceType>file</ResourceType>"
                       f"<Content-Length>{len(found['body'])}</Content-Length><BlobType>BlockBlob</BlobType>"
                       f"<Last-Modified>{email.utils.formatdate(usegmt=True)}</Last-Modified></Properties></Blob>" if found
                       else f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>" for name, found in entries)
        return 200, (f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="{container}"><Blobs>{text}</Blobs>'
                     f"<NextMarker>{escape(more)}</NextMarker></EnumerationResults>").encode(), {"Content-Type": "application/xml"}

    def azure_DELETE(self, path):
        if WORLD.objects.pop(path, None) is None:
            raise Answer(404, "BlobNotFound")
        return 202,

    # Google Cloud Storage

    def gcs(self, path):
        if "X-Goog-Signature" in self.query:
            if self.command != "PUT" or self.headers.get("Authorization"):
                raise Answer(403, "SignatureDoesNotMatch")
            if WORLD.expired:
                raise Answer(400, "ExpiredToken")
        elif self.headers.get("Authorization") != "Bearer " + ("fresh" if WORLD.expired else BEARER):
            raise Answer(401, "AuthenticationRequired")
        if path.split("/")[2] == "missing":
            raise Answer(404, "NoSuchBucket")
        found = WORLD.objects.get(path)
        if self.command == "PUT":
            self.check_md5("BadDigest")
            if self.headers.get("x-goog-if-generation-match") == "0" and found:
                raise Answer(412, "PreconditionFailed")
            found = self.store(path, self.body, self.metadata("x-goog-meta-"))
            return 200, b"", self.gcs_headers(found)
        if not found:
            raise Answer(404, "NoSuchKey")
        if self.command == "DELETE":
            del WORLD.objects[path]
            return 204,
        return 200, b"", {**found["headers"], **self.gcs_headers(found), "Content-Length": str(len(found["body"]))}

    @staticmethod
    def gcs_headers(found):
        md5 = base64.b64encode(hashlib.md5(found["body"]).digest()).decode()
        return {"ETag": f'"{found["etag"]}"', "x-goog-hash": f"crc32c=AAAAAA==,md5={md5}"}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, address):
        pass


def serve(certificate=None):
    server = Server(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate + ".pem", certificate + ".key")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


if __name__ == "__main__":
    from http_server import certificates

    with tempfile.TemporaryDirectory() as folder:
        authority, made = certificates(folder)
        print(json.dumps({"port": serve(), "secure": serve(made["good"]), "authority": authority}), flush=True)
        sys.stdin.read()
