"""Values of the other formats as JSON: docs/message.md, "Formats"."""

import base64
import json
import math
import struct

from .frames import BINARY, JSON, MSGPACK, TEXT

MAX_DEPTH = 512


class Unsupported(Exception):
    """JSON cannot carry the value."""


def to_json(fmt, value):
    """The value as JSON in one line."""
    if fmt == JSON:  # strings have no line breaks as they are
        return value.replace(b"\n", b" ").replace(b"\r", b" ")
    return dump(decode(fmt, value))


def dump(value):
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as e:
        raise Unsupported(str(e)) from e


def decode(fmt, value):
    """The value in Python's types; bytes are {"$b64": ...} as in JSON."""
    try:
        if fmt == JSON:
            return json.loads(value)
        if fmt == TEXT:
            return value.decode()
        if fmt == BINARY:
            return _bytes(value)
        if fmt == MSGPACK:
            unpacker = Unpacker(value)
            found = unpacker.value(0)
            if unpacker.at != len(value):
                raise Unsupported("something follows the value")
            return found
    except (ValueError, struct.error, IndexError, RecursionError) as e:
        raise Unsupported(str(e)) from e
    raise Unsupported(f"the format {fmt} is not known")


def depth(value):
    """How deep lists and objects are nested in a decoded value."""
    deepest, level = 0, [value]
    while level := [v for v in level if isinstance(v, (list, dict))]:
        deepest += 1
        level = [inner for v in level for inner in (v.values() if isinstance(v, dict) else v)]
    return deepest


def _bytes(value):
    return {"$b64": base64.b64encode(value).decode()}


class Unpacker:
    """Reads msgpack, of which JSON has no extension types and only strings as keys."""

    NUMBERS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
    # What has a length: how many bytes it has, and what it is.
    SIZED = {0xC4: (1, "bytes"), 0xC5: (2, "bytes"), 0xC6: (4, "bytes"), 0xD9: (1, "str"), 0xDA: (2, "str"), 0xDB: (4, "str"),
             0xDC: (2, "list"), 0xDD: (4, "list"), 0xDE: (2, "dict"), 0xDF: (4, "dict")}
    SINGLE = {0xC0: None, 0xC2: False, 0xC3: True}

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Unsupported("msgpack that is too short")
        self.at += n
        return self.data[self.at - n : self.at]

    def value(self, level):
        if level > MAX_DEPTH:
            raise Unsupported("nested too deep")
        first = self.take(1)[0]
        if first < 0x80 or first >= 0xE0:
            return first if first < 0x80 else first - 256
        if first < 0xC0:
            kind, n = ("dict", first & 15) if first < 0x90 else ("list", first & 15) if first < 0xA0 else ("str", first & 31)
            return self.sized(kind, n, level)
        if first in self.SINGLE:
            return self.SINGLE[first]
        if first in self.NUMBERS:
            (number,) = struct.unpack(self.NUMBERS[first], self.take(struct.calcsize(self.NUMBERS[first])))
            if isinstance(number, float) and not math.isfinite(number):
                raise Unsupported("no number of JSON")
            return number
        if first in self.SIZED:
            n, kind = self.SIZED[first]
            return self.sized(kind, int.from_bytes(self.take(n), "big"), level)
        raise Unsupported("an extension type")

    def sized(self, kind, n, level):
        if kind == "str":
            return self.take(n).decode()
        if kind == "bytes":
            return _bytes(self.take(n))
        if n > len(self.data) - self.at:
            raise Unsupported("msgpack that is too short")
        if kind == "list":
            return [self.value(level + 1) for _ in range(n)]
        found = {}
        for _ in range(n):
            key = self.value(level + 1)
            if not isinstance(key, str):
                raise Unsupported("a key that is no string")
            found[key] = self.value(level + 1)
        return found
