"""What was predicted, left in files for the control plane, so that a true label can be joined with
it that comes back later. Inputs are not kept."""

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from uuid import uuid4

import orjson

from regraft.registry.blobs import write_atomically
from regraft.serving.telemetry import BatchRecord, RequestRecord, ShadowRecord

MOST_FILES = 200
"""Files that nobody has taken yet; with more of them predictions are no longer kept."""
MOST_REQUESTS = 2000
"""Requests between two files; more are not kept."""


class Predictions:
    """Telemetry that keeps what was answered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[tuple[float, RequestRecord]] = []
        self.lock = Lock()

    def batch(self, record: BatchRecord) -> None:
        pass

    def shadow(self, record: ShadowRecord) -> None:
        pass

    def request(self, record: RequestRecord) -> None:
        answered = record.told is not None and record.status < 400
        if answered and len(self.requests) < MOST_REQUESTS:
            with self.lock:
                self.requests.append((time.time(), record))

    def write(self) -> None:
        """Leave what was predicted since the last time, a line a row."""
        with self.lock:
            requests, self.requests = self.requests, []
        if not requests or len(list(self.folder.glob("*.jsonl"))) >= MOST_FILES:
            return
        lines = b"\n".join(orjson.dumps(row) for when, one in requests for row in _rows(when, one))
        write_atomically(self.folder / f"{time.time_ns()}-{uuid4().hex}.jsonl", lines)


def _rows(when: float, record: RequestRecord) -> Iterator[dict[str, object]]:
    assert record.told is not None
    for number, text in enumerate(record.told.texts):
        scores = record.told.scores
        yield {
            "endpoint": record.name,
            "request": record.id[:128],
            "row": number,
            "version": int(record.version),
            "label": text.decode() if isinstance(text, bytes) else str(text),
            "score": None if scores is None else float(scores[number]),
            "time": when,
        }
