"""One caller's requests are counted, and nobody else's with them."""

import pytest

from regraft.errors import QuotaError, UnauthorizedError
from regraft.identity.caller import Caller
from regraft.identity.pace import BURST_SECONDS, MANY, Paced, paced


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def known(authorization: str | None) -> Caller:
    if authorization is None:
        raise UnauthorizedError("nobody")
    return Caller(authorization, "default", frozenset())


def test_a_burst_is_let_in_then_as_many_as_the_rate() -> None:
    clock = Clock()
    ask = Paced(known, 10, clock)
    for _ in range(int(10 * BURST_SECONDS) + 1):
        ask("a")
    with pytest.raises(QuotaError, match="More than 10 requests a second") as refused:
        ask("a")
    assert refused.value.retry_after == 1
    ask("b")
    for _ in range(50):
        clock.now += 0.1
        ask("a")
    with pytest.raises(QuotaError):
        ask("a")


def test_who_asks_evenly_at_the_rate_is_never_refused() -> None:
    clock = Clock()
    ask = Paced(known, 0.5, clock)
    for _ in range(100):
        ask("a")
        clock.now += 2


def test_nobody_is_refused_before_being_counted() -> None:
    ask = Paced(known, 1)
    with pytest.raises(UnauthorizedError):
        ask(None)
    assert ask.due == {}


def test_callers_that_went_are_forgotten() -> None:
    clock = Clock()
    ask = Paced(known, 1, clock)
    for number in range(3 * MANY):
        clock.now += 0.01
        ask(str(number))
    assert len(ask.due) <= MANY + 1


def test_without_a_rate_nothing_is_counted() -> None:
    assert paced(known, None) is known
