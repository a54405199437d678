"""The clock of training: when it stops, and what it foresees."""

from collections.abc import Iterator
from typing import Any

from regraft.training.clock import Clock


def step(number: int, steps: int = 10, epochs: int = 2) -> dict[str, Any]:
    return {"epoch": 1, "epochs": epochs, "step": number, "steps": steps}


def ticking(*times: float) -> Any:
    told: Iterator[float] = iter(times)
    return lambda: next(told)


def test_clock_without_a_deadline_never_ends() -> None:
    assert not Clock(None, whole=True).expired()


def test_clock_ends_at_its_deadline() -> None:
    clock = Clock(10.0, now=ticking(9.0, 11.0))
    assert [clock.expired(), clock.expired()] == [False, True]


def test_whole_training_ends_as_soon_as_its_end_is_foreseen_too_late() -> None:
    clock = Clock(12.0, whole=True, now=ticking(1.0, 2.0, 3.0, 4.0, 4.0))
    for number in (1, 2, 3):
        clock.heard("step", step(number))
    assert clock.foreseen == 0
    clock.heard("step", step(4))
    assert clock.foreseen == 4.0 + 16 * 1.0
    assert clock.expired()


def test_a_first_step_that_takes_long_is_not_taken_for_all() -> None:
    clock = Clock(30.0, whole=True, now=ticking(9.0, 10.0, 11.0, 12.0, 12.0))
    for number in (1, 2, 3, 4):
        clock.heard("step", step(number))
    assert not clock.expired()
