"""Joins a group and writes to it in msgpack, with a codec of its own."""
import socket
import struct
import sys


def pack(v):
    if v is None:
        return b"\xc0"
    if isinstance(v, bool):
        return b"\xc3" if v else b"\xc2"
    if isinstance(v, int):
        return struct.pack(">Bq", 0xD3, v) if v < 1 << 63 else struct.pack(">BQ", 0xCF, v)
    if isinstance(v, float):
        return struct.pack(">Bd", 0xCB, v)
    if isinstance(v, str):
        b = v.encode()
        return struct.pack(">BH", 0xDA, len(b)) + b
    if isinstance(v, bytes):
        return struct.pack(">BI", 0xC6, len(v)) + v
    if isinstance(v, list):
        return struct.pack(">BH", 0xDC, len(v)) + b"".join(map(pack, v))
    return struct.pack(">BI", 0xDF, len(v)) + b"".join(pack(k) + pack(x) for k, x in v.items())


SIZES = {0xC4: "B", 0xC5: "H", 0xC6: "I", 0xD9: "B", 0xDA: "H", 0xDB: "I", 0xDC: "H", 0xDD: "I", 0xDE: "H", 0xDF: "I"}
NUMBERS = {0xCA: "f", 0xCB: "d", 0xCC: "B", 0xCD: "H", 0xCE: "I", 0xCF: "Q", 0xD0: "b", 0xD1: "h", 0xD2: "i", 0xD3: "q"}


def unpack(b, i=0):
    c = b[i]
    i += 1
    if c < 0x80 or c >= 0xE0:
        return (c if c < 0x80 else c - 256), i
    if c in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[c], i
    if c in NUMBERS:
        f = ">" + NUMBERS[c]
        return struct.unpack_from(f, b, i)[0], i + struct.calcsize(f)
    if c < 0xC0:
        kind, n = ("map", c & 15) if c < 0x90 else ("list", c & 15) if c < 0xA0 else ("str", c & 31)
    else:
        f = ">" + SIZES[c]
        n = struct.unpack_from(f, b, i)[0]
        i += struct.calcsize(f)
        kind = "bin" if c < 0xC7 else "str" if c < 0xDC else "list" if c < 0xDE else "map"
    if kind == "str":
        return b[i:i + n].decode(), i + n
    if kind == "bin":
        return b[i:i + n], i + n
    items = []
    for _ in range(n * 2 if kind == "map" else n):
        v, i = unpack(b, i)
        items.append(v)
    return (dict(zip(items[::2], items[1::2])) if kind == "map" else items), i


s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)


def send(v):
    b = pack(v)
    s.sendall(struct.pack(">I", len(b)) + b)


def exactly(n):
    b = b""
    while len(b) < n:
        more = s.recv(n - len(b))
        if not more:
            raise SystemExit("closed")
        b += more
    return b


def receive():
    b = exactly(struct.unpack(">I", exactly(4))[0])
    v, end = unpack(b)
    assert end == len(b), (end, b)
    return v


value = {"big": 2**64 - 1, "small": -2**63, "bin": b"\0\xff", "text": "h\u00e9", "float": -0.25, "list": [None, True, []], "map": {}}
send({"type": "join", "entity": "room", "entity_id": -7, "id": "j"})
assert receive() == {"type": "joined", "entity": "room", "entity_id": -7, "id": "j"}
send({"entity": "room", "entity_id": -7, "message": value, "id": 2**53})
got = {m["type"]: m for m in (receive(), receive())}
assert got["receipt"] == {"type": "receipt", "id": 2**53, "delivered": 1}, got
assert got["message"]["message"] == value, got
send({"entity": "room", "entity_id": -7, "id": 1})
error = receive()
assert error["code"] == "bad_message" and error["id"] == 1, error
s.sendall(struct.pack(">I", 3) + b"\xc1\xc1\xc1")
assert receive()["code"] == "bad_message"
s.sendall(struct.pack(">I", 0))
send({"type": "ping"})
assert receive() == {"type": "pong"}
print("ok")
