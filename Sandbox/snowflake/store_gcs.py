"""GCS's XML API for staged files: PUT with a bearer token or a presigned URL, HEAD and GET with a token."""
import hashlib
import secrets
import time

from .http_server import Response


class GcsStore:
    def __init__(self, objects, credentials):
        self.objects, self.credentials = objects, credentials

    def handle(self, request):
        host, path = request.headers.get("host", "").split(":")[0], request.path.lstrip("/")
        first = host.split(".")[0]
        plain = host.replace(".", "").isdigit() or host == "localhost" or first == "storage"
        key = path if plain else f"{first}/{path}"
        refused = self._refused(request, key)
        if refused is not None:
            return refused
        if request.method == "PUT":
            return self._put(request, key)
        thing = self.objects.get(key)
        if thing is None:
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        if request.method == "DELETE":
            self.objects.delete(key)
            return Response(204)
        headers = {"ETag": f'"{thing.md5}"', **thing.meta, "x-goog-generation": str(int(thing.modified * 1e6))}
        if request.method == "HEAD":
            return Response(200, b"", {**headers, "Content-Length": str(thing.size)})
        with open(thing.path, "rb") as file:
            return Response(200, file.read(), headers)

    def _refused(self, request, key):
        now = time.time()
        link = request.query.get("X-Goog-Signature")
        if link is not None:
            known = self.credentials.links.get(link)
            if known is None or known[0] != key or request.method != "PUT":
                return _error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")
            if known[1] < now:
                return _error(400, "ExpiredToken", "The provided token has expired.")
            return None
        token = request.headers.get("authorization", "")
        if not token.startswith("Bearer "):
            return _error(401, "AuthenticationRequired", "Authentication required.")
        until = self.credentials.gcs_tokens.get(token[7:])
        if until is None or until < now:
            return _error(401, "AuthenticationRequired", "Invalid or expired access token.")
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
        if self.objects.put(key, path, meta, "GCS", md5.hexdigest(), only_new) is None:
            return _error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
        return Response(200, b"", {"ETag": f'"{md5.hexdigest()}"', "x-goog-generation": str(secrets.randbits(50))})


def _error(status, code, message):
    return Response(status, f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode(),
                    {"Content-Type": "application/xml"})
