"""One worker of Ray Train: the loop, with device, ranks and collectives from Ray's context."""

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from ray import train
from ray.train.torch import get_device, prepare_model

from regraft.contract import Array
from regraft.domain import JSON
from regraft.plugins import Plugins
from regraft.threads import TRAINING
from regraft.training.checkpoints import Checkpoints
from regraft.training.groups import note_group
from regraft.training.loop import Loop, Part, Surroundings

REPORT_SECONDS = 0.3


class Reporter:
    """Rank 0's line to the mailbox, used at most every REPORT_SECONDS."""

    def __init__(self, mailbox: Any, rank: int) -> None:
        self.mailbox = mailbox
        self.rank = rank
        self.last = 0.0
        self.events: list[tuple[str, JSON]] = []
        self.stop = False

    def report(self, kind: str, data: JSON) -> None:
        if self.rank:
            return
        if kind == "step" and self.events and self.events[-1][0] == "step":
            self.events.pop()
        self.events.append((kind, data))
        if kind != "step":
            self._send()

    def cancelled(self) -> bool:
        if self.rank == 0 and time.monotonic() - self.last > REPORT_SECONDS:
            self._send()
        return self.stop

    def _send(self) -> None:
        self.stop = ray.get(self.mailbox.put.remote(self.events))
        self.events, self.last = [], time.monotonic()


def train_worker(config: dict[str, Any]) -> None:
    """What each worker runs; it goes on from the last checkpoint of the run, if there is one."""
    context = train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    torch.set_num_threads(config["threads"])
    os.nice(TRAINING)
    if rank == 0:
        note_group(Path(config["directory"]))
    reporter = Reporter(config["mailbox"], rank)
    reporter.report("worker", {"pid": os.getpid(), "workers": world, "device": str(get_device())})
    ingredients, clock = config["recipe"].open(Plugins.load()), config["clock"]

    def heard(kind: str, data: JSON) -> None:
        clock.heard(kind, data)
        reporter.report(kind, data)

    around = Surroundings(
        rank=rank,
        world=world,
        device=get_device(),
        wrap=prepare_model,
        gather=_gather if world > 1 else lambda array: [array],
        any_rank=_any_rank if world > 1 else lambda flag: flag,
        report=heard,
        cancelled=reporter.cancelled,
        expired=clock.expired,
    )
    checkpoints = Checkpoints(Path(config["directory"]), f"attempt-{time.time_ns()}")
    loop = Loop(ingredients.model(), ingredients.task, ingredients.strategy, checkpoints, around)
    parts = ray.get(config["parts"])
    rows, judges = (Part(*parts[name]) for name in ("train", "validation"))
    outcome = loop.run(rows, judges, config["epochs"], ingredients.start is not None)
    if rank == 0:
        ray.get(config["mailbox"].finish.remote(asdict(outcome)))
    train.report({"epochs": outcome.epochs})


def _gather(mine: Array) -> list[Array]:
    """Every rank's array; they may differ in length."""
    shares: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(shares, mine)
    return [np.asarray(share) for share in shares]


def _any_rank(flag: bool) -> bool:
    """Whether any rank says so; all ranks get one answer, so that none waits for another."""
    voice = torch.tensor([float(flag)], device=get_device())
    torch.distributed.all_reduce(voice, op=torch.distributed.ReduceOp.MAX)
    return bool(voice.item())
