"""When training must end."""

import time
from collections.abc import Callable

from regraft.domain import JSON

MEASURED_STEPS = 3
"""Steps after the first, which is slower than others, before the whole is foreseen."""


class Clock:
    """Training ends at `deadline`, as `time.time` tells it, if there is one.

    With `whole` it ends as soon as its steps so far show that it cannot be through by then.
    """

    def __init__(
        self,
        deadline: float | None,
        whole: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.deadline = deadline
        self.whole = whole
        self.now = now
        self.first: tuple[float, int] | None = None
        self.foreseen = 0.0

    def heard(self, kind: str, data: JSON) -> None:
        """An event of the loop; of its steps the end is foreseen."""
        if kind != "step" or not self.whole:
            return
        now, done = self.now(), (data["epoch"] - 1) * data["steps"] + data["step"]
        if self.first is None:
            self.first = (now, done)
        began, before = self.first
        if done - before >= MEASURED_STEPS:
            left = data["epochs"] * data["steps"] - done
            self.foreseen = now + left * (now - began) / (done - before)

    def expired(self) -> bool:
        if self.deadline is None:
            return False
        return max(self.now(), self.foreseen) > self.deadline
