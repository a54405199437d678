"""Files are looked at on the event loop as long as that is quick."""

import asyncio
import threading
import time
from typing import Any

import pytest

from regraft.serving import aside
from regraft.serving.aside import FILES, LONG, MOST, Looks


def where(look: Looks, size: int, seconds: float = 0.0, files: int = 1) -> Any:
    """Which thread looks, for so long."""

    def work() -> Any:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass
        return threading.current_thread()

    return asyncio.run(look.at(files, size, work))


def test_few_bytes_are_looked_at_at_once_and_many_in_a_thread() -> None:
    looks = Looks()
    assert where(looks, FILES) is threading.current_thread()
    assert where(looks, FILES + 1) is not threading.current_thread()
    assert where(looks, 10, files=MOST) is threading.current_thread()
    assert where(looks, 10, files=MOST + 1) is not threading.current_thread()


def test_after_a_long_look_the_others_are_in_threads_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = Looks()
    assert where(looks, 10, 2 * LONG) is threading.current_thread()
    assert where(looks, 10) is not threading.current_thread()
    monkeypatch.setattr(aside, "REST", 0)
    looks = Looks()
    where(looks, 10, 2 * LONG)
    assert where(looks, 10) is threading.current_thread()


def test_a_look_that_fails_says_so_and_counts() -> None:
    looks = Looks()

    def fail() -> None:
        end = time.thread_time() + 2 * LONG
        while time.thread_time() < end:
            pass
        raise ValueError("no file")

    with pytest.raises(ValueError, match="no file"):
        asyncio.run(looks.at(1, 10, fail))
    assert where(looks, 10) is not threading.current_thread()
