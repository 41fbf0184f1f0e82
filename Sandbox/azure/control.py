"""Control calls for tests: /sandbox/… (see README.md)."""
import json
import os
import resource
import time

from . import leases
from .connection import Response
from .errors import AzureError
from .signin import Principal


class Control:
    def __init__(self, server):
        self.server, self.world, self.asking = server, server.world, None

    def serve(self, connection, request):
        name = request.raw_path[len("/sandbox/"):].rstrip("/")
        self.asking = connection
        handler = getattr(self, "on_" + name.replace("-", "_"), None)
        if handler is None:
            answer = _json({"error": f"no control {name}"}, 404)
        else:
            try:
                raw = request.content(self.world.segments)
                answer = handler(request.method, json.loads(raw) if raw.strip() else {}, request.query)
                answer = answer if isinstance(answer, Response) else _json(answer)
            except (AzureError, ValueError, KeyError, TypeError, OSError) as error:
                answer = _json({"error": f"{type(error).__name__}: {error}"}, 400)
        if request.extent is not None:
            self.world.segments.release([request.extent])
        connection.send(request, answer)

    def on_ready(self, method, body, query):
        return {"ready": True, "account": self.world.account, "ports": self.server.ports}

    def on_faults(self, method, body, query):
        """GET: the rules with their counts. POST {"faults": [...], "add": bool} sets (or adds) rules. DELETE: none."""
        faults = self.world.faults
        if method == "POST":
            rules = body if isinstance(body, list) else body["faults"]
            (faults.add if isinstance(body, dict) and body.get("add") else faults.set)(rules)
        elif method == "DELETE":
            faults.set([])
        return {"faults": faults.report()}

    def on_settings(self, method, body, query):
        if method == "POST":
            self.world.settings.update(body)
        return vars(self.world.settings)

    def on_stall(self, method, body, query):
        """{"seconds": 30}: nothing is answered for that long; then everything goes on."""
        self.world.stalled_until = time.monotonic() + float(body["seconds"])
        return {"seconds": body["seconds"]}

    def on_close_connections(self, method, body, query):
        """Every other connection is closed, as idle ones are by the service."""
        others = [one for one in self.server.connections if one is not self.asking]
        for connection in others:
            connection.abort()
        return {"closed": len(others)}

    # --- who may

    def on_keys(self, method, body, query):
        """POST {"keys": [base64, ...]}: the account's keys from now on."""
        if method == "POST":
            self.world.set_keys(body["keys"])
        return {"keys": self.world.raw_keys}

    def on_principals(self, method, body, query):
        """POST one or a list of {"client_id", "secrets": [], "assertions": [], "managed": ""|"system"|"user", "role":
        "owner|contributor|reader|none"}: added, or replaced."""
        for one in (body if isinstance(body, list) else [body]) if method == "POST" else []:
            self.world.signin.add(Principal(**one))
        return {"principals": [vars(p) for p in self.world.signin.principals.values()]}

    def on_token(self, method, body, query):
        """POST {"client_id", "seconds"}: a token for storage without signing in."""
        principal = self.world.signin.principals[body["client_id"]]
        token, lifetime = self.world.signin.issue(principal, "https://storage.azure.com", self.world.now(), body.get("seconds"))
        return {"access_token": token, "expires_in": lifetime}

    def on_expire_tokens(self, method, body, query):
        """Every token issued so far is refused with 401."""
        count = len(self.world.signin.tokens)
        self.world.signin.tokens.clear()
        return {"expired": count}

    def on_signins(self, method, body, query):
        """GET: the requests that reached the sign-in endpoints, as they came. DELETE forgets them."""
        if method == "DELETE":
            self.world.signin.requests.clear()
        return {"requests": list(self.world.signin.requests)}

    def on_age_leases(self, method, body, query):
        """{"seconds": n}: for leases n seconds pass."""
        self.world.lease_offset += float(body["seconds"])
        return {"aged": body["seconds"]}

    # --- the truth

    def _nodes(self, query):
        for name, filesystem in sorted(self.world.store.filesystems.items()):
            if query.get("filesystem", name) == name:
                for path, node in filesystem.paths.items():
                    if path.startswith(query.get("prefix", "")):
                        yield name, path, node

    def on_files(self, method, body, query):
        """?filesystem=&prefix=: every path with what is committed, what is pending, and its lease."""
        now = self.world.lease_now()
        return {"files": [{
            "filesystem": name, "path": path, "directory": node.directory, "length": node.length, "etag": node.etag, "kind": node.kind,
            "pending": {str(at): extent[2] for at, extent in node.pending.items()}, "appends": node.appends, "flushes": node.flushes,
            "closes": node.closes, "properties": node.properties, "lease": leases.state(node, now),
            "lease_id": node.lease.id if node.lease is not None else None} for name, path, node in self._nodes(query)]}

    def on_content(self, method, body, query):
        """?filesystem=&path=: the committed bytes; 404 when there is no such file."""
        filesystem = self.world.store.filesystems.get(query["filesystem"])
        node = filesystem.paths.get(query["path"]) if filesystem is not None else None
        if node is None or node.directory:
            return _json({"error": "no such file"}, 404)
        return Response(200, {"Content-Type": "application/octet-stream"}, pieces=self.world.store.held(node, 0, node.length), length=node.length)

    def on_export(self, method, body, query):
        """POST {"filesystem", "prefix", "folder"}: the committed files, written below a folder of this machine."""
        count = size = 0
        for _, path, node in self._nodes(body):
            target = os.path.join(body["folder"], path)
            if node.directory:
                os.makedirs(target, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                for piece in self.world.store.held(node, 0, node.length):
                    file.write(piece)
            count, size = count + 1, size + node.length
        return {"files": count, "bytes": size}

    def on_operations(self, method, body, query):
        """GET ?last=n: counts by operation, status and error code, and the last requests. DELETE: counting begins again."""
        log, count = self.world.log, int(query.get("last", 0))
        used = resource.getrusage(resource.RUSAGE_SELF)
        found = {"operations": dict(log.operations), "statuses": {str(k): v for k, v in log.statuses.items()}, "codes": dict(log.codes),
                 "received_bytes": log.received, "sent_bytes": log.sent, "connections": len(self.server.connections),
                 "cpu_seconds": used.ru_utime + used.ru_stime, "peak_memory_bytes": used.ru_maxrss * 1024,
                 "last": [dict(zip(("time", "operation", "method", "target", "bytes", "status", "code", "headers"), one, strict=True))
                          for one in list(log.last)[-count:]] if count else []}
        if method == "DELETE":
            log.clear()
        return found

    def on_filesystem(self, method, body, query):
        """POST {"name"}: makes a file system; DELETE ?name=: drops it, content and all."""
        store = self.world.store
        if method == "DELETE":
            if query["name"] in store.filesystems:
                store.drop(query["name"])
        elif method == "POST" and body["name"] not in store.filesystems:
            store.create(body["name"], self.world.now())
        return {"filesystems": sorted(store.filesystems)}

    def on_sabotage(self, method, body, query):
        """{"filesystem", "path", "length"?, "append"?}: behind everyone's back the file is cut, and this text is put at its end."""
        node = self.world.store.filesystems[body["filesystem"]].paths[body["path"]]
        data = b"".join(self.world.segments.read(node.extents, 0, min(int(body.get("length", node.length)), node.length)))
        data += body.get("append", "").encode()
        self.world.store.forget(node)
        if data:
            node.extents, node.length = [self.world.segments.store(data)], len(data)
        node.touch(self.world.now())
        return {"length": node.length}


def _json(value, status=200):
    return Response(status, {"Content-Type": "application/json"}, json.dumps(value, ensure_ascii=False).encode())
