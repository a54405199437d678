"""What ends a training early, for a strategy of each kind, on a server of its own.

`python -m benchmarks.faults`: a worker is killed after the first epoch, a run is cancelled then,
and a run has a budget that ends it. Each line tells what came of it. Last a worker is killed when a
tenth, a half and nine tenths of the epochs are trained, and the outcome compared with that of the
same run without it.
"""

import argparse
import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.server import served
from regraft.cli.demo_data import tweets
from regraft.client import Client
from regraft.domain import AdaptationSpec
from regraft.errors import CancelledRunError

STRATEGIES = {
    "contrastive": "feature",
    "full": "parameter",
    "layer-drop": "structure",
    "mcc": "cross-domain",
}
BUDGET = 60
JSON = dict[str, Any]


@dataclass
class Story:
    """What a run told; `at_epoch` is called once, at the end of this epoch, counted from 1."""

    at_epoch: Callable[["Story"], None] = lambda story: None
    epoch: int = 1
    told: list[tuple[str, JSON]] = field(default_factory=list)

    def hear(self, kind: str, data: JSON) -> None:
        self.told.append((kind, data))
        if kind == "epoch" and len(self.all_of("epoch")) == self.epoch:
            self.at_epoch(self)

    def all_of(self, kind: str) -> list[JSON]:
        return [data for told_kind, data in self.told if told_kind == kind]


def kill_a_worker(story: Story) -> None:
    os.kill(story.all_of("worker")[0]["pid"], signal.SIGKILL)


def killed(client: Client, spec: AdaptationSpec) -> str:
    story = Story(kill_a_worker)
    result = client.adapt(spec, False, story.hear)
    epochs = [data["epoch"] for data in story.all_of("epoch")]
    assert len(story.all_of("worker")) == 2
    assert epochs == sorted(set(epochs)), "no epoch was trained twice"
    return f"version {result['version']} after epochs {epochs}, none of them twice"


def resumed(client: Client, spec: AdaptationSpec) -> str:
    """Killed early, in the middle and late: the same figures as if nothing had happened."""
    epochs = int(spec.options["epochs"])
    wanted = client.adapt(spec, False, Story().hear)["metrics"]
    found = {}
    for share in (0.1, 0.5, 0.9):
        story = Story(kill_a_worker, max(1, round(share * epochs)))
        metrics = client.adapt(spec, False, story.hear)["metrics"]
        assert len(story.all_of("worker")) == 2, "it was killed"
        trained = [data["epoch"] for data in story.all_of("epoch")]
        again = len(trained) - len(set(trained))
        assert again <= 1
        found[f"{share:.0%}"] = (metrics == wanted, again)
    assert all(same for same, _ in found.values()), (found, wanted)
    told = ", ".join(f"at {at}: {again} epochs again" for at, (_, again) in found.items())
    return f"{epochs} epochs, the same metrics each time; {told}"


def cancelled(client: Client, spec: AdaptationSpec) -> str:
    pressed = 0.0

    def interrupt(story: Story) -> None:
        nonlocal pressed
        pressed = time.monotonic()
        raise KeyboardInterrupt

    before = len(client.listing("models"))
    try:
        client.adapt(spec, False, Story(interrupt).hear)
    except CancelledRunError as error:
        ended = time.monotonic() - pressed
        if "cancelled" not in str(error) or len(client.listing("models")) > before:
            raise AssertionError(str(error)) from error
        return f"ended {ended:.1f} s after it was asked, nothing published"
    raise AssertionError("It was not cancelled.")


def expired(client: Client, spec: AdaptationSpec) -> str:
    story, start = Story(), time.monotonic()
    result = client.adapt(spec, False, story.hear)
    assert len(story.all_of("expired")) == 1
    train = result["seconds"]["train"]
    return f"trained {train:.1f} s, whole {time.monotonic() - start:.1f} s of {BUDGET} s of budget"


FAULTS: dict[str, tuple[Callable[[Client, AdaptationSpec], str], JSON]] = {
    "killed": (killed, {"options": {"epochs": 3, "patience": 3, "least_steps": 0}}),
    "cancelled": (cancelled, {"options": {"epochs": 90, "patience": 90}}),
    "budget": (expired, {"options": {"epochs": 90, "patience": 90}, "budget": BUDGET}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="minilm-l6")
    parser.add_argument("--strategies", nargs="*", default=list(STRATEGIES))
    parser.add_argument("--rows", type=int, default=200)
    args = parser.parse_args()
    os.environ["REGRAFT_SCRATCH_SECONDS"] = "0"  # the server's: a baseline that takes as long again
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        data = tweets(Path(scratch))
        unlabelled = Path(scratch) / "unlabelled.csv"
        header, *lines = data.read_text().splitlines(keepends=True)
        data = Path(scratch) / "labelled.csv"
        data.write_text("".join([header, *lines[: args.rows]]))
        unlabelled.write_text("".join([header, *lines[args.rows : 2 * args.rows]]))
        with served(home) as url, Client(url) as client:
            for strategy in args.strategies:
                for fault, (check, more) in FAULTS.items():
                    given = {"name": f"{strategy}-{fault}", "strategy": strategy, **more}
                    if STRATEGIES[strategy] == "cross-domain":
                        given["unlabelled"] = str(unlabelled)
                    spec = AdaptationSpec(
                        data=str(data),
                        source=args.source,
                        force=True,
                        **given,
                    )
                    found = check(client, spec)
                    print(f"{STRATEGIES[strategy]:13} {strategy:12} {fault:10} {found}", flush=True)
            options = {"epochs": 10, "patience": 10, "least_steps": 0}
            spec = AdaptationSpec(
                data=str(data),
                source=args.source,
                name="resumed",
                strategy="full",
                options=options,
                force=True,
            )
            print(
                f"{'parameter':13} {'full':12} {'resumed':10} {resumed(client, spec)}", flush=True
            )


if __name__ == "__main__":
    main()
