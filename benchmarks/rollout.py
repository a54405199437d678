"""Rollouts under load, and what each costs callers: `python -m benchmarks.rollout`.

Twenty requests a second from three clients while an endpoint is promoted, rolled back, given a
canary, placed on replicas of its own, scaled from one to three and back to none, and loses a
replica to SIGKILL. Every line counts answers and failures; the last tells what a shadow adds.
"""

import argparse
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import httpx
import psutil

from benchmarks.server import REGRAFT, environment, served
from benchmarks.serving import KINDS, WINDOW, Asked, cache
from benchmarks.steady import NAME, under_load
from regraft.client import Client
from regraft.domain import JSON, Placement

KILLS = 4
LOADING = 12.0
"""Seconds after which a replica whose process has begun surely answers: one must be left."""


def done(_: object) -> None:
    """There is nothing more to tell of it."""


def canary(client: Client) -> None:
    client.try_out(NAME, 1, "canary", 0.1, force=True)
    time.sleep(20)


def own_replicas() -> list[psutil.Process]:
    """Those of the endpoint alone."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if f"ServeReplica:endpoint-{NAME}" in " ".join(process.info["cmdline"] or []):
            found.append(process)
    return found


def until(condition: Callable[[], object], seconds: float) -> float:
    """How long it took to come true."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.1)
    return time.monotonic() - begin


def place(client: Client, **wanted: object) -> str:
    """Until the endpoint's own replicas answer, or the pool again."""
    placement = Placement.model_validate(wanted)
    client.place(NAME, placement)

    def settled() -> bool:
        return bool(client.endpoint(NAME)["placement"]["placed"]) == placement.dedicated

    seconds = until(settled, 120)
    if not placement.dedicated:
        until(lambda: not own_replicas(), 60)
    return f"placed after {seconds:.1f} s"


def scale(url: str, connections: int) -> str:
    """Many at a time until there are three replicas, then few until there is one again."""
    body = {"inputs": ["what a day and what a night this has been"] * 16}
    address = f"{url}/v2/models/{NAME}/predict"
    stop, statuses = threading.Event(), []

    def work() -> None:
        while not stop.is_set():
            statuses.append(httpx.post(address, json=body, timeout=60).status_code)

    with ThreadPoolExecutor(connections) as pool:
        for _ in range(connections):
            pool.submit(work)
        try:
            up = until(lambda: len(own_replicas()) == 3, 120)
        finally:
            stop.set()
    down = until(lambda: len(own_replicas()) == 1, 120)
    failed = sum(status != 200 for status in statuses)
    return f"3 replicas after {up:.0f} s, 1 after {down:.0f} s, {failed} of {len(statuses)} failed"


def two_replicas(client: Client, **wanted: object) -> None:
    place(client, **wanted, min_replicas=2, max_replicas=2)
    until(lambda: len(own_replicas()) == 2, 60)
    time.sleep(LOADING)


def kill(times: int) -> str:
    """One of the two, and again once there is another."""
    seconds = []
    for _ in range(times):
        before = own_replicas()
        before[0].kill()
        seconds.append(
            until(
                lambda dead=before[0]: len(own_replicas()) == 2 and dead not in own_replicas(), 60
            )
        )
        time.sleep(LOADING)
    return f"another after {median(seconds):.1f} s"


def to_none_and_back(client: Client, url: str) -> str:
    place(client, placement="dedicated", min_replicas=0, cpus=0.5, idle_seconds=2)
    gone = until(lambda: not own_replicas(), 90)
    begin = time.monotonic()
    address, asked = f"{url}/v2/models/{NAME}/predict", {"inputs": ["a"]}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: httpx.post(address, json=asked, timeout=60), range(8)))
    seconds, failed = time.monotonic() - begin, sum(a.status_code != 200 for a in answers)
    return f"none after {gone:.0f} s; 8 requests then answered in {seconds:.1f} s, {failed} failed"


def shadow(client: Client, url: str, asked: Asked, rounds: int) -> str:
    """p50 at one connection with and without a shadow, window by window."""
    ratios = []
    for _ in range(rounds):
        client.roll_back(NAME) if client.endpoint(NAME)["trial"] else None
        time.sleep(1.5)
        without = asked.http(url, 1, WINDOW)["p50_ms"]
        client.try_out(NAME, 1, "shadow", 0.1)
        time.sleep(1.5)
        ratios.append(asked.http(url, 1, WINDOW)["p50_ms"] / without)
    time.sleep(2)
    seen: JSON = next(row for row in client.live(NAME) if row["version"] == 1)["shadow"]
    client.roll_back(NAME)
    return (
        f"p50 {median(ratios):.2f} times that without ({min(ratios):.2f} to {max(ratios):.2f}), "
        f"{seen['copies']} copies, {seen['agreement']:.1%} agreed"
    )


def publish(home: Path) -> None:
    """Two versions, of which the second answers."""
    env = environment(home, Path(tempfile.gettempdir()) / "rg-none")
    data = str(KINDS["text"].data(cache()))
    for rows in ("400", "600"):
        command = [*REGRAFT, "adapt", data, "--name", NAME, "--source", "minilm-l6"]
        subprocess.run([*command, "--limit-rows", rows, "--force"], env=env, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="With two versions of an endpoint `tweets`.")
    parser.add_argument("--rounds", type=int, default=12)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rg") as folder:
        home = given.home or Path(folder) / "home"
        if given.home is None:
            publish(home)
        with served(home) as url, Client(url) as client:
            run(client, url, Asked(home, KINDS["text"], KINDS["text"].lines(cache())), given.rounds)


def run(client: Client, url: str, asked: Asked, rounds: int) -> None:
    httpx.post(f"{url}/v2/models/{NAME}/predict", json={"inputs": ["a"]}, timeout=60)
    under_load(url, "roll back", lambda: done(client.roll_back(NAME)))
    under_load(url, "promote", lambda: done(client.promote(NAME, 2, force=True)))
    under_load(url, "canary 10 %", lambda: canary(client))
    under_load(url, "end of the canary", lambda: done(client.roll_back(NAME)))
    one = {"placement": "dedicated", "cpus": 0.5, "target_ongoing": 2, "idle_seconds": 5}
    under_load(url, "own replicas", lambda: place(client, **one, max_replicas=3))
    under_load(url, "1 → 3 → 1 replicas", lambda: scale(url, 12))
    under_load(url, "two replicas", lambda: two_replicas(client, **one))
    under_load(url, f"SIGKILL of one of them, {KILLS} times", lambda: kill(KILLS))
    print(f"{'no replica, and back':34} {to_none_and_back(client, url)}", flush=True)
    under_load(url, "back to the pool", lambda: place(client, placement="shared"))
    print(f"{'shadow of 10 %':34} {shadow(client, url, asked, rounds)}", flush=True)


if __name__ == "__main__":
    main()
