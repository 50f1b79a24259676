"""Tests of what reads bytes: python3 -m unittest, in this directory."""

import asyncio
import json
import os
import random
import socket
import struct
import tempfile
import unittest
from types import SimpleNamespace

from antano_service import clients, frames, values
from antano_service.bounds import Backlog, Total
from antano_service.frames import BadFrame, Code, Message, Result, Type
from antano_service.link import Link
from antano_service.service import Service
from antano_service.share import Share

MESSAGE = Message(5, 0, frames.STREAM, frames.CLIENT, 35192962023426, frames.ANY_PROCESS, frames.CLIENT, 35188667056129, frames.JSON, b"", b"7", b'"hi"')


def parse_or_refuse(line):
    try:
        found = clients.parse(line)
        clients.checked_id(found)
        clients.address(found, None)
        return found
    except clients.Refusal as e:
        return e


class Frames(unittest.TestCase):
    def test_documented(self):
        """The examples of docs/protocol.md."""
        for made, want in (
            (frames.message(MESSAGE), "00000029 03 0000000000000005 0000 01 01 0000200200000002 ffff 01 0000200100000001 01 00 0001 37 22686922"),
            (frames.result(5, 1, {Code.OVERLOADED: 2}), "00000013 04 0000000000000005 00000001 01 06 00000002"),
            (frames.group(Type.SUBSCRIBE, 9, 7, b"room"), "00000016 05 0000000000000009 0000000000000007 04 726f6f6d"),
            (frames.proof(Type.HELLO, 3, 1, b"\xaa" * 32), "00000028 01 01 0003 00000001" + "aa" * 32),
        ):
            self.assertEqual(made, bytes.fromhex(want))

    def test_back_and_forth(self):
        buffer = bytearray(frames.message(MESSAGE) + frames.result(5, 1, {Code.OVERLOADED: 2}) + b"\0\0\0")
        got = [frames.decode(kind, body) for kind, body in frames.split(buffer)]
        self.assertEqual(got, [MESSAGE, Result(5, 1, {Code.OVERLOADED: 2})])
        self.assertEqual(buffer, b"\0\0\0")

    def test_none(self):
        for bad in ("00000000", "ffffffff", "00000001 05", "00000001 63", "00000008 0a 00000000000000", "0000000f 02 02 01 00000001 00001000 00100000"):
            with self.assertRaises(BadFrame, msg=bad):
                [frames.decode(kind, body) for kind, body in frames.split(bytearray.fromhex(bad))]
        self.assertIsNone(frames.decode(200, b"whatever"))
        for at, wrong in ((11, 3), (11, 4), (22, 0), (32, 1)):  # a group without a name, unknown kinds, a client with a name
            body = bytearray(frames.message(MESSAGE)[5:])
            body[at] = wrong
            with self.assertRaises(BadFrame, msg=at):
                frames.decode(Type.MESSAGE, bytes(body))

    def test_any_bytes(self):
        chance = random.Random(1)
        for _ in range(20000):
            body = bytearray(frames.message(MESSAGE)[5:]) if chance.random() < 0.5 else bytearray(chance.randbytes(chance.randrange(60)))
            for _ in range(chance.randrange(4)):
                if body:
                    body[chance.randrange(len(body))] = chance.randrange(256)
            try:
                frames.decode(chance.randrange(256), bytes(body))
            except BadFrame:
                pass


class Lines(unittest.TestCase):
    def test_as_sent(self):
        found = clients.parse(b' {"id" : 7e0, "message": {"a" :  [1.0, "\\u00fc"]} }\r')
        self.assertEqual(found["message"], ({"a": [1.0, "ü"]}, b'{"a" :  [1.0, "\\u00fc"]}'))
        with self.assertRaises(clients.Refusal):
            clients.checked_id(found)

    def test_refused(self):
        deep = b"[" * 513 + b"]" * 513
        for line in (b"", b"[]", b"{", b'{"a":1,}', b'{"a":NaN}', b'{"a":1}x', b'{1:2}', b'{"a":1,"a":2}', b'{"message":' + deep + b"}", b"\xff",
                     b'{"message":' + b"[" * 100000 + b"}", b'{"a":"\x01"}', b'{"\\ud800":1,"\\ud800":2}'):
            with self.assertRaises(clients.Refusal, msg=line[:40]) as e:
                clients.parse(line)
            self.assertEqual(e.exception.code, Code.BAD_MESSAGE)
        clients.parse(b'{"message":' + deep[1:-1] + b"}")
        for line in (b'{"entity":"\\ud800","entity_id":1}', b'{"entity":"","entity_id":1}', b'{"entity":"a"}', b'{"entity":"a","entity_id":1e0}',
                     b'{"entity":"a","entity_id":9223372036854775808}', b'{"id":true}', b'{"id":[]}', b'{"id":"' + b"x" * 1023 + b'"}'):
            self.assertIsInstance(parse_or_refuse(line), clients.Refusal, line[:40])

    def test_any_bytes(self):
        chance = random.Random(1)
        good = b'{"type":"message","entity":"room","entity_id":7,"id":"\\ud800","message":{"a":[1,-2.5e3,null,"\\n"]}}'
        for _ in range(20000):
            line = bytearray(good)
            for _ in range(1 + chance.randrange(4)):
                line[chance.randrange(len(line))] = chance.choice(b'{}[]",:\\u0019ade \xc3\x9f\x00')
            parse_or_refuse(bytes(line))


class Values(unittest.TestCase):
    def test_msgpack(self):
        for packed, want in (
            (b"\x07", b"7"), (b"\xe0", b"-32"), (b"\xc0", b"null"), (b"\xc3", b"true"), (b"\xa2hi", b'"hi"'), (b"\x92\x01\xa1a", b'[1,"a"]'),
            (b"\x81\xa1a\x90", b'{"a":[]}'), (b"\xcf" + b"\xff" * 8, b"18446744073709551615"), (b"\xd3" + b"\x80" + b"\0" * 7, b"-9223372036854775808"),
            (b"\xcb" + struct.pack(">d", 0.5), b"0.5"), (b"\xc4\x02ab", b'{"$b64":"YWI="}'), (b"\xd9\x01x", b'"x"'), (b"\xdc\0\1\x01", b"[1]"),
        ):
            self.assertEqual(values.to_json(frames.MSGPACK, packed), want)

    def test_others(self):
        self.assertEqual(values.to_json(frames.TEXT, "ü\n".encode()), '"ü\\n"'.encode())
        self.assertEqual(values.to_json(frames.BINARY, b"ab"), b'{"$b64":"YWI="}')
        self.assertEqual(values.to_json(frames.JSON, b"[1,\r\n2]"), b"[1,  2]")

    def test_unsupported(self):
        for fmt, value in ((frames.MSGPACK, b""), (frames.MSGPACK, b"\xc1"), (frames.MSGPACK, b"\xd4\0\0"), (frames.MSGPACK, b"\x81\x01\x01"), (frames.TEXT, b"\xff"),
                           (frames.MSGPACK, b"\xdd\xff\xff\xff\xff"), (frames.MSGPACK, b"\x01\x01"), (frames.MSGPACK, b"\x91" * 600 + b"\x01"), (frames.MSGPACK, b"\x91" * 20000 + b"\x01"),
                           (frames.MSGPACK, b"\xcb" + struct.pack(">d", float("nan"))), (frames.MSGPACK, b"\xa1\xff"), (150, b"1")):
            with self.assertRaises(values.Unsupported, msg=value[:20]):
                values.to_json(fmt, value)

    def test_any_bytes(self):
        chance = random.Random(1)
        for _ in range(20000):
            try:
                json.loads(values.to_json(frames.MSGPACK, chance.randbytes(1 + chance.randrange(20))))
            except values.Unsupported:
                pass


class Bounds(unittest.TestCase):
    def test_backlog(self):
        self.now, said = 10.0, []
        backlog = Backlog(self, 100, 2.0, Total(150), lambda p, ms: said.append((p, ms)), lambda p: said.append((p, 0)))
        self.assertTrue(backlog.admit(200, False, 1))  # an empty queue takes any one
        backlog.release(200)
        self.assertTrue(backlog.admit(90, True, 1) and backlog.admit(20, True, 1) and backlog.admit(20, True, 1))
        self.assertFalse(backlog.admit(20, False, 1))  # cannot wait
        self.assertFalse(backlog.admit(21, True, 2))  # the process is full
        self.now += 1.5
        self.assertTrue(backlog.admit(1, True, 1))
        self.now += 0.5
        self.assertFalse(backlog.admit(1, True, 1))  # the budget is used up
        backlog.release(80)
        backlog.release(2)
        self.assertEqual(said, [(1, 2000), (1, 500), (1, 0)])

    def time(self):
        return self.now


LIMITS = {"max_clients": 10, "max_message_bytes": 1000, "client_queue_bytes": 1 << 20, "process_queue_bytes": 1 << 20, "idle_timeout": 0}


class Living(unittest.IsolatedAsyncioTestCase):
    """A service that has a manager which only notes what it is told, and one client."""

    async def asyncSetUp(self):
        self.loop = asyncio.get_running_loop()
        start = SimpleNamespace(process_id=1, generation=1, secret=b"s" * 32, relay_socket="")
        share = Share(None, 0, 1)
        self.link = Link(self.loop, start, share, 1.0, 1 << 20)
        self.link.windows.window = 1 << 20
        self.service = Service(self.loop, self.link, share, {"id": 12, "limits": LIMITS}, {}, lambda value: value)
        self.link.ids.grant(1, 100)
        listener = socket.create_server(("127.0.0.1", 0))
        self.peer = socket.create_connection(listener.getsockname())
        self.peer.setblocking(False)
        sock, address = listener.accept()
        listener.close()
        sock.setblocking(False)
        self.service._connected(sock, address)
        (self.client,) = self.service.clients.values()

    async def asyncTearDown(self):
        self.service.stop()
        self.peer.close()

    async def sent(self):
        """The messages that the manager got, once there is one."""
        while not self.link.outbox.items:
            await asyncio.sleep(0)
        return [frames.decode(kind, body) for kind, body in frames.split(bytearray(b"".join(i[0] for i in self.link.outbox.items)))]

    async def says(self, line):
        await self.loop.sock_sendall(self.peer, line + b"\n")

    async def hears(self):
        """All that the client gets until its connection ends."""
        got = b""
        while more := await self.loop.sock_recv(self.peer, 1 << 16):
            got += more
        return got

    def message(self, token, flags=0, kind=frames.CLIENT, value=b'"last"'):
        to = self.client.id if kind == frames.CLIENT else 12
        return Message(token, 0, flags, kind, to, frames.ANY_PROCESS, frames.SERVICE, 5, frames.JSON, b"", b"1", value)

    async def test_drain_owes(self):
        """While a message has no answer the client gets what comes, a response among it."""
        await self.says(b'{"entity":"room","entity_id":1,"message":1,"id":1}')
        (m,) = await self.sent()
        drained = self.loop.create_task(self.service.drain(30))
        await asyncio.sleep(0)
        self.assertTrue(self.client.ending)
        self.link._message(self.message(7, frames.REPLY))
        self.link._result(Result(m.token, 1, {}))
        got = (await self.hears()).splitlines()
        self.assertEqual([json.loads(line)["type"] for line in got], ["message", "receipt"])
        self.peer.close()
        self.assertEqual(await drained, 0)

    async def test_drain_waits(self):
        """The deadline of a drain is the only one, and at that who was not written to counts."""
        self.client.limit = 0.01
        self.client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for _ in range(8):  # more than the kernel takes
            self.link._message(self.message(7, value=b'"' + b"x" * 100000 + b'"'))
        self.assertEqual(await self.service.drain(0.2), 1)
        self.assertIsNotNone(self.client.sock)

    async def test_kick_takes_nothing(self):
        """Of the lines that came together only those before the end are handled, and their answers arrive."""
        handle = self.client._handle

        async def kicked(found):
            await handle(found)
            self.client.end()

        self.client._handle = kicked
        await self.says(b'{"type":"ping","id":1}\n{"type":"ping","id":2}')
        self.assertEqual(await self.hears(), b'{"type":"pong","id":1}\n')

    async def test_unread_input(self):
        """What a client sends that is ended does not destroy what it is owed."""
        self.client.end()
        self.client.give(b"owed\n")
        await self.says(b"x" * 100000)
        self.assertEqual(await self.hears(), b"owed\n")
        await self.says(b"still talking")
        await asyncio.sleep(0)
        self.assertIsNotNone(self.client.sock)
        self.peer.shutdown(socket.SHUT_WR)
        await self.client.task
        self.assertIsNone(self.client.sock)

    async def test_response_to_response(self):
        """What the handler returns for a response goes nowhere."""
        self.link._message(self.message(7, frames.REPLY, frames.SERVICE))
        self.assertEqual(await self.sent(), [Result(7, 1, {})])
        self.link.outbox.detach()
        self.link._message(self.message(8, 0, frames.SERVICE))
        self.assertEqual((await self.sent())[0].flags, frames.REPLY | frames.STREAM)

    async def test_rejoin_without_a_grant(self):
        """A successor that grants no range is told all that there are."""
        with tempfile.TemporaryDirectory() as directory:
            self.link.start.relay_socket = os.path.join(directory, "relay")

            async def manager(reader, writer):
                writer.write(frames.frame(Type.WELCOME, bytes.fromhex("01 02 00000000 00000000 00100000")))
                told.set_result([kind for kind, _ in frames.split(bytearray(await reader.read()))])
                writer.close()

            told = self.loop.create_future()
            async with await asyncio.start_unix_server(manager, self.link.start.relay_socket):
                self.assertTrue(await self.link.connect(Type.REJOIN))
                self.link.outbox.flush()
                self.link._disconnect()
                self.assertEqual((await told).count(Type.RANGE), 1)


if __name__ == "__main__":
    unittest.main()
