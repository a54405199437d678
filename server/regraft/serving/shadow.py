"""A version that is asked copies of requests: nobody hears its answers, they are compared."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from regraft.contract import Arrays
from regraft.errors import OverloadedError
from regraft.serving.batcher import Batcher
from regraft.serving.call import agreement
from regraft.serving.predictor import Predictor
from regraft.serving.telemetry import ShadowRecord, Telemetry
from regraft.serving.waiting import Batches

log = logging.getLogger("regraft.serving")

MOST = 64
"""Copies that wait at a time; more are not made, so that a slow shadow costs no memory."""
LATER = 0.005


class Shadows:
    """Asks copies when there is nothing else to do. For use on the event loop."""

    def __init__(self, batcher: Batcher, telemetry: Telemetry) -> None:
        self.batcher = batcher
        self.telemetry = telemetry
        self.asking: set[asyncio.Task[None]] = set()

    def ask(self, shadow: Predictor, rows: Sequence[Any], answer: Arrays) -> None:
        """Ask a copy of what was answered, in a moment: the answer is on its way first."""
        if len(self.asking) >= MOST:
            return
        task = asyncio.get_running_loop().create_task(self._ask(shadow, rows, answer))
        self.asking.add(task)
        task.add_done_callback(self.asking.discard)

    async def _ask(self, shadow: Predictor, rows: Sequence[Any], answer: Arrays) -> None:
        await asyncio.sleep(LATER)
        batches: Batches = []
        agreed = None
        try:
            tensors = await self.batcher.predict(shadow, rows, later=True, batches=batches)
            agreed = float(agreement(answer, tensors).sum())
        except OverloadedError:
            return
        except Exception as error:  # noqa: BLE001 - a model that is tried may raise anything
            log.warning("shadow %s version %s failed: %s", shadow.name, shadow.version, error)
        seconds = sum(record.seconds for record, _ in batches)
        self.telemetry.shadow(
            ShadowRecord(shadow.name, str(shadow.version), len(rows), agreed, seconds)
        )
