"""How much a source may send: docs/protocol.md, "Lanes and credit" and "pause, resume"."""

import asyncio

from . import frames
from .frames import BadFrame, Code

PAUSE_ENDS = 2.0  # seconds after it was said last
MAX_PAUSES = 10000  # before those that have ended are forgotten


def lane_of(m):
    if m.kind == frames.CLIENT:
        return (frames.PROCESS, m.entity_id >> 32 & 0x1FFF)
    return (frames.SERVICE, m.entity_id & (1 << 64) - 1) if m.kind == frames.SERVICE else None


def _target_of(m):
    """Under what a pause is known: a client, or a service and who sends to it."""
    return m.entity_id if m.kind == frames.CLIENT else (m.entity_id, m.from_id)


class Windows:
    """The windows of all lanes, and who asked to pause."""

    def __init__(self, loop, push_back):
        self.loop, self.push_back = loop, push_back
        self.window = 0
        self._changed = asyncio.Event()
        self.reset()

    def reset(self):
        self.lanes, self.used_up, self.paused = {}, set(), {}
        self.notify()

    def notify(self):
        self._changed.set()
        self._changed = asyncio.Event()

    def has_room(self, lane, size):
        used = self.lanes.get(lane, 0)
        return used == 0 or used + size <= self.window

    def take(self, lane, size):
        if lane:
            self.lanes[lane] = self.lanes.get(lane, 0) + size

    async def admit(self, m, size):
        """Waits until the message may be sent, at most push_back: None, or the code of the refusal."""
        lane, target = lane_of(m), _target_of(m)
        end = self.loop.time() + self.push_back
        while True:
            now = self.loop.time()
            budget, expires = self.paused.get(target, (0, 0))
            if now < expires:
                until = min(budget, expires)
                if now >= budget:
                    return Code.OVERLOADED
            elif self.has_room(lane, size):
                self.paused.pop(target, None)
                return None
            elif now >= end or lane in self.used_up:
                self.used_up.add(lane)
                return Code.OVERLOADED
            else:
                until = end
            try:
                await asyncio.wait_for(self._changed.wait(), until - now)
            except TimeoutError:
                pass

    def credit(self, credit):
        kind, number, size = credit
        if kind not in (frames.PROCESS, frames.SERVICE):
            raise BadFrame("credit for an unknown kind of lane")
        lane = (kind, number)
        left = self.lanes.get(lane, 0) - size
        if left > 0:
            self.lanes[lane] = left
        else:
            self.lanes.pop(lane, None)
        self.used_up.discard(lane)
        self.notify()

    def pause(self, p):
        self._pause(p[0], p[2])

    def resume(self, p):
        self._resume(p[0])

    def pause_sender(self, p):
        self._pause((p[0], p[1]), p[2])

    def resume_sender(self, p):
        self._resume((p[0], p[1]))

    def _pause(self, target, budget):
        now = self.loop.time()
        if len(self.paused) > MAX_PAUSES:
            self.paused = {t: p for t, p in self.paused.items() if p[1] > now}
        self.paused[target] = (now + budget / 1000, now + PAUSE_ENDS)
        self.notify()

    def _resume(self, target):
        self.paused.pop(target, None)
        self.notify()
