"""How processors of nodes are shared out among workers."""

import pytest

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
