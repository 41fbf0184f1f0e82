"""One HTTP/1.1 connection, made to cost little: requests are parsed from one buffer, and large bodies go from the socket
through one shared piece of memory straight into their segment."""
import asyncio
import hashlib
import urllib.parse

SMALL = 16 << 10          # a body up to this stays in memory until somebody stores it
HEAD = 64 << 10           # a request's head may be this long
SCRATCH = memoryview(bytearray(1 << 20))

REASONS = {200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content", 304: "Not Modified", 400: "Bad Request",
           401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict",
           411: "Length Required", 412: "Precondition Failed", 413: "Request Entity Too Large", 416: "Range Not Satisfiable",
           429: "Too Many Requests", 500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable"}


class Response:
    """`body` is bytes, or `pieces` yields them and `length` says how many there are."""
    __slots__ = ("status", "headers", "body", "pieces", "length", "truncate")

    def __init__(self, status=200, headers=None, body=b"", pieces=None, length=None):
        self.status, self.headers, self.body, self.pieces, self.truncate = status, headers or {}, body, pieces, None
        self.length = len(body) if length is None else length


class Request:
    __slots__ = ("method", "target", "raw_path", "raw_query", "headers", "pairs", "query", "length", "body", "extent", "md5", "connection")

    def __init__(self, head, connection):
        lines = head.split("\r\n")
        self.method, self.target, _ = lines[0].split(" ", 2)
        self.raw_path, _, self.raw_query = self.target.partition("?")
        self.headers = headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = name.lower()
            headers[name] = headers[name] + "," + value.strip() if name in headers else value.strip()
        self.length = int(headers.get("content-length", 0))
        self.body, self.extent, self.md5, self.connection = b"", None, None, connection
        self.pairs, self.query = [], {}
        if self.raw_query:
            for part in self.raw_query.split("&"):
                name, _, value = part.partition("=")
                if "+" in value:
                    self.query[name.lower()] = urllib.parse.unquote_plus(value)
                    value = urllib.parse.unquote(value)
                else:
                    value = urllib.parse.unquote(value) if "%" in value else value
                    self.query[name.lower()] = value
                self.pairs.append((name.lower(), value))

    @property
    def path(self):
        return urllib.parse.unquote(self.raw_path) if "%" in self.raw_path else self.raw_path

    def stored(self, segments):
        """The body's extent, which the caller now owns."""
        extent, self.extent = self.extent, None
        return extent if extent is not None else segments.store(self.body)

    def digest(self):
        """The body's MD5, if the client sent one to compare with."""
        return (self.md5 or hashlib.md5(self.body)).digest()

    def content(self, segments):
        """A large body, back in memory (block lists and JSON)."""
        return self.body if self.extent is None else b"".join(segments.read([self.extent], 0, self.length))


class Connection(asyncio.BufferedProtocol):
    def __init__(self, server, endpoint, secure):
        self.server, self.endpoint, self.secure = server, endpoint, secure
        self.buffer = bytearray(HEAD + SMALL)
        self.view, self.start, self.end = memoryview(self.buffer), 0, 0
        self.request, self.left = None, 0
        self.transport, self.busy, self.closing, self.pump = None, False, False, None

    def connection_made(self, transport):
        self.transport = transport
        transport.set_write_buffer_limits(1 << 18, 1 << 16)
        self.peer = transport.get_extra_info("peername")[0]
        self.server.connections.add(self)

    def connection_lost(self, error):
        self.server.connections.discard(self)
        self.closing = True
        if self.request is not None and self.request.extent is not None:
            self.server.world.segments.release([self.request.extent])
        if self.pump is not None:
            self.pump.close()
        self.request = self.pump = None

    def get_buffer(self, hint):
        if self.left:
            return SCRATCH[:self.left] if self.left < len(SCRATCH) else SCRATCH
        if self.end == len(self.buffer):
            self._compact()
        return self.view[self.end:]

    def _compact(self):
        self.view[:self.end - self.start] = bytes(self.view[self.start:self.end])
        self.start, self.end = 0, self.end - self.start

    def buffer_updated(self, count):
        if self.left:
            self._take(SCRATCH[:count])
            if not self.left:
                self._serve(self.request)
        else:
            self.end += count
        self._parse()

    def _take(self, data):
        """A piece of a large body."""
        request = self.request
        self.server.world.segments.write(request.extent, request.length - self.left, data)
        if request.md5 is not None:
            request.md5.update(data)
        self.left -= len(data)

    def _parse(self):
        while not (self.busy or self.closing or self.left) and self.end > self.start:
            at = self.buffer.find(b"\r\n\r\n", self.start, self.end)
            if at < 0:
                if self.end - self.start > HEAD:
                    self.close()
                elif self.end > HEAD:
                    self._compact()
                return
            if at - self.start > HEAD - 4:
                return self.close()
            request = self.request
            if request is None:
                try:
                    request = self.request = Request(str(self.view[self.start:at], "latin-1"), self)
                except ValueError:
                    return self.close()
                if request.headers.get("expect", "").lower() == "100-continue":
                    self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            begin = at + 4
            if request.length <= SMALL:
                if self.end - begin < request.length:
                    if self.end > HEAD:
                        self._compact()
                    return
                if request.length:
                    request.body = bytes(self.view[begin:begin + request.length])
                self._consume(begin + request.length)
                self._serve(request)
            else:
                self._receive(request, begin)

    def _consume(self, until):
        self.start = until
        if self.start == self.end:
            self.start = self.end = 0

    def _receive(self, request, begin):
        request.extent = self.server.world.segments.reserve(request.length)
        if "content-md5" in request.headers:
            request.md5 = hashlib.md5()
        self.left = request.length
        here = min(self.end - begin, request.length)
        if here:
            self._take(self.view[begin:begin + here])
        self._consume(begin + here)
        if not self.left:
            self._serve(request)

    def _serve(self, request):
        self.request = None
        self.server.serve(self, request)

    # --- answering; `hold` and `resume` stand around an answer that comes later

    def hold(self):
        self.busy = True
        self.transport.pause_reading()

    def resume(self):
        self.busy = False
        if not self.closing:
            self.transport.resume_reading()
            self._parse()

    def close(self):
        self.closing = True
        self.transport.close()

    def abort(self):
        self.closing = True
        self.transport.abort()

    def send(self, request, response):
        if self.closing:
            return
        keep = request.headers.get("connection", "").lower() != "close" and response.truncate is None
        lines = [f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Status')}"]
        if "Content-Length" not in response.headers and response.status != 304:
            lines.append(f"Content-Length: {response.length}")
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        lines.append("\r\n" if keep else "Connection: close\r\n\r\n")
        head = "\r\n".join(lines).encode("latin-1", "replace")
        if request.method == "HEAD":
            self.transport.write(head)
        elif response.pieces is None:
            self.transport.write(head + response.body[:response.truncate])
        else:
            self.transport.write(head)
            self.pump = response.pieces if response.truncate is None else _cut(response.pieces, response.truncate)
        if not keep:
            self.closing = self.pump is None
            if self.closing:
                self.transport.close()
        if self.pump is not None:
            self.hold()
            self._send_on(keep)

    def _send_on(self, keep=True):
        self.keep = keep
        for piece in self.pump:
            self.transport.write(piece)
            if self.transport.get_write_buffer_size() > 1 << 18:
                return
        self.pump = None
        self.resume() if self.keep else self.close()

    def resume_writing(self):
        if self.pump is not None:
            self._send_on(self.keep)


def _cut(pieces, left):
    for piece in pieces:
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            return
