"""How our threads wait for each other, and how our processes yield to those that serve."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

SPINS = 10_000
"""Turns of a thread's idle loop before it sleeps. By default libgomp takes more than a hundred
times as many, which on processors that others want too keeps them from the very thread that is
waited for: a step of MiniLM beside a busy process took 4.7 s, with this .95 s; alone .34 and .31 s
(2 cores).
"""

ADAPTING, TRAINING = 5, 10
"""How much nicer to the processor than serving an adaptation is, and what trains for it."""


def yield_soon() -> None:
    """Let waiting threads sleep soon, unless the user has said otherwise. To be called before torch
    is imported: libgomp reads it once."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """So many threads for each of torch's operations in this process."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
