"""How processors of nodes are shared out among workers."""

import pytest

from regraft.settings import Settings
from regraft.training import cluster
from regraft.training.cluster import shared_out


@pytest.mark.parametrize(
    ("nodes", "workers", "free", "each"),
    [
        ([2], 1, 2, 2),
        ([0, 2, 2], 1, 4, 2),  # no worker is on two nodes
        ([0, 2, 2], 2, 4, 2),
        ([2, 6], 2, 8, 3),
        ([2, 6], 3, 8, 2),
        ([4, 4], 3, 8, 2),
        ([4], 3, 1, 1),  # others are at work: it waits
        ([1, 1], 2, 2, 1),
    ],
)
def test_each_worker_has_as_much_as_one_node_can_give_all(
    nodes: list[int], workers: int, free: int, each: int
) -> None:
    assert shared_out(nodes, workers, free) == each


def test_roles_that_no_node_has_yet_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [
        {"Alive": True, "Resources": {"serve": 1000.0, "CPU": 2.0}},
        {"Alive": False, "Resources": {"control": 1000.0}},
    ]
    monkeypatch.setattr(cluster.ray, "nodes", lambda: nodes)
    assert cluster.missing_roles(Settings(roles=True)) == ["control"]
    assert cluster.missing_roles(Settings()) == []
