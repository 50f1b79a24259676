"""The TCP clients of the process and what they say: docs/message.md in JSON lines."""

import asyncio
import json
import logging
import re
import socket
import time

from . import frames
from .bounds import Backlog, Outbox
from .frames import Code, Message
from .share import BYTES_IN, BYTES_OUT, MESSAGES_IN, MESSAGES_OUT
from .values import MAX_DEPTH, depth

MAX_GROUPS = 65536
FINISH = 5.0  # seconds in which a client gets what it is owed
LINGER = 1.0  # seconds in which what it still sends is discarded

SENTENCES = {
    Code.TOO_LARGE: "the message is larger than max_message_bytes; send less",
    Code.NO_DESTINATION: "the message has no entity and the service no forward_to; name an entity",
    Code.NO_SUCH_ENTITY: "there is no such client or service, or nobody is in the group; check entity and entity_id",
    Code.NO_SUCH_PROCESS: "the process is not ready; leave process_id out, or send again later",
    Code.OVERLOADED: "a queue on the way is full; send more slowly",
    Code.TIMEOUT: "nobody said in time what became of the message; it may have arrived",
    Code.PROCESS_LOST: "the destination's process ended meanwhile; the message may have arrived",
    Code.UNSUPPORTED: "the destination cannot take the message; send to another one, or another value",
    Code.DENIED: "this is not allowed",
    Code.SHUTTING_DOWN: "the server stops; connect again later",
    Code.BAD_MESSAGE: "this is no message object; send a JSON object with the documented keys",
}


class Refusal(Exception):
    """What is wrong with what a client sent, with the id under which it is answered."""

    def __init__(self, code, sentence="", id=None):
        super().__init__(sentence or SENTENCES[code])
        self.code, self.id = code, id


# Reading message objects. The value and the id are passed on as they were sent, so the
# object is taken apart by hand; the values are checked by json.

_SPACE = re.compile(r"[ \t\n\r]*")
_SURROGATE = re.compile("[\ud800-\udfff]")  # half of a character, which JSON can escape and UTF-8 cannot carry


def _no_constant(name):
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def parse(line):
    """The keys of a message object, each with its value decoded and as it was sent."""
    try:
        text = line.decode()
        found = _members(text)
    except (ValueError, RecursionError, IndexError) as e:
        raise Refusal(Code.BAD_MESSAGE, f"this is no JSON object: {e}") from e
    if text.count("[") + text.count("{") > MAX_DEPTH and depth([v for v, _ in found.values()]) > MAX_DEPTH + 1:
        raise Refusal(Code.BAD_MESSAGE, f"values are nested more than {MAX_DEPTH} levels deep", checked_id(found, strict=False))
    return found


def _members(text):
    def skip(at):
        return _SPACE.match(text, at).end()

    def expect(character, at):
        if text[at : at + 1] != character:
            raise ValueError(f"{character} is missing at character {at}")
        return skip(at + 1)

    found, twice = {}, None
    at = expect("{", skip(0))
    if text[at : at + 1] != "}":
        while True:
            key, at = _DECODER.raw_decode(text, at)
            if not isinstance(key, str):
                raise ValueError("a key is no string")
            start = expect(":", skip(at))
            value, at = _DECODER.raw_decode(text, start)
            twice = key if key in found else twice
            found[key] = (value, text[start:at].encode())
            at = skip(at)
            if text[at : at + 1] != ",":
                break
            at = skip(at + 1)
    if expect("}", at) != len(text):
        raise ValueError("something follows the object")
    if twice is not None:
        raise Refusal(Code.BAD_MESSAGE, f"the key {twice} is there twice", checked_id(found, strict=False))
    return found


def checked_id(found, strict=True):
    """The id as it was sent, None without one."""
    value, raw = found.get("id", (None, None))
    number = type(value) is int and -(1 << 63) <= value < 1 << 64
    if raw is None or (isinstance(value, str) or number) and len(raw) <= 1024:
        return raw
    if strict:
        raise Refusal(Code.BAD_MESSAGE, "id must be a string or an integer of 64 bits, of at most 1024 bytes")
    return None


def address(found, id, forward_to=None):
    """The entity and entity_id of a message object, or where the service forwards."""
    if "entity" not in found:
        if forward_to is None:
            raise Refusal(Code.NO_DESTINATION, id=id)
        return forward_to["entity"], forward_to["entity_id"]
    entity, number = found["entity"][0], found.get("entity_id", (None,))[0]
    if not isinstance(entity, str) or not 1 <= len(entity.encode(errors="surrogatepass")) <= 255 or _SURROGATE.search(entity):
        raise Refusal(Code.BAD_MESSAGE, "entity must be a string of 1 to 255 bytes", id)
    if type(number) is not int or not -(1 << 63) <= number < 1 << 63:
        raise Refusal(Code.BAD_MESSAGE, "entity_id must be an integer of 64 bits", id)
    return entity, number


def text_of(value):
    return json.dumps(value, ensure_ascii=False).encode()


def compose(kind, id=None, *members):
    """A message object in one line: its type, the id, and members as pairs of key and JSON."""
    pairs = [("type", text_of(kind))]
    if id is not None:
        pairs.append(("id", id))
    return b"{" + b",".join(b'"%s":%s' % (k.encode(), v) for k, v in (*pairs, *members)) + b"}\n"


def _worst(failed):
    """The code for a message of which no copy was delivered: that it may have arrived goes before all else."""
    for code in (Code.TIMEOUT, Code.PROCESS_LOST):
        if code in failed:
            return code
    return max(failed, key=failed.get, default=Code.NO_SUCH_ENTITY)


class Client:
    """One connection. `run` reads it until it ends; what it gets waits in its outbox."""

    def __init__(self, service, sock, peer, id):
        self.service, self.link, self.share, self.loop = service, service.link, service.share, service.loop
        self.sock, self.id, self.address = sock, id, f"{peer[0]}:{peer[1]}"
        self.connected = time.time_ns()
        self.messages_in = self.messages_out = 0
        self.groups = set()
        self.open = 0  # messages that it waits for an answer to
        self.ending = False
        self.limit = FINISH  # None: until close
        self.heard = None  # while it is waited for: done when it says something, or is to end
        self.emptied = asyncio.Event()  # set whenever something was written or answered
        self.outbox = Outbox(self.loop, sock, lambda _: self.task.cancel())
        limits = service.params["limits"]
        self.max_bytes, self.idle = limits["max_message_bytes"], limits["idle_timeout"] / 1e9 or None
        self.backlog = Backlog(self.loop, limits["client_queue_bytes"], self.link.push_back, service.total,
                               lambda process, budget: self._tell(frames.Type.PAUSE, process, budget),
                               lambda process: self._tell(frames.Type.RESUME, process, 0))
        self.task = self.loop.create_task(self._run())

    def _tell(self, kind, process, budget):
        self.link.say(kind, frames.FIXED[frames.Type.PAUSE].pack(self.id, process, budget))

    # What it gets.

    def give(self, line, receipt=None, stream=False, process=0):
        """Queues a copy of a message, or an answer, which has no receipt."""
        if self.sock is None and receipt:
            receipt.fail(Code.NO_SUCH_ENTITY)
            return
        if receipt and not self.backlog.admit(len(line), stream, process):
            receipt.fail(Code.OVERLOADED)
            return
        if not receipt:
            self.backlog.force(len(line))
        self.outbox.put(line, lambda: self._written(len(line), receipt), (len(line), receipt))

    def _written(self, size, receipt):
        self.backlog.release(size)
        self.messages_out += 1
        self.share.add(MESSAGES_OUT)
        self.share.add(BYTES_OUT, size)
        if receipt:
            receipt.deliver()
        self.emptied.set()

    def refuse(self, code, sentence="", id=None):
        self.give(compose("error", id, ("code", text_of(code.name.lower())), ("error", json.dumps(sentence or SENTENCES[code]).encode())))

    # What it says.

    async def _run(self):
        try:
            async for line in self._lines():
                self.messages_in += 1
                self.share.add(MESSAGES_IN)
                try:
                    if line is None:
                        raise Refusal(Code.TOO_LARGE)
                    await self._handle(parse(line))
                except Refusal as e:
                    self.share.dropped(e.code)
                    self.refuse(e.code, str(e), e.id)
                while self.backlog.bytes > self.backlog.limit and not self.ending:  # it asks, but does not read
                    await self._emptied()
            await self._finish()
        except OSError:
            pass
        except Exception:
            logging.exception("client %s ends", self.address)
        finally:
            self.close()

    async def _emptied(self):
        self.emptied.clear()
        await self.emptied.wait()

    async def _lines(self):
        """Lines without their end; None for one that is too large. Empty ones are keep-alives."""
        buffer, skipping = b"", False
        while not self.ending:
            got = await self._receive(self.idle)
            if not got or self.ending:
                return
            self.share.add(BYTES_IN, len(got))
            *whole, buffer = (buffer + got).split(b"\n")
            for line in whole:
                if self.ending:
                    return
                if not skipping and line.strip():
                    line = line.removesuffix(b"\r")
                    yield line if len(line) <= self.max_bytes else None
                skipping = False
            if len(buffer) > self.max_bytes + 1:
                if not skipping:
                    yield None
                buffer, skipping = b"", True
        # What was read and is not whole is no message.

    async def _receive(self, seconds):
        """What it says next; nothing at its end, after so many seconds, or when it is told to end."""
        while True:
            self.heard = self.loop.create_future()
            self.loop.add_reader(self.sock, self._wake)
            try:
                await asyncio.wait_for(self.heard, seconds)
                return self.sock.recv(1 << 16)
            except TimeoutError:
                return b""
            except (BlockingIOError, InterruptedError):
                if self.ending:
                    return b""
            finally:
                if self.sock is not None:
                    self.loop.remove_reader(self.sock)

    def _wake(self):
        if self.heard and not self.heard.done():
            self.heard.set_result(None)

    async def _handle(self, found):
        id = checked_id(found)
        kind = found.get("type", ("message",))[0]
        if kind == "message":
            await self._send(found, id)
        elif kind == "join":
            await self._join(*self._group(found, id), id)
        elif kind == "leave":
            entity, number = self._group(found, id)
            self.service.leave(self, entity.encode(), number)
            self._answer("left", id, entity, number)
        elif kind == "ping":
            self.give(compose("pong", id))
        elif kind == "whoami":
            self._answer("client", id, "client", self.id, ("service_id", text_of(self.service.id)),
                         ("process_id", text_of(self.link.start.process_id)))
        else:
            raise Refusal(Code.BAD_MESSAGE, "type must be message, join, leave, ping or whoami", id)

    def _answer(self, kind, id, entity, number, *more):
        self.give(compose(kind, id, ("entity", text_of(entity)), ("entity_id", text_of(number)), *more))

    def _group(self, found, id):
        if "entity" not in found:
            raise Refusal(Code.BAD_MESSAGE, "entity is missing; name a group", id)
        entity, number = address(found, id)
        if entity in ("client", "service"):
            raise Refusal(Code.DENIED, f"{entity} is no group; join and leave any entity but client and service", id)
        return entity, number

    async def _join(self, entity, number, id):
        if len(self.groups) >= MAX_GROUPS:
            raise Refusal(Code.OVERLOADED, f"a client joins at most {MAX_GROUPS} groups; leave some", id)
        code = await self.service.join(self, entity.encode(), number)
        if code:
            raise Refusal(code, id=id)
        self._answer("joined", id, entity, number)

    async def _send(self, found, id):
        entity, number = address(found, id, self.service.params.get("forward_to"))
        if "message" not in found:
            raise Refusal(Code.BAD_MESSAGE, "message is missing", id)
        process = found.get("process_id", (frames.ANY_PROCESS,))[0]
        if type(process) is not int or not 0 <= process <= frames.ANY_PROCESS:
            raise Refusal(Code.BAD_MESSAGE, "process_id must be the number of a process", id)
        kind = {"client": frames.CLIENT, "service": frames.SERVICE}.get(entity, frames.GROUP)
        name = entity.encode() if kind == frames.GROUP else b""
        m = Message(0, 0, frames.STREAM, kind, number, process, frames.CLIENT, self.id, frames.JSON, name, id or b"", found["message"][1])
        if len(m.value) > frames.MAX_VALUE:
            raise Refusal(Code.TOO_LARGE, id=id)
        code = await self.link.admit(m, len(frames.message(m)))
        if code:
            self.share.dropped(code)
            if id is not None:
                self.refuse(code, id=id)
            return
        if id is None:
            self.link.send(m)
            return
        self.open += 1
        self.link.send(m, lambda result: self._receipt(id, result))

    def _receipt(self, id, result):
        self.open -= 1
        self.emptied.set()
        if self.sock is None:
            return
        if result.delivered == 0:
            self.refuse(_worst(result.failed), id=id)
            return
        failed = {code.name.lower(): n for code, n in result.failed.items()}
        more = [("failed", text_of(failed))] if failed else []
        self.give(compose("receipt", id, ("delivered", text_of(result.delivered)), *more))

    # Its end.

    def end(self):
        """Ends it in good order: nothing more is taken from it, and it gets what it is owed, within its limit."""
        if not self.ending:
            self.ending = True
            self.emptied.set()
            self._wake()

    async def _finish(self):
        """Waits until nothing is owed any more, and lets that arrive."""
        try:
            async with asyncio.timeout(self.limit):
                while self.open or self.outbox.items:
                    await self._emptied()
        except TimeoutError:
            return
        self.ending = True
        self.sock.shutdown(socket.SHUT_WR)
        end = self.loop.time() + LINGER  # closing with unread input would destroy what was written
        while await self._receive(end - self.loop.time()):
            pass

    def close(self):
        if self.sock is None:
            return
        self.ending = True
        for _, _, (size, receipt) in self.outbox.detach():
            self.backlog.release(size)
            if receipt:
                receipt.fail(Code.NO_SUCH_ENTITY)
        self.loop.remove_reader(self.sock)
        self.sock.close()
        self.sock = None
        self.service.gone(self)
