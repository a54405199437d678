"""The endpoints of a replica follow the table."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest

from regraft.errors import NotReadyError, UnknownNameError
from regraft.registry.endpoint_table import Before, EndpointTable, Route, Tried
from regraft.serving.pool import VISIT_SECONDS, Failure, Pool


class Opening(Pool):
    """A pool whose versions are made up; those in `broken` cannot be opened."""

    broken: frozenset[str] = frozenset()

    def _open(self, route: Route) -> Any:
        if route.manifest in self.broken:
            raise ValueError("damaged")
        return SimpleNamespace(name=route.name, version=route.version)


def pool(directory: Path) -> Opening:
    return Opening(directory, SimpleNamespace())  # type: ignore[arg-type]


def write(directory: Path, revision: int, *routes: tuple[str, int, str]) -> None:
    EndpointTable(revision, tuple(Route(*route) for route in routes)).write(directory)


def test_an_empty_home_is_ready_and_knows_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        served = pool(tmp_path)
        assert not served.ready
        await served.refresh()
        assert served.ready
        with pytest.raises(UnknownNameError):
            served.find("tweets")

    asyncio.run(scenario())


def test_a_new_version_takes_the_place_of_the_old_and_a_removed_name_goes(tmp_path: Path) -> None:
    async def scenario() -> None:
        served = pool(tmp_path)
        write(tmp_path, 1, ("a", 1, "m1"), ("b", 1, "m1"))
        await served.refresh()
        write(tmp_path, 2, ("a", 2, "m2"))
        await served.refresh()
        assert served.find("a").stable.version == 2
        assert "b" not in served.served

    asyncio.run(scenario())


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_and_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        served = pool(tmp_path)
        served.broken = frozenset({"bad"})
        write(tmp_path, 1, ("a", 1, "good"))
        await served.refresh()
        write(tmp_path, 2, ("a", 2, "bad"), ("b", 1, "bad"))
        await served.refresh()
        assert served.find("a").stable.version == 1
        assert not served.ready
        assert set(served.failures) == {("a", 2), ("b", 1)}
        with pytest.raises(NotReadyError, match="could not be loaded"):
            served.find("b")

    asyncio.run(scenario())


def test_a_new_replica_answers_with_the_version_before_one_that_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        served = pool(tmp_path)
        served.broken = frozenset({"bad", "worse"})
        good, worse = Before(1, "good"), Before(1, "worse")
        routes = (Route("a", 2, "bad", before=good), Route("b", 2, "bad", before=worse))
        EndpointTable(1, routes).write(tmp_path)
        await served.refresh()
        assert served.find("a").stable.version == 1
        assert served.failure("a") == Failure(Route("a", 2, "bad"), ANY, ANY)
        with pytest.raises(NotReadyError, match="version 2 could not be loaded"):
            served.find("b")
        served.broken = frozenset()
        monkeypatch.setattr("regraft.serving.pool.time.monotonic", lambda: 1e12)
        await served.refresh()
        assert [served.find(name).stable.version for name in "ab"] == [2, 2]
        assert served.failures.keys() <= {("b", 1)}

    asyncio.run(scenario())


def test_a_table_that_cannot_be_understood_changes_nothing_and_stops_nobody(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        served = pool(tmp_path)
        write(tmp_path, 1, ("a", 1, "m1"))
        await served.refresh_safely()
        for revision, text in ((2, "{"), (3, '{"revision": 3, "endpoints": [{"new": 1}]}')):
            (tmp_path / f"{revision:012d}.json").write_text(text)
            await served.refresh_safely()
        assert served.find("a").stable.version == 1
        write(tmp_path, 4, ("a", 2, "m2"))
        await served.refresh_safely()
        assert served.find("a").stable.version == 2

    asyncio.run(scenario())


def test_a_name_published_a_moment_ago_is_waited_for(tmp_path: Path) -> None:
    async def scenario() -> int:
        served = pool(tmp_path)
        following = asyncio.create_task(served.follow(60))
        await asyncio.sleep(0.05)
        write(tmp_path, 1, ("new", 3, "m1"))
        found = await served.waited_for("new")
        following.cancel()
        return int(found.stable.version)

    assert asyncio.run(scenario()) == 3


def test_an_unknown_name_is_not_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        served = pool(tmp_path)
        write(tmp_path, 1, ("a", 1, "m1"))
        await served.refresh()
        with pytest.raises(UnknownNameError):
            await asyncio.wait_for(served.waited_for("nope"), 1)
        with pytest.raises(UnknownNameError, match="Unknown version '7' of 'a'"):
            (await served.waited_for("a")).named("7")

    asyncio.run(scenario())


def test_a_name_that_the_newest_table_lacks_too_is_neither_waited_for_nor_kept(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        served = pool(tmp_path)
        write(tmp_path, 1, ("a", 1, "m1"))
        await served.refresh()
        write(tmp_path, 2, ("a", 1, "m1"), ("b", 1, "m1"))
        with pytest.raises(UnknownNameError):
            await asyncio.wait_for(served.waited_for("nope"), 1)
        assert not served.visited

    asyncio.run(scenario())


def test_a_version_that_is_tried_is_loaded_beside_and_goes_when_it_is_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        served = pool(tmp_path)
        served.broken = frozenset({"bad"})
        for revision, tried in enumerate(("m2", "bad", None), 1):
            beside = Tried(revision + 1, tried, "canary", 0.5) if tried else None
            EndpointTable(revision, (Route("a", 1, "m1", beside),)).write(tmp_path)
            await served.refresh()
            assert served.find("a").versions == (["1", "2"] if tried == "m2" else ["1"])
            assert served.ready
            assert bool(served.failures) == (tried == "bad")

    asyncio.run(scenario())


def test_a_dedicated_endpoint_is_left_to_its_own_replicas(tmp_path: Path) -> None:
    async def scenario() -> None:
        shared, own = pool(tmp_path), Opening(tmp_path, SimpleNamespace(), only="a")  # type: ignore[arg-type]
        routes = (Route("a", 1, "m1", dedicated=True), Route("b", 1, "m1"))
        EndpointTable(1, routes).write(tmp_path)
        for one, names in ((shared, {"b"}), (own, {"a"})):
            await one.refresh()
            assert one.served.keys() == names
            assert one.ready

    asyncio.run(scenario())


def test_who_still_asks_the_pool_for_a_dedicated_endpoint_is_answered(tmp_path: Path) -> None:
    async def scenario() -> None:
        shared = pool(tmp_path)
        EndpointTable(1, (Route("a", 1, "m1"),)).write(tmp_path)
        await shared.refresh()
        EndpointTable(2, (Route("a", 1, "m1", dedicated=True),)).write(tmp_path)
        await shared.refresh()
        assert shared.find("a").stable.version == 1
        shared.visited["a"] -= VISIT_SECONDS
        await shared.refresh()
        assert not shared.served
        following = asyncio.create_task(shared.follow(60))
        assert (await shared.waited_for("a")).stable.version == 1
        following.cancel()

    asyncio.run(scenario())
