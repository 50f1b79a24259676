"""Log lines as JSON objects on stderr that hold nobody up: docs/protocol.md, "Logs"."""

import json
import logging
import os
import traceback
from datetime import datetime, timezone


class Lines(logging.Handler):
    """Drops what the manager does not read."""

    def __init__(self):
        super().__init__()
        try:  # once more: O_NONBLOCK of the inherited one would be everybody's
            self.fd = os.open("/proc/self/fd/2", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self.fd = 2

    def emit(self, record):
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": {"WARNING": "warn", "CRITICAL": "error"}.get(record.levelname, record.levelname.lower()),
            "msg": record.getMessage(),
        }
        if record.exc_info:
            line["stack"] = "".join(traceback.format_exception(*record.exc_info))
        try:
            os.write(self.fd, json.dumps(line).encode() + b"\n")
        except OSError:
            pass


def setup():
    logging.basicConfig(level=logging.INFO, handlers=[Lines()])
