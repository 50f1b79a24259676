"""The page of counters that all processes of the service share: docs/protocol.md, "Share page"."""

import mmap

ROW = 256 // 8  # fields of 8 bytes
TAKING, CLIENTS, MESSAGES_IN, MESSAGES_OUT, BYTES_IN, BYTES_OUT, DROPS = range(7)
ROWS_IN_USE = 176 // 8  # of row 0


class Share:
    """One writer per row and aligned fields of 8 bytes: no more is needed to be atomic."""

    def __init__(self, fd, row, rows):
        page = mmap.mmap(fd, 0) if fd is not None else bytearray((row + 1) * ROW * 8)
        self.fields = memoryview(page).cast("@Q")
        self.own, self.rows = row * ROW, rows

    def add(self, field, n=1):
        self.fields[self.own + field] += n

    def take(self, on):
        self.fields[self.own + TAKING] = int(on)

    def dropped(self, code, n=1):
        self.add(DROPS + code, n)

    def _rows(self):
        in_use = min(self.fields[ROWS_IN_USE] or self.rows, len(self.fields) // ROW)
        return range(0, in_use * ROW, ROW)

    def all_clients(self):
        return sum(self.fields[r + CLIENTS] for r in self._rows())

    def above_part(self):
        """Whether this process has more clients than its part of what all that take clients have."""
        taking = [self.fields[r + CLIENTS] for r in self._rows() if self.fields[r + TAKING]]
        return self.fields[self.own + CLIENTS] * len(taking) > sum(taking)
