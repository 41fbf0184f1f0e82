"""Google Cloud Storage: the XML interface (PUT with a bearer token or a presigned URL, HEAD, GET, DELETE); the JSON one is beside it."""
import hashlib
import time

from .accounts import BUCKET
from .http_server import Response
from .objects_read import content
from .store_gcs_json import GcsJson


class GcsStore:
    def __init__(self, objects, credentials, accounts, settings):
        self.objects, self.credentials, self.accounts, self.settings = objects, credentials, accounts, settings
        self.json = GcsJson(objects, settings)

    def handle(self, request):
        bucket = GcsJson.bucket(request)
        if bucket is not None:
            return self._refused(request, f"{bucket}/", True) or self.json.handle(request)
        host, path = request.headers.get("host", "").split(":")[0], request.path.lstrip("/")
        first = host.split(".")[0]
        plain = host.replace(".", "").isdigit() or host == "localhost" or first == "storage"
        key = path if plain else f"{first}/{path}"
        return self._refused(request, key) or self._xml(request, key)

    def _xml(self, request, key):
        if request.method == "PUT":
            return self._put(request, key)
        thing = self.objects.get(key)
        if thing is None:
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        if request.method == "DELETE":
            self.objects.delete(key)
            return Response(204)
        headers = {"ETag": f'"{thing.etag}"', **{n: v for n, v in thing.meta.items() if n != "crc32c"}, "x-goog-generation": str(thing.generation)}
        if request.method == "HEAD":
            return Response(200, b"", {**headers, "Content-Length": str(thing.size)})
        return content(request, thing, headers) or _error(416, "InvalidRange", "The requested range cannot be satisfied.")

    def _refused(self, request, key, as_json=False):
        """Why the request may not be carried out, as an answer; or None."""
        refusal, now, bucket = (_json_error if as_json else _error), time.time(), key.partition("/")[0]
        link = request.query.get("X-Goog-Signature")
        if link is not None:
            known = self.credentials.links.get(link)
            if known is None or known[0] != key or request.method != known[2]:
                return refusal(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")
            if known[1] < now:
                return refusal(400, "ExpiredToken", "The provided token has expired.")
            return None
        if as_json and "upload_id" in request.query:
            return None                                   # the session's URI is a credential
        token = request.headers.get("authorization", "")
        if not token.startswith("Bearer "):
            return refusal(401, "AuthenticationRequired", "Authentication required.")
        ours = self.credentials.gcs_tokens.get(token[7:])
        if not (ours is not None and ours > now or self.accounts.has_token(token[7:])):
            return refusal(401, "AuthenticationRequired", "Invalid or expired access token.")
        if (ours is not None) != (bucket == BUCKET):
            return refusal(403, "AccessDenied", "The caller does not have access to the bucket.")
        if bucket != BUCKET and self.settings.buckets and bucket not in self.settings.buckets.split(","):
            return refusal(404, "NoSuchBucket", "The specified bucket does not exist.")
        return None

    def _put(self, request, key):
        headers = request.headers
        path, md5 = self.objects.path(), hashlib.md5()
        with open(path, "wb") as file:
            for chunk in request.chunks():
                file.write(chunk)
                md5.update(chunk)
        meta = {n: v for n, v in headers.items() if n.startswith("x-goog-meta-") or n in ("content-type", "content-encoding") and v}
        only_new = headers.get("x-goog-if-generation-match") == "0"
        thing = self.objects.put(key, path, meta, "GCS", md5.hexdigest(), only_new)
        if thing is None:
            return _error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
        return Response(200, b"", {"ETag": f'"{thing.etag}"', "x-goog-generation": str(thing.generation)})


def _error(status, code, message):
    return Response(status, f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode(),
                    {"Content-Type": "application/xml"})


def _json_error(status, code, message):
    reason = {401: "authError", 403: "forbidden", 404: "notFound"}.get(status, "invalid")
    return Response.json({"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}}, status)
