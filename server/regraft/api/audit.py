"""A record of every change that somebody asked for, whatever became of it."""

import logging
from dataclasses import dataclass
from typing import Any

from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regraft.identity.caller import Caller
from regraft.registry.audit import AuditLog

log = logging.getLogger("regraft.api")

READS = ("GET", "HEAD", "OPTIONS")


@dataclass
class Audited:
    """The application, with a record of who asked it for what, once that is answered."""

    app: ASGIApp
    audit: AuditLog

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in READS:
            await self.app(scope, receive, send)
            return
        status = 500

        async def noticed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noticed)
        finally:
            await run_in_threadpool(self._record, scope, status)

    def _record(self, scope: Scope, status: int) -> None:
        state: dict[str, Any] = scope.get("state", {})
        caller: Caller | None = state.get("caller")
        try:
            self.audit.record(caller, f"{scope['method']} {scope['path']}", status)
        except Exception:
            log.exception("a change could not be written into the audit log")
