"""A database that is away for a while is asked again."""

from collections.abc import Callable

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from regraft.registry.patience import patiently


def failing(times: int, error: type[Exception] = OperationalError) -> Callable[[], str]:
    """It fails so many times, then answers."""
    left = iter(range(times))

    def ask() -> str:
        if next(left, None) is not None:
            raise error("SELECT 1", {}, Exception("away"))  # type: ignore[call-arg]
        return "answer"

    return ask


def test_it_is_asked_again_until_it_answers() -> None:
    assert patiently(failing(3), patience=5, pause=0.01) == "answer"


def test_patience_ends() -> None:
    with pytest.raises(OperationalError):
        patiently(failing(1000), patience=0.05, pause=0.01)


def test_what_is_wrong_with_the_question_is_told_at_once() -> None:
    with pytest.raises(IntegrityError):
        patiently(failing(1, IntegrityError), patience=5, pause=0.01)
