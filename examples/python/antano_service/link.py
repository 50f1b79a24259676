"""The relay link of one process: docs/protocol.md, "The relay link".

As a source it awaits results; as a destination it owes
results. It says `ended` when the connection is gone, and can rejoin a successor.
"""

import asyncio
import itertools
import logging
import socket
from dataclasses import dataclass

from . import frames
from .bounds import Outbox
from .frames import BadFrame, Code, Type
from .ids import Ids
from .windows import Windows, lane_of

OWED_FOR = 4.0  # seconds until a destination reports what it has
AWAITED_FOR = 4.8  # seconds until a source answers its client
TICK = 0.05

# What is said while the manager holds messages back.
_NOT_HELD = {Type.RESULT, Type.HEALTH_OK, Type.SLOTS_OK, Type.PAUSE, Type.RESUME, Type.PAUSE_SENDER, Type.RESUME_SENDER, Type.ACK, Type.HELD}
# What is still worth saying to a successor.
_OUTLASTS = {Type.MESSAGE, Type.SUBSCRIBE}


@dataclass(slots=True)
class Tag:
    """What a frame is for, as long as it is not written."""

    kind: int
    lane: tuple = None
    token: int = 0


class Receipt:
    """What becomes of the copies of one message; says so when that is known of all of them."""

    def __init__(self, link, token, copies=1):
        self.link, self.token, self.left = link, token, copies
        self.connection, self.epoch = link.connection, link.epoch
        self.delivered, self.failed = 0, {}
        self.deadline = link.loop.time() + OWED_FOR

    def deliver(self):
        self.delivered += 1
        self._done()

    def fail(self, code, copies=1):
        if self.left > 0:
            self.failed[code] = self.failed.get(code, 0) + copies
            self.link.share.dropped(code, copies)
            self._done(copies)

    def _done(self, copies=1):
        self.left -= copies
        if self.left == 0:
            self.link.settle(self)


class Link:
    def __init__(self, loop, start, share, push_back, queue_bytes):
        self.loop, self.start, self.share = loop, start, share
        self.push_back, self.queue_bytes = push_back, queue_bytes
        self.service = self.ended = None  # who handles messages, and who hears of the end
        self.outbox, self.inbox = Outbox(loop, None, self._lost), bytearray()
        self.sock = None
        self.kept, self.hold = [], 0
        self.connection = self.epoch = 0  # an epoch is as long as results are expected
        self.tokens = itertools.count(1)
        self.awaited = {}  # (deadline, callback) by token, oldest first
        self.owed = {}  # Receipts by id, oldest first
        self.windows = Windows(loop, push_back)
        self.ids = Ids(start.process_id, lambda: self.say(Type.MORE_SEQUENCES))
        self.read = self.settled = self.quiet_written = self.quiet_acked = 0
        self.acking = False
        self.handlers = {
            Type.MESSAGE: self._message, Type.RESULT: self._result, Type.CREDIT: self.windows.credit,
            Type.PAUSE: self.windows.pause, Type.RESUME: self.windows.resume,
            Type.PAUSE_SENDER: self.windows.pause_sender, Type.RESUME_SENDER: self.windows.resume_sender,
            Type.HEALTH: self._health, Type.SLOTS: self._slots, Type.SEQUENCES: lambda granted: self.ids.grant(*granted),
            Type.HOLD: self._hold, Type.ACK: self._ack, Type.GIVE_SOCKETS: self._give_sockets,
            Type.MOVE_OUT: self._no_move, Type.MOVE_IN: self._no_move, Type.RESTORE: self._no_source,
        }

    # The connection.

    async def connect(self, kind=Type.HELLO):
        """Dials, says hello or rejoin, and waits for welcome: False if there is none. Ends with the caller's timeout."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        inbox = bytearray()
        try:
            await self.loop.sock_connect(sock, self.start.relay_socket)
            await self.loop.sock_sendall(sock, self._proof(kind))
            welcome = None
            while welcome is None:
                got = await self.loop.sock_recv(sock, 1 << 18)
                if not got:
                    raise ConnectionError("the manager closed it")
                inbox += got
                welcome = frames.first(inbox)
        except BaseException as e:
            sock.close()
            if isinstance(e, OSError):
                logging.debug("no welcome: %s", e)
                return False
            raise
        self.sock, self.inbox, self.hold = sock, inbox, 0
        self.connection += 1
        self.ids.server, self.windows.window = welcome.server, welcome.window
        self.ids.grant(welcome.first, welcome.count)
        waited = self.outbox.detach()
        self.outbox = Outbox(self.loop, sock, self._lost)
        if kind == Type.REJOIN:
            self._tell_what_i_have(self.ids.ranges[:-1] if welcome.count else self.ids.ranges)
        for item in waited:
            self.outbox.put(*item)
        return True

    def serve(self):
        """Handles what comes from here on."""
        self.loop.add_reader(self.sock, self._readable)
        self._handle()

    def _proof(self, kind, *number):
        return frames.proof(kind, self.start.process_id, self.start.generation, self.start.secret, *number)

    def _tell_what_i_have(self, ranges):
        for first, count in ranges:
            self._put(Type.RANGE, self.start.process_id.to_bytes(2, "big") + first.to_bytes(4, "big") + count.to_bytes(4, "big"))
        for name, number in self.service.group_names():
            self.outbox.put(frames.group(Type.SUBSCRIBE, 0, number, name))
        self._put(Type.SLOTS_OK, bytes(8))
        self._put(Type.REJOINED, b"")

    def _put(self, kind, body):
        self.outbox.put(frames.frame(kind, body))

    def _readable(self):
        try:
            got = self.sock.recv(1 << 18)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as e:
            self._lost(e)
            return
        if not got:
            self._lost("the manager closed it")
            return
        self.inbox += got
        self._handle()

    def _handle(self):
        try:
            for kind, body in frames.split(self.inbox):
                found = frames.decode(kind, body)
                if kind == Type.WELCOME:
                    raise BadFrame("a second welcome")
                if found is not None and kind in self.handlers:
                    self.handlers[kind](found)
        except BadFrame as e:
            self.close()
            self.ended(e)

    def close(self):
        """Says what was read, and lets go."""
        if self.sock is not None:
            self._say_ack()
            self.outbox.flush()
            self._disconnect()

    def _disconnect(self):
        self.loop.remove_reader(self.sock)
        waited = self.outbox.detach()
        self.outbox.items = waited
        self.sock.close()
        self.sock = None

    def _lost(self, why):
        if self.sock is not None:
            self._disconnect()
            self.ended(why)

    def forget(self):
        """After the loss of a link that is to be rejoined: what was asked over it and what is left to say."""
        items = [*self.outbox.detach(), *self.kept]
        outlasts = _OUTLASTS | ({Type.RESULT} if self.hold == 2 else set())
        items = [i for i in items if i[2] and i[2].kind in outlasts]
        if self.hold != 2:
            self.epoch += 1
            self.owed.clear()
            self.share.dropped(Code.PROCESS_LOST, max(0, self.quiet_written - self.quiet_acked))
            unwritten = {tag.token for _, _, tag in items}
            for token in [t for t in self.awaited if t not in unwritten]:
                self._resolve(frames.Result(token, 0, {Code.PROCESS_LOST: 1}))
        self.kept, self.hold, self.acking = [], 0, False
        self.read = self.settled = self.quiet_written = self.quiet_acked = 0
        self.windows.reset()
        for data, written, tag in items:
            self.windows.take(tag.lane, len(data))
            self.outbox.put(data, written, tag)
        self.ids.asked = False

    def _send(self, kind, data, written=None, tag=None):
        item = (data, written, tag or Tag(kind))
        if self.hold == 2 and kind != Type.HELD or self.hold == 1 and kind not in _NOT_HELD:
            self.kept.append(item)
        else:
            self.outbox.put(*item)

    def say(self, kind, body=b""):
        self._send(kind, frames.frame(kind, body))

    async def run_clock(self):
        """Ends what has waited for too long."""
        while True:
            await asyncio.sleep(TICK)
            now = self.loop.time()
            while self.owed and (first := next(iter(self.owed.values()))).deadline <= now:
                first.fail(Code.TIMEOUT, first.left)
            while self.awaited and self.awaited[first := next(iter(self.awaited))][0] <= now:
                self.share.dropped(Code.TIMEOUT)
                self._resolve(frames.Result(first, 0, {Code.TIMEOUT: 1}))

    # As a source.

    async def admit(self, m, size):
        """Waits until the message may be sent, at most push_back: None, or the code of the refusal."""
        if m.kind == frames.GROUP:
            return Code.OVERLOADED if self.outbox.bytes + size > self.queue_bytes else None
        return await self.windows.admit(m, size)

    def send(self, m, callback=None):
        """Sends an admitted message; callback gets the Result."""
        lane = lane_of(m)
        m.token = self._await(callback)
        data = frames.message(m)
        self.windows.take(lane, len(data))
        self._send(Type.MESSAGE, data, None if m.token else self._quiet, Tag(Type.MESSAGE, lane, m.token))

    def subscribe(self, name, number, callback):
        token = self._await(callback)
        self._send(Type.SUBSCRIBE, frames.group(Type.SUBSCRIBE, token, number, name), None, Tag(Type.SUBSCRIBE, None, token))

    def unsubscribe(self, name, number):
        self._send(Type.UNSUBSCRIBE, frames.group(Type.UNSUBSCRIBE, 0, number, name))

    def _await(self, callback):
        if callback is None:
            return 0
        token = next(self.tokens)
        self.awaited[token] = (self.loop.time() + AWAITED_FOR, callback)
        return token

    def _quiet(self):
        self.quiet_written += 1

    def _result(self, r):
        self._resolve(r)

    def _resolve(self, r):
        _, callback = self.awaited.pop(r.token, (0, None))
        if callback:
            callback(r)

    # As a destination.

    def _message(self, m):
        self.read += 1
        self._acknowledge()
        receipt = Receipt(self, m.token)
        if m.token:
            self.owed[id(receipt)] = receipt
        self.service.deliver(m, receipt)

    def settle(self, receipt):
        self.owed.pop(id(receipt), None)
        self.service.changed.set()
        if receipt.token and receipt.epoch == self.epoch:
            self._send(Type.RESULT, frames.result(receipt.token, receipt.delivered, receipt.failed))
        elif not receipt.token and receipt.connection == self.connection:
            self.settled += 1
            self._acknowledge()

    def _acknowledge(self):
        if not self.acking:
            self.acking = True
            self.loop.call_later(TICK, self._say_ack)

    def _say_ack(self):
        self.acking = False
        if self.sock is not None:
            self.say(Type.ACK, self.read.to_bytes(8, "big") + self.settled.to_bytes(8, "big"))

    def _ack(self, counts):
        if self.quiet_acked < counts[1] <= self.quiet_written:
            self.quiet_acked = counts[1]

    # What else the manager asks.

    def _health(self, question):
        self.say(Type.HEALTH_OK, question[0].to_bytes(8, "big") + self.service.hangs().encode()[:1024])

    def _slots(self, slots):
        self.say(Type.SLOTS_OK, slots[0].to_bytes(8, "big"))

    def _hold(self, mode):
        if mode[0] > 2:
            raise BadFrame("hold with an unknown mode")
        self.hold = mode[0]
        if self.hold == 0:
            kept, self.kept = self.kept, []
            for item in kept:
                self.outbox.put(*item)
        self.say(Type.HELD, bytes(mode))

    def _no_move(self, move):
        self.say(Type.MOVE_ABORT, move[0].to_bytes(8, "big"))

    def _no_source(self, body):
        self.say(Type.SOURCE_GONE, body[:8])

    def _give_sockets(self, number):
        self.loop.create_task(self._give(number[0]))

    async def _give(self, number):
        """Sends the inherited descriptors to a successor of the manager."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            await self.loop.sock_connect(sock, self.start.relay_socket)
            await self.loop.sock_sendall(sock, self._proof(Type.TRANSFER, number))
            for name, fd in self.service.inherited.items():
                if name != "lifeline":
                    body = b"\x08" + name.encode()
                    socket.send_fds(sock, [len(body).to_bytes(4, "big") + body], [fd])
            sock.shutdown(socket.SHUT_WR)
            while await self.loop.sock_recv(sock, 4096):
                pass
        except OSError as e:
            logging.warning("cannot give the sockets to the manager: %s", e)
        finally:
            sock.close()
