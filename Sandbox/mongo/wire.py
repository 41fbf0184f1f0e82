"""MongoDB's wire protocol: OP_MSG both ways, and OP_QUERY/OP_REPLY for the legacy handshake."""
import struct
from dataclasses import dataclass

from .values import decode, document, encode

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
CHECKSUM_PRESENT, MORE_TO_COME = 1, 2
MAX_MESSAGE_BYTES = 48_000_000

_header = struct.Struct("<iiii")
_int32 = struct.Struct("<i")
_trailer = struct.Struct("<II")


@dataclass(slots=True)
class Request:
    id: int
    opcode: int
    flags: int
    body: dict                  # the command, decoded
    sequences: dict             # document sequences (kind 1), each a list of raw documents

    @property
    def wants_reply(self) -> bool:
        return not (self.opcode == OP_MSG and self.flags & MORE_TO_COME)

    def raw_documents(self, name: str) -> list[bytes]:
        """A command's array of documents as bytes, however the client sent it."""
        if name in self.sequences:
            return self.sequences[name]
        return [encode(member) for member in self.body.get(name, [])]


def read_exactly(stream, count: int) -> bytes:
    data = stream.read(count)
    if data is None or len(data) < count:
        raise ConnectionError("closed by the client")
    return data


def read_message(stream) -> tuple[int, int, int, bytes]:
    """(request id, response to, opcode, what follows the header)."""
    length, request, response, opcode = _header.unpack(read_exactly(stream, 16))
    if not 16 <= length <= MAX_MESSAGE_BYTES:
        raise ConnectionError(f"message of {length} bytes")
    return request, response, opcode, read_exactly(stream, length - 16)


def parse_request(request: int, opcode: int, data: bytes) -> Request:
    if opcode == OP_QUERY:
        start = data.index(b"\0", 4) + 9
        size, = _int32.unpack_from(data, start)
        return Request(request, opcode, 0, decode(data[start:start + size]), {})
    if opcode != OP_MSG:
        raise ConnectionError(f"opcode {opcode} is not spoken here")
    flags, = struct.unpack_from("<I", data)
    end = len(data) - (4 if flags & CHECKSUM_PRESENT else 0)
    body, sequences, at = {}, {}, 4
    while at < end:
        kind, size = data[at], _int32.unpack_from(data, at + 1)[0]
        section = data[at + 1:at + 1 + size]
        if kind == 0:
            body = decode(section)
        else:
            stop = section.index(b"\0", 4)
            sequences[section[4:stop].decode()] = split_documents(section, stop + 1)
        at += 1 + size
    return Request(request, opcode, flags, body, sequences)


def split_documents(data: bytes, at: int = 0) -> list[bytes]:
    documents = []
    while at < len(data):
        size, = _int32.unpack_from(data, at)
        if size < 5:
            raise ConnectionError("document sequence with a bad length")
        documents.append(data[at:at + size])
        at += size
    return documents


def message(opcode: int, request: int, response_to: int, raw: bytes, flags: int = 0) -> bytes:
    if opcode == OP_MSG:
        return b"".join((_header.pack(21 + len(raw), request, response_to, OP_MSG), _int32.pack(flags), b"\0", raw))
    legacy = struct.pack("<iqii", 8, 0, 0, 1) + raw
    return _header.pack(16 + len(legacy), request, response_to, OP_REPLY) + legacy


def cluster_time_elements(stamp: int) -> bytes:
    """operationTime and $clusterTime, as every reply of a replica-set member has them."""
    seconds, increment = stamp >> 32, stamp & 0xFFFFFFFF
    packed = _trailer.pack(increment, seconds)
    signature = document(b"\x05hash\0\x14\0\0\0\0" + b"\0" * 20 + b"\x12keyId\0" + b"\0" * 8)
    cluster = document(b"\x11clusterTime\0" + packed + b"\x03signature\0" + signature)
    return b"\x11operationTime\0" + packed + b"\x03$clusterTime\0" + cluster


def cursor_reply(batch: str, cursor: int, namespace: str, array: bytes, post_batch_token: bytes | None) -> bytes:
    """The elements of a cursor's reply (without operationTime and the document around them)."""
    name = namespace.encode()
    inner = b"".join((
        b"\x04", batch.encode(), b"\0", array,
        b"\x03postBatchResumeToken\0" + post_batch_token if post_batch_token is not None else b"",
        b"\x12id\0", struct.pack("<q", cursor), b"\x02ns\0", _int32.pack(len(name) + 1), name, b"\0"))
    return b"\x03cursor\0" + document(inner) + b"\x01ok\0" + struct.pack("<d", 1.0)
