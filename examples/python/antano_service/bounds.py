"""Queues that are bounded in bytes, and who is asked to pause while one is full.

docs/protocol.md, "pause, resume" and "pause sender, resume sender".
"""

from collections import deque

RENEW = 1.0  # seconds; a pause that is not renewed ends after 2


class Backlog:
    """Counts what waits for one client or for one sender's calls."""

    def __init__(self, loop, limit, push_back, total, pause, resume):
        self.loop, self.limit, self.push_back, self.total = loop, limit, push_back, total
        self.pause, self.resume = pause, resume  # called with a process and a budget in ms
        self.bytes = 0
        self.since = None  # when the first pause of this fullness was sent
        self.told = {}  # when each process was told to pause last

    def admit(self, size, stream, process):
        """Whether a message of that size from that process may wait, too; then it counts until release."""
        if self.total.bytes and self.total.bytes + size > self.total.limit:
            return False
        if self.bytes and self.bytes + size > self.limit and not (stream and self._hold_back(process)):
            return False
        self.force(size)
        return True

    def force(self, size):
        """Counts what has to wait however full it is: the answers to a client."""
        self.bytes += size
        self.total.bytes += size

    def _hold_back(self, process):
        now = self.loop.time()
        self.since = self.since or now
        left = self.since + self.push_back - now
        if left <= 0:
            return False
        if now - self.told.get(process, 0) >= RENEW:
            self.told[process] = now
            self.pause(process, int(left * 1000))
        return True

    def release(self, size):
        self.bytes -= size
        self.total.bytes -= size
        if self.since and self.bytes <= self.limit // 2:
            told, self.told, self.since = self.told, {}, None
            for process in told:
                self.resume(process)


class Total:
    """What waits for all clients and calls of the process together."""

    def __init__(self, limit):
        self.limit, self.bytes = limit, 0


class Outbox:
    """Writes to a socket what waits for it, in order, and never blocks.

    `written` of an item is called when the socket has accepted its last byte. Its `tag`
    is for whoever wants to know, at the end, what was not written. Without a socket
    everything waits.
    """

    def __init__(self, loop, sock, broken):
        self.loop, self.sock, self.broken = loop, sock, broken
        self.items = deque()  # (data, written, tag)
        self.bytes = 0
        self.sent = 0  # bytes of the first item
        self.scheduled = self.waiting = False

    def put(self, data, written=None, tag=None):
        self.items.append((data, written, tag))
        self.bytes += len(data)
        if not self.scheduled and not self.waiting:  # whatever is put until then goes in one write
            self.scheduled = True
            self.loop.call_soon(self._pump)

    def _pump(self):
        self.scheduled = False
        while self.items and self.sock is not None:
            parts, size = [], -self.sent
            for data, _, _ in self.items:
                parts.append(data)
                size += len(data)
                if len(parts) == 64 or size >= 1 << 18:
                    break
            parts[0] = memoryview(parts[0])[self.sent :]
            try:
                n = self.sock.sendmsg(parts)
            except (BlockingIOError, InterruptedError):
                self._wait(True)
                return
            except OSError as e:
                self.broken(e)
                return
            self._account(n)
        self._wait(False)

    def _account(self, n):
        n += self.sent
        while self.items and n >= len(self.items[0][0]):
            data, written, _ = self.items.popleft()
            n -= len(data)
            self.bytes -= len(data)
            if written:
                written()
        self.sent = n

    def _wait(self, on):
        if on != self.waiting:
            self.waiting = on
            if on:
                self.loop.add_writer(self.sock, self._pump)
            else:
                self.loop.remove_writer(self.sock)

    def flush(self):
        """Writes what the socket takes at once."""
        if self.sock is not None and not self.waiting:
            self._pump()

    def detach(self):
        """Lets go of the socket, and says what was not written whole."""
        if self.sock is not None:
            self._wait(False)
        self.sock = None
        items, self.items, self.sent, self.bytes = self.items, deque(), 0, 0
        return items
