"""Ids for the clients of a process: docs/protocol.md, "Client ids"."""

import asyncio


class Ids:
    """Takes ids from the ranges that the manager grants; `ask` asks it for another one."""

    def __init__(self, process, ask):
        self.process, self.ask = process, ask
        self.server = 0
        self.ranges = []  # all that were granted
        self.next, self.last, self.half = 1, 0, 0
        self.coming = None  # the range after this one
        self.asked = self.none_left = False
        self.more = asyncio.Event()

    def grant(self, first, count):
        if not count:
            self.none_left = True
        else:
            self.ranges.append((first, count))
            self.coming, self.asked = (first, count), False
        self.more.set()

    def take(self):
        """An id for a new client, None if there is none at the moment."""
        if self.next > self.last and self.coming:
            (first, count), self.coming = self.coming, None
            self.next, self.last, self.half = first, first + count - 1, count // 2
        found = None
        if self.next <= self.last:
            found = self.server << 45 | self.process << 32 | self.next
            self.next += 1
        if not self.asked and not self.coming and not self.none_left and self.last - self.next < self.half:
            self.asked = True
            self.ask()
        return found

    async def wait(self):
        """Waits until there is an id for a new client, or there will be none."""
        while self.next > self.last and not self.coming and not self.none_left:
            self.more.clear()
            await self.more.wait()
