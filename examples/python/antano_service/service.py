"""The service of one process: its clients, their groups, and the calls of its handler."""

import asyncio
import logging
import socket
from collections import deque

from . import frames, values
from .bounds import Backlog, Total
from .clients import SENTENCES, Client, compose, text_of
from .frames import ANY_PROCESS, Code, Message, Type
from .share import CLIENTS
from .windows import lane_of

CALL = 64  # bytes that a call takes in a queue beside its value
REFUSED_ALOUD = {Code.BAD_MESSAGE, Code.TOO_LARGE, Code.UNSUPPORTED, Code.DENIED}


class Service:
    """`handle` is the handler: it takes a value and returns the answer. What it raises is logged and makes the call fail as unsupported."""

    def __init__(self, loop, link, share, params, inherited, handle):
        self.loop, self.link, self.share, self.params, self.inherited, self.handle = loop, link, share, params, inherited, handle
        self.id = params["id"]
        self.total = Total(params["limits"]["process_queue_bytes"])
        self.clients, self.groups, self.callers = {}, {}, {}
        self.listener = self.accepting = None
        self.changed = asyncio.Event()  # set when something has ended
        link.service = self

    # The listening socket, which all processes of the service share.

    def open(self):
        self.listener = socket.socket(fileno=self.inherited["tcp"])
        self.listener.setblocking(False)
        self.accepting = self.loop.create_task(self._accept())
        self.share.take(True)

    async def _accept(self):
        while True:
            await self._readable()
            await self.link.ids.wait()
            if self.share.above_part():
                await asyncio.sleep(0.002)  # for a sibling that has fewer
            try:
                sock, peer = self.listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                continue
            except OSError as e:
                if e.errno == 22:  # EINVAL: the service is stopped, Drain follows
                    return
                logging.error("cannot accept a connection: %s", e)
                await asyncio.sleep(0.1)
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connected(sock, peer)

    async def _readable(self):
        ready = self.loop.create_future()
        self.loop.add_reader(self.listener, lambda: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            self.loop.remove_reader(self.listener)

    def _connected(self, sock, peer):
        self.share.add(CLIENTS)
        id = self.link.ids.take() if self.share.all_clients() <= self.params["limits"]["max_clients"] else None
        if id is None:
            self.share.add(CLIENTS, -1)
            sentence = b'"there are as many clients as may be; connect again later"'
            try:
                sock.send(compose("error", None, ("code", text_of("overloaded")), ("error", sentence)))
            except OSError:
                pass
            sock.close()
            return
        self.clients[id] = Client(self, sock, peer, id)

    def gone(self, client):
        del self.clients[client.id]
        self.share.add(CLIENTS, -1)
        for name, number in list(client.groups):
            self.leave(client, name, number)
        self.changed.set()

    def hangs(self):
        if self.accepting and self.accepting.done() and not self.accepting.cancelled() and self.accepting.exception():
            return f"connections are not accepted any more: {self.accepting.exception()}"
        return ""

    # Groups.

    def group_names(self):
        return list(self.groups)

    async def join(self, client, name, number):
        """Makes the client a member: None, or why the manager refused it."""
        key = (name, number)
        if key not in self.groups:
            answer = self.loop.create_future()
            self.groups[key] = (set(), answer)
            self.link.subscribe(name, number, lambda r: answer.done() or answer.set_result(next(iter(r.failed), None)))
        members, answer = self.groups[key]
        members.add(client)
        client.groups.add(key)
        code = await asyncio.shield(answer)
        if code:
            self.leave(client, name, number)
        return code

    def leave(self, client, name, number):
        key = (name, number)
        client.groups.discard(key)
        if key in self.groups:
            members, _ = self.groups[key]
            members.discard(client)
            if not members:
                del self.groups[key]
                self.link.unsubscribe(name, number)

    # What comes over the link.

    def deliver(self, m, receipt):
        if m.kind == frames.GROUP:
            self._deliver_group(m, receipt)
        elif m.kind == frames.SERVICE:
            self._call(m, receipt)
        elif m.entity_id not in self.clients:
            receipt.fail(Code.NO_SUCH_ENTITY)
        else:
            line = self._line(m, receipt)
            if line:
                self.clients[m.entity_id].give(line, receipt, bool(m.flags & frames.STREAM), m.process)

    def _deliver_group(self, m, receipt):
        members, _ = self.groups.get((m.group, m.entity_id), ((), None))
        if not members:
            receipt.left = 0
            self.link.settle(receipt)
            return
        receipt.left = len(members)
        line = self._line(m, receipt)
        if line:
            for client in list(members):
                client.give(line, receipt, bool(m.flags & frames.STREAM), m.process)

    def _line(self, m, receipt):
        """The message object that a client gets; None if JSON cannot carry it, which is said."""
        if m.flags & frames.REFUSED:
            code = Code(m.value[0]) if m.value and m.value[0] in Code._value2member_map_ else Code.UNSUPPORTED
            return compose("error", None, ("code", text_of(code.name.lower())), ("error", text_of(SENTENCES[code])))
        try:
            value = values.to_json(m.format, m.value)
        except values.Unsupported:
            self._refuse(m, receipt, Code.UNSUPPORTED)
            return None
        entity = {frames.CLIENT: "client", frames.SERVICE: "service"}.get(m.kind) or m.group.decode(errors="replace")
        sender = "client" if m.from_kind == frames.CLIENT else "service"
        answers = [("in_reply_to", m.id)] if m.flags & frames.REPLY and m.id else []
        return compose("message", None, ("entity", text_of(entity)), ("entity_id", text_of(m.entity_id)),
                       ("from", b'{"entity":"%s","entity_id":%d}' % (sender.encode(), m.from_id)), *answers, ("message", value))

    def _refuse(self, m, receipt, code):
        receipt.fail(code, receipt.left)
        if not m.token and m.kind != frames.GROUP and m.from_kind == frames.CLIENT and code in REFUSED_ALOUD:
            refusal = self._answer(m, frames.BINARY, bytes([code]), frames.REFUSED)
            if self.link.windows.has_room(lane_of(refusal), len(frames.message(refusal))):
                self.link.send(refusal)

    async def _handle(self, m, receipt):
        try:
            answer = self.handle(values.decode(m.format, m.value))
            response = None if m.flags & frames.REPLY else self._answer(m, frames.JSON, values.dump(answer))
        except Exception as e:
            if not isinstance(e, values.Unsupported):
                logging.exception("the handler failed")
            self._refuse(m, receipt, Code.UNSUPPORTED)
        else:
            if response:  # a response to a response could go on for ever
                await self._reply(response)
            receipt.deliver()

    async def _reply(self, m):
        code = await self.link.admit(m, len(frames.message(m)))
        if code:
            self.share.dropped(code)
        else:
            self.link.send(m)

    def _answer(self, m, fmt, value, flags=0):
        return Message(0, 0, flags | frames.REPLY | frames.STREAM, m.from_kind, m.from_id, ANY_PROCESS, frames.SERVICE, self.id,
                       fmt, b"", m.id, value)

    # The handler: the calls of one sender are made in order, one after the other.

    def _call(self, m, receipt):
        key = (m.from_kind, m.from_id)
        caller = self.callers.get(key) or self.callers.setdefault(key, Caller(self, m.from_id))
        if not caller.backlog.admit(CALL + len(m.value), bool(m.flags & frames.STREAM), m.process):
            receipt.fail(Code.OVERLOADED)
            return
        caller.calls.append((m, receipt))
        if caller.task is None:
            caller.task = self.loop.create_task(self._serve(key, caller))

    async def _serve(self, key, caller):
        while caller.calls:
            m, receipt = caller.calls.popleft()
            if receipt.left > 0:  # nobody has waited for too long
                await self._handle(m, receipt)
            caller.backlog.release(CALL + len(m.value))
        del self.callers[key]
        self.changed.set()

    # The end.

    async def drain(self, seconds):
        """Takes no new clients and ends those that are there: how many could not be written to in time."""
        self.share.take(False)
        if self.accepting:
            self.accepting.cancel()
        for client in list(self.clients.values()):
            client.limit = None  # the deadline is ours, and Stop closes what is left
            client.end()
        try:
            async with asyncio.timeout(seconds):
                while self.clients or self.link.owed or self.callers:
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            pass
        return sum(1 for c in self.clients.values() if c.outbox.items)

    def stop(self):
        """Closes everything at once."""
        self.share.take(False)
        if self.accepting:
            self.accepting.cancel()
        for client in list(self.clients.values()):
            client.task.cancel()
            client.close()

    def list_clients(self):
        return list(self.clients.values())


class Caller:
    """A sender of calls and those that wait."""

    def __init__(self, service, id):
        self.calls, self.task = deque(), None
        pack = frames.FIXED[Type.PAUSE_SENDER].pack
        # The manager knows which process has the sender, so that it is not named.
        self.backlog = Backlog(service.loop, service.params["limits"]["client_queue_bytes"], service.link.push_back, service.total,
                               lambda _, budget: service.link.say(Type.PAUSE_SENDER, pack(service.id, id, budget)),
                               lambda _: service.link.say(Type.RESUME_SENDER, pack(service.id, id, 0)))
