"""What Ray Serve is told of applications."""

import pytest

from regraft.domain import Placement
from regraft.reconcile.applications import _dedicated
from regraft.settings import Settings


@pytest.mark.parametrize(
    ("cpus", "threads", "expected"),
    [(2, 4, 2), (2, None, 2), (6, 4, 6), (0.5, 4, 1), (2.5, 4, 2), (0, 4, 4), (0, None, 1)],
)
def test_threads_of_a_dedicated_endpoint_are_its_own_processors(
    cpus: float, threads: int | None, expected: int
) -> None:
    placement = Placement(placement="dedicated", cpus=cpus)
    deployment = _dedicated("reviews", placement, Settings(threads=threads))._bound_deployment
    assert deployment.init_args[0].threads == expected
    assert deployment.ray_actor_options["num_cpus"] == cpus
