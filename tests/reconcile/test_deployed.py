"""What a configuration file of Ray Serve names is what a server deploys."""

from pathlib import Path

import pytest
from ray.serve._private.api import call_user_app_builder_with_args_if_necessary as built

from regraft import deployed
from regraft.errors import InvalidInputError
from regraft.registry.endpoint_table import revisions
from regraft.registry.store import Registry


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One with an endpoint whose table is gone, as after a restore; settings that allow it."""
    made = Registry(tmp_path)
    made.models.publish("reviews", made.blobs.put(b"manifest"), {}, promote=True)
    for path in made.home.tables.iterdir():
        path.unlink()
    for name, value in {"HOME": str(tmp_path), "HOST": "0.0.0.0", "AUTH": "true"}.items():
        monkeypatch.setenv(f"REGRAFT_{name}", value)
    return tmp_path


def test_both_applications_are_built_from_the_environment(home: Path) -> None:
    stopping = Registry(home).home.stopping
    stopping.touch()  # by a server that was on this home before
    pool, control = built(deployed.pool, {}), built(deployed.control, {})
    assert pool._bound_deployment.name == "Pool"
    assert control._bound_deployment.name == "Control"
    assert len(revisions(Registry(home).home.tables)) == 1
    assert not stopping.exists()


def test_none_is_built_where_anybody_could_ask(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGRAFT_AUTH")
    for build in (deployed.pool, deployed.control):
        with pytest.raises(InvalidInputError, match="REGRAFT_AUTH"):
            built(build, {})


def test_arguments_of_the_configuration_are_refused(home: Path) -> None:
    with pytest.raises(InvalidInputError, match="takes no `args`, but has replicas"):
        built(deployed.pool, {"replicas": 3})


def test_roles_are_asked_for_as_resources(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def resources() -> object:
        return built(deployed.pool, {})._bound_deployment.ray_actor_options["resources"]

    assert resources() == {}
    monkeypatch.setenv("REGRAFT_ROLES", "true")
    assert resources() == {"serve": 0.001}
