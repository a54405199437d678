"""JSON as this API answers it: whatever the value, any parser can read it."""

import json
from math import isfinite
from typing import Any

from starlette.responses import JSONResponse


class StandardJSON(JSONResponse):
    """A JSON answer in which a float that is not finite is null, and half a surrogate pair '?'."""

    def render(self, content: Any) -> bytes:
        return _dumps(content, ensure_ascii=False).encode(errors="replace")


def one_line(value: Any) -> str:
    """JSON without any line break, Unicode's included: a line of an event stream."""
    return _dumps(value, ensure_ascii=True)


def _dumps(value: Any, ensure_ascii: bool) -> str:
    return json.dumps(
        _finite(value), ensure_ascii=ensure_ascii, allow_nan=False, separators=(",", ":")
    )


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value
