"""What our processes log: one JSON document a line, which tells no secret."""

import json
import logging
import random
import re
import secrets
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

LONGEST_ID = 128
REQUEST: ContextVar[str | None] = ContextVar("request", default=None)
"""The id of the request that is answered here, if one is."""
_IDS = random.Random(secrets.randbits(256))
"""To ask the system each time takes a tenth of what a prediction costs beside its model."""

NAMES = "password|passwd|secret|token|api_?key|access_?key"
SECRETS = (
    (re.compile(r"rgk_([0-9a-f]{12})_[A-Za-z0-9_-]+"), r"rgk_\1_…"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s'\",}]+"), r"\1 …"),
    (re.compile(r"eyJ[\w-]*\.[\w-]+\.[\w-]+"), "…"),
    (re.compile(r"(://)[^/\s@'\"]+@"), r"\1…@"),
    (re.compile(rf"(?i)((?:{NAMES})['\"]?\s*[=:]\s*['\"]?)[^\s&'\",}}]+"), r"\1…"),
)
"""Keys, of which the id is no secret; credentials of headers; tokens (JWT); those in URLs; and
whatever is called one."""


def redacted(text: str) -> str:
    """The text without what looks like a secret."""
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


class Line(logging.Formatter):
    """A record as JSON: `time`, `level`, `logger`, `message`, and `request` and `error` where there
    are any. Whatever a message holds, it stays one line."""

    def format(self, record: logging.LogRecord) -> str:
        found = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        if (request := REQUEST.get()) is not None:
            found["request"] = request
        if record.exc_info:
            found["error"] = redacted(self.formatException(record.exc_info))
        return json.dumps(found, ensure_ascii=True)


def log_lines(stream: TextIO | None = None) -> None:
    """Let our loggers write lines, from INFO on; to be called once in a process of a server."""
    logger = logging.getLogger("regraft")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Line())
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def request_id(given: str | None) -> str:
    """The id that a client gave its request, if it is of use as one; else one of our own."""
    if given and len(given) <= LONGEST_ID and given.isascii() and given.isprintable():
        return given
    return f"{_IDS.getrandbits(64):016x}"
