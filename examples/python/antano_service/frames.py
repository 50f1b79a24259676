"""The frames of the relay link as bytes: docs/protocol.md, "The relay link"."""

import enum
import struct
from dataclasses import dataclass

VERSION = 1
MAX_LENGTH = 16 * 1024 * 1024 + 64 * 1024
MAX_VALUE = 16 * 1024 * 1024
ANY_PROCESS = 0xFFFF

STREAM, REPLY, REFUSED = 1, 2, 4  # flags of a message
CLIENT, SERVICE, GROUP = 1, 2, 3  # kinds of a destination
PROCESS = 1  # kind of a lane; the other one is SERVICE
JSON, MSGPACK, TEXT, BINARY = 1, 2, 3, 4


class Type(enum.IntEnum):
    HELLO = 1
    WELCOME = 2
    MESSAGE = 3
    RESULT = 4
    SUBSCRIBE = 5
    UNSUBSCRIBE = 6
    CREDIT = 7
    PAUSE = 8
    RESUME = 9
    HEALTH = 10
    HEALTH_OK = 11
    SLOTS = 12
    SLOTS_OK = 13
    MORE_SEQUENCES = 14
    SEQUENCES = 15
    TRANSFER = 16
    MOVE_OUT = 17
    MOVE_IN = 18
    MOVE_CUT = 20
    MOVE_ABORT = 21
    SOURCE_GONE = 23
    MEMBER = 24
    RESTORE = 26
    PAUSE_SENDER = 27
    RESUME_SENDER = 28
    REJOIN = 29
    RANGE = 30
    REJOINED = 31
    HOLD = 32
    HELD = 33
    GIVE_SOCKETS = 34
    ACK = 35


class Code(enum.IntEnum):
    BAD_MESSAGE = 1
    TOO_LARGE = 2
    NO_DESTINATION = 3
    NO_SUCH_ENTITY = 4
    NO_SUCH_PROCESS = 5
    OVERLOADED = 6
    TIMEOUT = 7
    PROCESS_LOST = 8
    UNSUPPORTED = 9
    DENIED = 10
    SHUTTING_DOWN = 11


class BadFrame(Exception):
    """What the manager sent is no frame: the link is to be closed."""


# The bodies of fixed length that the manager sends.
FIXED = {
    Type.CREDIT: struct.Struct(">BQI"),
    Type.PAUSE: struct.Struct(">QHI"),
    Type.RESUME: struct.Struct(">QHI"),
    Type.HEALTH: struct.Struct(">Q"),
    Type.SLOTS: struct.Struct(">Q"),
    Type.SEQUENCES: struct.Struct(">II"),
    Type.MOVE_OUT: struct.Struct(">QBQ"),
    Type.MOVE_IN: struct.Struct(">Q"),
    Type.MOVE_CUT: struct.Struct(">Q"),
    Type.MOVE_ABORT: struct.Struct(">Q"),
    Type.PAUSE_SENDER: struct.Struct(">qQI"),
    Type.RESUME_SENDER: struct.Struct(">qQI"),
    Type.HOLD: struct.Struct(">B"),
    Type.GIVE_SOCKETS: struct.Struct(">Q"),
    Type.ACK: struct.Struct(">QQ"),
}

_HEAD = struct.Struct(">IB")
_MESSAGE = struct.Struct(">QHBBqHBqBB")
_RESULT = struct.Struct(">QIB")
_CODE = struct.Struct(">BI")
_GROUP = struct.Struct(">QqB")
_PROOF = struct.Struct(">BHI32s")
_WELCOME = struct.Struct(">BBIII")


@dataclass(slots=True)
class Message:
    """A message as it goes over the link. Group is its name, if the kind is GROUP."""

    token: int
    process: int
    flags: int
    kind: int
    entity_id: int
    process_id: int
    from_kind: int
    from_id: int
    format: int
    group: bytes
    id: bytes
    value: bytes


@dataclass(slots=True)
class Result:
    token: int
    delivered: int
    failed: dict  # number of copies by Code


@dataclass(slots=True)
class Welcome:
    server: int
    first: int
    count: int
    window: int


def frame(kind, body=b""):
    return _HEAD.pack(len(body) + 1, kind) + body


def proof(kind, process, generation, secret, *number):
    """hello, rejoin, and transfer with the number of the move."""
    return frame(kind, _PROOF.pack(VERSION, process, generation, secret) + b"".join(n.to_bytes(8, "big") for n in number))


def message(m):
    head = _MESSAGE.pack(m.token, m.process, m.flags, m.kind, m.entity_id, m.process_id, m.from_kind, m.from_id, m.format, len(m.group))
    return frame(Type.MESSAGE, b"".join((head, m.group, len(m.id).to_bytes(2, "big"), m.id, m.value)))


def result(token, delivered, failed):
    codes = b"".join(_CODE.pack(c, n) for c, n in failed.items())
    return frame(Type.RESULT, _RESULT.pack(token, delivered, len(failed)) + codes)


def group(kind, token, entity_id, name):
    """subscribe and unsubscribe."""
    return frame(kind, _GROUP.pack(token, entity_id, len(name)) + name)


def split(buffer):
    """Takes the whole frames out of a bytearray: an iterator of type and body."""
    at = 0
    while len(buffer) - at >= 4:
        length = int.from_bytes(buffer[at : at + 4], "big")
        if not 1 <= length <= MAX_LENGTH:
            raise BadFrame(f"a frame has length {length}")
        if len(buffer) - at < 4 + length:
            break
        yield buffer[at + 4], bytes(buffer[at + 5 : at + 4 + length])
        at += 4 + length
    del buffer[:at]


def first(buffer):
    """Takes the first frame, which must be welcome, out of a bytearray; None if it is not there yet."""
    for kind, body in split(buffer):
        if kind != Type.WELCOME:
            raise BadFrame(f"the first frame has type {kind}, not welcome")
        del buffer[: 5 + len(body)]
        return decode(kind, body)
    return None


def decode(kind, body):
    """What the manager sent: a Message, Result or Welcome, a tuple of numbers, bytes, or None to ignore it."""
    if kind >= 128:
        return None
    try:
        if kind == Type.MESSAGE:
            return _decode_message(body)
        if kind == Type.RESULT:
            return _decode_result(body)
        if kind == Type.WELCOME:
            return _decode_welcome(body)
        if kind in FIXED:
            return FIXED[kind].unpack(body)
    except (struct.error, IndexError, ValueError) as e:
        raise BadFrame(f"a frame of type {kind} and {len(body)} bytes: {e}") from e
    if kind in (Type.MEMBER, Type.RESTORE):
        return body
    raise BadFrame(f"a frame has the type {kind}, which the manager does not send")


def _decode_message(body):
    *numbers, n = _MESSAGE.unpack_from(body)
    at = _MESSAGE.size
    name = body[at : at + n]
    at += n
    m = int.from_bytes(body[at : at + 2], "big")
    if len(body) < at + 2 + m:
        raise ValueError("it is too short")
    found = Message(*numbers, name, body[at + 2 : at + 2 + m], body[at + 2 + m :])
    if found.kind not in (CLIENT, SERVICE, GROUP) or found.from_kind not in (CLIENT, SERVICE):
        raise ValueError("an unknown kind")
    if (found.kind == GROUP) != bool(n) or name in (b"client", b"service"):
        raise ValueError("a wrong name of a group")
    return found


def _decode_result(body):
    token, delivered, n = _RESULT.unpack_from(body)
    if len(body) != _RESULT.size + n * _CODE.size:
        raise ValueError("the codes do not fill it")
    failed = {Code(c): copies for c, copies in _CODE.iter_unpack(body[_RESULT.size :])}
    if len(failed) != n:
        raise ValueError("a code twice")
    return Result(token, delivered, failed)


def _decode_welcome(body):
    version, server, first, count, window = _WELCOME.unpack_from(body)
    if version != VERSION:
        raise ValueError(f"welcome speaks version {version}, this plugin {VERSION}")
    return Welcome(server, first, count, window)
