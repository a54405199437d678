"""What Ray Serve is told of applications."""

from typing import Any

import pytest
from ray.serve._private.autoscaling_state import DeploymentAutoscalingState
from ray.serve._private.common import DeploymentID
from ray.serve._private.deployment_info import DeploymentInfo

from regraft.domain import Placement
from regraft.reconcile.applications import _dedicated
from regraft.reconcile.environment import ANSWER_SECONDS
from regraft.settings import Settings


@pytest.mark.parametrize(
    ("cpus", "threads", "expected"),
    [(2, 4, 2), (2, None, 2), (6, 4, 6), (0.5, 4, 1), (2.5, 4, 2), (0, 4, 4), (0, None, 1)],
)
def test_threads_of_a_dedicated_endpoint_are_its_own_processors(
    cpus: float, threads: int | None, expected: int
) -> None:
    placement = Placement(placement="dedicated", cpus=cpus)
    deployment = _dedicated("reviews", placement, Settings(threads=threads), True)._bound_deployment
    assert deployment.init_args[0].threads == expected
    assert deployment.ray_actor_options["num_cpus"] == cpus


def test_what_asks_for_no_other_replicas_is_no_new_version() -> None:
    settings, own = Settings(), Placement(placement="dedicated")

    def deployed(**changes: float) -> Any:
        placement = own.model_copy(update=changes)
        return _dedicated("reviews", placement, settings, False)._bound_deployment

    assert deployed()._version is not None
    assert deployed()._version == deployed(max_replicas=3, idle_seconds=9.0)._version
    assert deployed()._version != deployed(cpus=4.0)._version
    configuration = deployed()._deployment_config
    assert configuration.max_surge_percent == 100, "none goes before another comes"
    assert configuration.graceful_shutdown_timeout_s == ANSWER_SECONDS, "it ends what it computes"


@pytest.mark.parametrize(("comes", "expected"), [(True, 1), (False, 4)])
def test_a_change_leaves_as_many_replicas_as_the_load_needs(comes: bool, expected: int) -> None:
    """By the class with which Ray decides it."""
    identifier = DeploymentID("Endpoint", "endpoint-reviews")
    state = DeploymentAutoscalingState(identifier)
    for most in (4, 10):
        placement = Placement(placement="dedicated", min_replicas=0, max_replicas=most)
        made = _dedicated("reviews", placement, Settings(), comes)._bound_deployment
        target = state.register(
            DeploymentInfo(made._deployment_config, made._replica_config, 0, ""), 4
        )
    assert target == expected
