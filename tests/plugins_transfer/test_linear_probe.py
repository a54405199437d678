"""The options of the linear probe."""

import pytest
from pydantic import ValidationError

from regraft_transfer.linear_probe import LinearProbeOptions


@pytest.mark.parametrize("strengths", [(), (0.0,), (1.0, -1.0)])
def test_strengths_are_at_least_one_and_positive(strengths: tuple[float, ...]) -> None:
    assert LinearProbeOptions(strengths=(1.0,)).strengths == (1.0,)
    with pytest.raises(ValidationError, match="strengths"):
        LinearProbeOptions(strengths=strengths)
