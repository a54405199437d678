"""How threads wait: what the command asks of libgomp, and what it leaves to the user."""

import os

import pytest
import torch

from regraft.threads import SPINS, torch_threads, yield_soon


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, str(SPINS)),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, None),
    ],
)
def test_threads_sleep_soon_unless_the_user_says_otherwise(
    given: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    yield_soon()
    found = os.environ.get("GOMP_SPINCOUNT")
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    assert found == expected


def test_torch_has_as_many_threads_as_before_whatever_happens() -> None:
    before = torch.get_num_threads()
    with pytest.raises(AssertionError), torch_threads(before + 1):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before
