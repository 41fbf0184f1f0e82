"""The listeners and what happens to a request: control call, sign-in or storage operation, with the fault script around it."""
import asyncio
import itertools
import time
import traceback
import uuid

from . import access, errors, routes, signin
from .calls import Call, http_date
from .connection import Connection, Response
from .control import Control
from .errors import AzureError

_prefix, _numbers = uuid.uuid4().hex[:8], itertools.count(1)


class Server:
    def __init__(self, world):
        self.world, self.connections, self.ports, self.listeners = world, set(), {}, []
        self.control = Control(self)

    async def listen(self, port=0, tls=None):
        """`azure` serves everything; `dfs` and `blob` are strict; with TLS each again as tls_…"""
        loop = asyncio.get_running_loop()
        for prefix, context in (("", None), ("tls_", tls)):
            if prefix and context is None:
                continue
            for name, endpoint in (("azure", None), ("dfs", "dfs"), ("blob", "blob")):
                made = await loop.create_server(lambda e=endpoint, s=context is not None: Connection(self, e, s), "127.0.0.1",
                                                port if name == "azure" and not prefix else 0, ssl=context, backlog=1024)
                self.ports[prefix + name] = made.sockets[0].getsockname()[1]
                self.listeners.append(made)

    def close(self):
        for listener in self.listeners:
            listener.close()
        for connection in list(self.connections):
            connection.abort()

    def serve(self, connection, request):
        if request.raw_path.startswith("/sandbox/"):
            return self.control.serve(connection, request)
        if "content-length" not in request.headers and request.method in ("PUT", "PATCH", "POST"):
            connection.send(request, Response(411, {"x-ms-error-code": "MissingContentLengthHeader"}))
            return connection.close()           # what follows may be a chunked body
        wait = self.world.stalled_until - time.monotonic() if self.world.stalled_until else 0
        if wait > 0:
            return self._later(connection, wait, lambda: self._begin(connection, request))
        self._begin(connection, request)

    def _begin(self, connection, request):
        name = signin.operation(request)
        call, failure = None, None
        if name is None:
            reached, in_host = routes.endpoint_of(request, self.world.account)
            call = Call(self.world, request, reached)
            try:
                routes.locate(call, in_host)
                call.operation = routes.find(call)
                name = call.operation.name
            except AzureError as error:
                failure, name, call.endpoint = error, "unknown", call.endpoint or "dfs"
        rule = None
        if self.world.faults.rules:
            rule = self.world.faults.take(call.endpoint if call is not None else "login", name, request)
        if rule is None:
            return connection.send(request, self._answer(name, call, request, failure))
        self._spoiled(rule, connection, request, name, call, failure)

    def _answer(self, name, call, request, failure=None):
        """Applies the request and makes the answer."""
        if call is None:
            response, code = self.world.signin.handle(name, request, self.world.now()), None
            response.headers.update({"x-ms-request-id": _request_id(), "Date": http_date(self.world.now())})
        else:
            try:
                if failure is not None:
                    raise failure
                access.authorize(self.world, call)
                response, code = self._finish(call, call.operation.handler(call)), None
            except AzureError as error:
                response, code = self._refusal(call, error), error.code
            except Exception:
                traceback.print_exc()                 # a fault of the stand-in: in its log, and no success for the client
                response, code = self._refusal(call, AzureError("InternalError")), "InternalError"
        self._give_back(request)
        self.world.log.add(name, request, response, code)
        return response

    def _finish(self, call, response, request_id=None):
        headers = response.headers
        headers["Server"] = "Windows-Azure-HDFS/1.0 Microsoft-HTTPAPI/2.0" if call.endpoint == "dfs" else "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0"
        headers["x-ms-request-id"] = request_id or _request_id()
        headers["x-ms-version"] = call.headers.get("x-ms-version") or "2021-06-08"
        if "x-ms-client-request-id" in call.headers:
            headers["x-ms-client-request-id"] = call.headers["x-ms-client-request-id"]
        headers["Date"] = http_date(call.now)
        return response

    def _refusal(self, call, error):
        request_id = _request_id()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.0000000Z", time.gmtime(call.now))
        kind, body = errors.body(error, call.endpoint, request_id, stamp)
        if error.status == 304:
            body = b""
        return self._finish(call, Response(error.status, {"Content-Type": kind, "x-ms-error-code": error.code, **error.headers}, body), request_id)

    def _give_back(self, request):
        """The room of a large body that no operation kept."""
        if request.extent is not None:
            self.world.segments.release([request.extent])
            request.extent = None

    # --- faults

    def _later(self, connection, seconds, action):
        """Does it later, and does it as well when the client is gone by then: the service has the whole request."""
        connection.hold()

        def go():
            connection.busy = False
            action()
            if not connection.busy:
                connection.resume()

        asyncio.get_running_loop().call_later(seconds, go)

    def _scripted(self, rule, call):
        """The answer that a rule gives instead of ours."""
        status = int(rule.get("status", 503))
        code = rule.get("code", errors.USUAL.get(status, "InternalError"))
        headers = {"Retry-After": str(rule.get("retry_after"))} if rule.get("retry_after") is not None else {}
        if call is None or rule.get("body") is not None:
            return Response(status, {**headers, **({"x-ms-error-code": code} if call is not None else {})}, rule.get("body", "").encode())
        return self._refusal(call, AzureError(code, status=status, message=rule.get("message"), headers=headers))

    def _spoiled(self, rule, connection, request, name, call, failure):
        action, delay = rule.action, float(rule.get("delay_ms", 1000)) / 1000
        apply = lambda: self._answer(name, call, request, failure)
        if action in ("status", "close", "stall"):
            self._give_back(request)
        if action == "status":
            response = self._scripted(rule, call)
            self.world.log.add(name, request, response, response.headers.get("x-ms-error-code", "scripted"))
            return connection.send(request, response)
        if action == "close":
            return connection.abort()
        if action == "stall":
            return self._later(connection, delay, connection.abort)
        if action == "slow_before":
            return self._later(connection, delay, lambda: connection.send(request, apply()))
        if action == "late":
            connection.abort()
            return asyncio.get_running_loop().call_later(delay, apply)
        response = apply()
        if action == "apply_close":
            return connection.abort()
        if action == "slow":
            return self._later(connection, delay, lambda: connection.send(request, response))
        if action == "truncate":
            response.truncate = int(rule.get("keep", response.length // 2))
        connection.send(request, self._scripted(rule, call) if action == "apply_status" else response)


def _request_id():
    return f"{_prefix}-901f-0035-0a4d-{next(_numbers):012x}"
