"""Sockets: one thread a connection, each request answered in turn."""
import os
import socket
import ssl
import struct
import threading
import time
import traceback
from dataclasses import dataclass

from . import commands_admin, commands_crud, commands_cursor, control  # noqa: F401 (they fill the table of commands)
from .changestreams import ChangeStream, Lookups
from .commands_cursor import Cursors
from .commands_crud import Sessions
from .eventlog import EventLog
from .failures import CommandError, Hangup
from .faults import Faults
from .registry import BEFORE_LOGIN, COMMANDS
from .scram import Credentials
from .store import Store
from .values import MAX_INTERNAL_BYTES, document, encode
from .wire import OP_MSG, OP_REPLY, Request, cluster_time_elements, message, parse_request, read_message


@dataclass
class Settings:
    host: str = "127.0.0.1"          # the name clients are told to use; the socket binds 127.0.0.1 only
    port: int = 0
    wire: int = 21
    user: str = ""
    password: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    tls_ca: str = ""
    stream_batch: int = 1000_000     # events a getMore without batchSize returns at most (16 MiB end it before)
    split_bytes: int = MAX_INTERNAL_BYTES
    first_second: int | None = None
    noop_seconds: float = 10
    verbose: bool = False


@dataclass
class Connection:
    number: int
    socket: socket.socket
    user: str | None = None
    conversation: object = None
    cut: bool = False                # a fault: half of the next reply, then the end


class Server:
    def __init__(self, settings: Settings):
        self.settings = settings
        self.log = EventLog(settings.first_second, settings.noop_seconds)
        self.store, self.lookups, self.cursors = Store(self.log), Lookups(), Cursors()
        self.sessions, self.faults = Sessions(), Faults()
        self.credentials = Credentials(settings.user, settings.password) if settings.user else None
        self.connections: dict[int, Connection] = {}
        self.scans, self.streams, self.workload = [], [], None
        self.counter = threading.Lock()
        self.scan_number = self.connection_number = self.events_served = 0
        self.stopping, self.started, self.pid = False, time.monotonic(), os.getpid()
        self.listener = socket.create_server(("127.0.0.1", settings.port), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.tls = self._tls_context() if settings.tls_cert else None

    @property
    def address(self) -> str:
        return f"{self.settings.host}:{self.port}"

    @property
    def uri(self) -> str:
        login = f"{self.settings.user}:{self.settings.password}@" if self.settings.user else ""
        return f"mongodb://{login}{self.address}/?replicaSet=rs0" + ("&tls=true" if self.tls else "")

    def _tls_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.settings.tls_cert, self.settings.tls_key or None)
        if self.settings.tls_ca:
            context.load_verify_locations(self.settings.tls_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    # --- bookkeeping that commands ask for ---------------------------------------------------------------------------

    def next_scan(self) -> int:
        with self.counter:
            self.scan_number += 1
            return self.scan_number

    def note_stream(self, stream: ChangeStream, token: str) -> None:
        self.streams.append((time.time(), stream.scope, stream.spec, token))

    def note_served(self, count: int) -> None:
        with self.counter:
            self.events_served += count

    # --- life --------------------------------------------------------------------------------------------------------

    def serve(self) -> None:
        while not self.stopping:
            try:
                client, _ = self.listener.accept()
            except OSError:
                break
            threading.Thread(target=self._connection, args=(client,), daemon=True).start()

    def stop(self) -> None:
        self.stopping = True
        self.faults.stall(False)
        self.log.wake()
        for end in (self.listener, *(c.socket for c in list(self.connections.values()))):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def _connection(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.counter:
            self.connection_number += 1
            number = self.connection_number
        try:
            if self.tls:
                client = self.tls.wrap_socket(client, server_side=True)
            connection = self.connections[number] = Connection(number, client)
            with client.makefile("rb", 1 << 18) as stream:
                while not self.stopping:
                    self._one_message(connection, stream)
        except (OSError, Hangup, struct.error, IndexError) as error:
            if self.settings.verbose:
                print(f"connection {number}: {type(error).__name__} {error}", flush=True)
        finally:
            self.connections.pop(number, None)
            client.close()

    def _one_message(self, connection: Connection, stream) -> None:
        number, _, opcode, data = read_message(stream)
        request = parse_request(number, opcode, data)
        raw = self.answer(connection, request)
        if not request.wants_reply:
            return
        reply = message(OP_MSG if opcode == OP_MSG else OP_REPLY, number & 0x7FFFFFFF, number, raw)
        if connection.cut:
            connection.socket.sendall(reply[:max(20, len(reply) // 2)])
            raise Hangup
        connection.socket.sendall(reply)

    def answer(self, connection: Connection, request: Request) -> bytes:
        """The reply's document."""
        name = next(iter(request.body), "").lower()
        try:
            elements = self._run(connection, request, name)
        except CommandError as error:
            elements = encode(error.reply())[4:-1]
        except Hangup:
            raise
        except Exception as error:                       # a mistake in the stand-in, or a command it can't read
            traceback.print_exc()
            elements = encode(CommandError(1, f"stand-in: {type(error).__name__}: {error}").reply())[4:-1]
        return document(elements + cluster_time_elements(self.log.stamp))

    def _run(self, connection: Connection, request: Request, name: str) -> bytes:
        handler = COMMANDS.get(name)
        fault = self.faults.next(self, request, name)
        if fault:
            fault.before(self, connection, request)
        if handler is None:
            raise CommandError(59, f"no such command: '{next(iter(request.body), '')}'")
        if self.credentials and connection.user is None and name not in BEFORE_LOGIN:
            raise CommandError(13, f"Command {next(iter(request.body))} requires authentication")
        answer = handler(self, connection, request)
        if fault:
            fault.after(connection)
        return answer if isinstance(answer, bytes) else encode(answer)[4:-1]
