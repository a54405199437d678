"""How often one caller may ask."""

import math
import time
from collections.abc import Callable

from regraft.errors import QuotaError
from regraft.identity.authenticator import Authenticator
from regraft.identity.caller import Caller

BURST_SECONDS = 2.0
"""So many seconds' requests may come at once."""
MANY = 10_000


class Paced:
    """An authenticator that refuses with QuotaError whoever asks more than `rate` times a second.

    Source: the generic cell rate algorithm, ITU-T I.371.
    """

    def __init__(
        self, authenticate: Authenticator, rate: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.authenticate = authenticate
        self.rate = rate
        self.clock = clock
        self.due: dict[str, float] = {}
        """When each caller's requests so far would have come, had they come evenly."""

    def __call__(self, authorization: str | None) -> Caller:
        caller = self.authenticate(authorization)
        now = self.clock()
        due = max(self.due.get(caller.id, now), now)
        early = due - now - BURST_SECONDS
        if early > 0:
            raise QuotaError(
                f"More than {self.rate:g} requests a second of one caller.", math.ceil(early)
            )
        self.due[caller.id] = due + 1 / self.rate
        if len(self.due) > MANY:
            self.due = {name: time for name, time in self.due.items() if time > now}
        return caller


def paced(authenticate: Authenticator, rate: float | None) -> Authenticator:
    """The same where there is no limit."""
    return authenticate if rate is None else Paced(authenticate, rate)
