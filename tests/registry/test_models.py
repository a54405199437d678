"""Versions and endpoints: numbered without gaps, promoted, rolled back, written as tables."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from regraft.domain import Blob, ModelVersion
from regraft.errors import ConflictError, UnknownNameError
from regraft.registry.endpoint_table import KEPT, Before, EndpointTable, Route, revisions
from regraft.registry.models import ModelRegistry
from regraft.registry.store import Registry

PUBLISH = """
import sys
from pathlib import Path
from regraft.domain import Blob
from regraft.registry.store import Registry
models = Registry(Path(sys.argv[1]), sys.argv[2] or None).models
for _ in range(10):
    print(models.publish("model", Blob("a" * 64, 1), {}, True).version)
"""


@pytest.fixture
def models(tmp_path: Path, database: str | None) -> ModelRegistry:
    return Registry(tmp_path, database).models


def publish(models: ModelRegistry, name: str = "model", promote: bool = True) -> ModelVersion:
    return models.publish(name, Blob("a" * 64, 1), {"task": "any"}, promote)


def latest(models: ModelRegistry) -> EndpointTable:
    return EndpointTable.read(models.tables, revisions(models.tables)[-1])


def test_versions_of_each_model_are_1_2_3(models: ModelRegistry) -> None:
    assert [publish(models).version for _ in range(3)] == [1, 2, 3]
    assert publish(models, "other").version == 1
    assert [version.version for version in models.versions("model")] == [1, 2, 3]
    assert models.version("model").version == 3
    assert models.version("model", 2).summary == {"task": "any"}


def test_an_adaptation_makes_one_version_however_often_it_publishes(models: ModelRegistry) -> None:
    first = models.publish("model", Blob("a" * 64, 1), {"adaptation": "a-1"}, True)
    again = models.publish("model", Blob("b" * 64, 1), {"adaptation": "a-1"}, True)
    other = models.publish("model", Blob("b" * 64, 1), {"adaptation": "a-2"}, False)
    assert (again, other.version) == (first, 2)
    assert models.endpoint("model").version == 1


def test_eight_threads_that_publish_get_versions_of_their_own(models: ModelRegistry) -> None:
    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(lambda _: publish(models).version, range(24)))
    assert sorted(versions) == list(range(1, 25))
    assert latest(models).revision == models.endpoint("model").revision == 24


def test_two_processes_that_publish_get_versions_of_their_own(
    tmp_path: Path, database: str | None
) -> None:
    command = [sys.executable, "-c", PUBLISH, str(tmp_path), database or ""]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=60)[0].split() for process in processes]
    assert sorted(int(version) for part in printed for version in part) == list(range(1, 21))
    assert latest(Registry(tmp_path, database).models).routes[0].version == 20


def test_first_version_makes_the_endpoint_and_the_next_replaces_it(models: ModelRegistry) -> None:
    publish(models)
    assert models.endpoint("model").previous is None
    publish(models)
    endpoint = models.endpoint("model")
    assert (endpoint.version, endpoint.previous) == (2, 1)
    assert latest(models).routes == (Route("model", 2, "a" * 64, before=Before(1, "a" * 64)),)


def test_version_that_is_not_promoted_answers_nothing(models: ModelRegistry) -> None:
    publish(models, promote=False)
    assert models.endpoints() == []
    assert revisions(models.tables) == []
    assert models.promote("model", 1).version == 1


def test_rollback_goes_to_the_version_before_and_back(models: ModelRegistry) -> None:
    publish(models)
    publish(models)
    assert models.roll_back("model").version == 1
    assert latest(models).routes[0].version == 1
    assert models.roll_back("model").version == 2


def test_rollback_of_a_version_that_answers_no_more_changes_nothing(models: ModelRegistry) -> None:
    publish(models)
    publish(models)
    first = models.roll_back("model", expected=2)
    assert (first.version, first.previous) == (1, 2)
    assert models.roll_back("model", expected=2) == first
    assert models.endpoint("model") == first


def test_repeated_rollback_writes_the_table_that_a_crash_kept_back(models: ModelRegistry) -> None:
    publish(models)
    publish(models)
    revision = models.roll_back("model", expected=2).revision
    next(file for file in models.tables.iterdir() if str(revision) in file.name).unlink()
    models.roll_back("model", expected=2)
    assert latest(models).revision == revision


def test_rollback_without_an_earlier_version_is_a_conflict(models: ModelRegistry) -> None:
    publish(models)
    with pytest.raises(ConflictError, match="'model' has no earlier version"):
        models.roll_back("model")


def test_promoting_the_version_that_answers_keeps_what_a_rollback_goes_to(
    models: ModelRegistry,
) -> None:
    publish(models)
    publish(models)
    models.promote("model", 2)
    assert models.endpoint("model").previous == 1


def test_unknown_names_list_the_known_ones(models: ModelRegistry) -> None:
    publish(models)
    with pytest.raises(UnknownNameError, match=r"Unknown version '7' of 'model'.*Known: 1"):
        models.promote("model", 7)
    with pytest.raises(UnknownNameError, match="Did you mean 'model'"):
        models.endpoint("modle")
    with pytest.raises(UnknownNameError, match=r"Unknown model 'other'.*Known: model"):
        models.version("other")


def test_each_change_is_one_revision_and_one_file(models: ModelRegistry) -> None:
    publish(models)
    publish(models, "other")
    models.promote("model", 1)
    assert revisions(models.tables) == [1, 2, 3]
    assert EndpointTable.read(models.tables, 1).routes == (Route("model", 1, "a" * 64),)
    assert [route.name for route in latest(models).routes] == ["model", "other"]


def test_synchronise_writes_the_table_that_a_crash_kept_back(models: ModelRegistry) -> None:
    publish(models)
    (file,) = models.tables.iterdir()
    content = file.read_bytes()
    file.unlink()
    assert models.synchronise() == 1
    assert file.read_bytes() == content


def test_only_the_last_tables_are_kept(models: ModelRegistry) -> None:
    for _ in range(KEPT + 3):
        publish(models)
    assert revisions(models.tables) == list(range(4, KEPT + 4))


def test_registry_that_is_opened_again_knows_all(tmp_path: Path, database: str | None) -> None:
    before = publish(Registry(tmp_path, database).models)
    assert Registry(tmp_path, database).models.versions() == [before]
