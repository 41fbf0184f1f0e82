"""A small threaded HTTP/1.1 server: keep-alive, chunked and sized bodies, Expect, TLS; bodies are read when asked for."""
import contextlib
import json
import socket
import socketserver
import ssl
import threading
import urllib.parse

REASONS = {200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content", 301: "Moved Permanently", 307: "Temporary Redirect",
           400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict",
           308: "Permanent Redirect",
           411: "Length Required", 412: "Precondition Failed", 416: "Range Not Satisfiable", 429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}


class Closed(Exception):
    """Close the connection without an answer."""


class Response:
    def __init__(self, status=200, body=b"", headers=None, truncate=None):
        self.status, self.body, self.headers, self.truncate = status, body, headers or {}, truncate

    @staticmethod
    def json(value, status=200, **headers):
        return Response(status, json.dumps(value, ensure_ascii=False).encode(), {"Content-Type": "application/json", **headers})


class Request:
    def __init__(self, method, target, headers, reader, secure):
        self.method, self.target, self.headers, self.reader, self.secure = method, target, headers, reader, secure
        self.raw_path, _, self.raw_query = target.partition("?")
        self.path = urllib.parse.unquote(self.raw_path)
        self.query = dict(urllib.parse.parse_qsl(self.raw_query, keep_blank_values=True))
        self.length = int(headers["content-length"]) if "content-length" in headers else None
        self.chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self.consumed, self.go_ahead = False, None

    def chunks(self, size=1 << 18):
        self.consumed = True
        if self.go_ahead:
            self.go_ahead()
        if self.chunked:
            while True:
                count = int(self.reader.readline().split(b";")[0], 16)
                if count == 0:
                    while self.reader.readline().strip():
                        pass
                    return
                yield self._exactly(count)
                self.reader.readline()
        left = self.length or 0
        while left:
            data = self.reader.read(min(size, left))
            if not data:
                raise Closed()
            left -= len(data)
            yield data

    def _exactly(self, count):
        data = self.reader.read(count)
        if len(data) < count:
            raise Closed()
        return data

    def body(self):
        return b"".join(self.chunks())

    def drain(self):
        if not self.consumed:
            for _ in self.chunks():
                pass


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 512

    def handle_error(self, request, client_address):
        pass


class Listener:
    """Serves `handler(Request) → Response` on 127.0.0.1."""

    def __init__(self, handler, port=0, context=None):
        self.handler, self.context = handler, context
        outer = self

        class Connection(socketserver.BaseRequestHandler):
            def handle(self):
                outer.connection(self.request)

        self.server = _Server(("127.0.0.1", port), Connection)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def connection(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context is not None:
            try:
                sock = self.context.wrap_socket(sock, server_side=True)
            except (ssl.SSLError, OSError):
                return
        reader = sock.makefile("rb", 1 << 16)
        with contextlib.suppress(Closed, OSError, ValueError):
            while self._serve(sock, reader):
                pass
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            sock.close()

    def _serve(self, sock, reader):
        line = reader.readline(65536)
        if not line.strip():
            return False
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers = {}
        while (line := reader.readline(65536)).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        request = Request(method, target, headers, reader, self.context is not None)
        if headers.get("expect", "").lower() == "100-continue":
            def go_ahead():
                request.go_ahead = None
                sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.go_ahead = go_ahead
        response = self.handler(request)
        request.drain()
        keep = headers.get("connection", "").lower() != "close" and response.truncate is None
        head = [f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Status')}"]
        if "Content-Length" not in response.headers:
            head.append(f"Content-Length: {len(response.body)}")
        head += [f"{n}: {v}" for n, v in response.headers.items()]
        head.append("Connection: " + ("keep-alive" if keep else "close"))
        body = b"" if method == "HEAD" else response.body
        if response.truncate is not None:
            body = body[:response.truncate]
        sock.sendall("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)
        return keep
