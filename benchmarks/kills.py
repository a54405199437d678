"""A server that is killed again and again while it adapts: what became of each adaptation.

`python -m benchmarks.kills --kills 20`: adaptations of three strategies are submitted to a server
of which a process that adapts gets SIGKILL at a random time, then all of it, then to the next one
on the same home, and so on; the last may finish. None may be lost, end twice, or give two versions;
each that failed says why.
"""

import argparse
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.processes import instance_processes
from benchmarks.server import running
from regraft.cli.demo_data import tweets
from regraft.client import Client, RemoteError, UnreachableError
from regraft.domain import AdaptationSpec, State

STRATEGIES = ("linear-probe", "last-k", "bitfit")
WORKERS = ("Runner", "TrainWorker", "TrainController")
"""In the names of processes that adapt."""
SECONDS = 30.0
"""The longest that a server lives."""
JSON = dict[str, Any]


def spec(data: Path, number: int) -> AdaptationSpec:
    strategy = STRATEGIES[number % len(STRATEGIES)]
    options = {} if strategy == "linear-probe" else {"epochs": 4, "patience": 4}
    return AdaptationSpec(
        name=f"model-{number % 4}",
        data=str(data),
        source="minilm-l6",
        strategy=strategy,
        options=options,
        force=True,
        seed=number,
    )


def kill_one(home: Path, rng: random.Random) -> str:
    """Kill one of the processes that adapt; which."""
    found = [p for p in instance_processes(home) if any(n in p.name() for n in WORKERS)]
    if not found:
        return "nobody who adapts"
    chosen = rng.choice(found)
    name = chosen.name()
    chosen.kill()
    return name


def submit(client: Client, wanted: AdaptationSpec) -> str | None:
    """The id; None where the server is not there to say."""
    try:
        return str(client.adapt(wanted, True, lambda kind, data: None)["id"])
    except (RemoteError, UnreachableError):
        return None


def finished(client: Client, ids: list[str], seconds: float) -> list[JSON]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = [client.adaptation(identifier) for identifier in ids]
        if all(State(one["state"]).final for one in found):
            return found
        time.sleep(1)
    raise AssertionError(f"not at an end: {Counter(one['state'] for one in found)}")


def report(client: Client, found: list[JSON], starts: int) -> None:
    versions = [row for row in client.listing("models") if row.get("adaptation")]
    by_run = Counter(row["adaptation"] for row in versions)
    succeeded = {one["id"] for one in found if one["state"] == State.SUCCEEDED}
    interrupted = Counter(one["interrupted"] for one in found)
    print(f"{starts} servers; {len(found)} adaptations, times interrupted: {dict(interrupted)}")
    print(f"  {len(succeeded)} succeeded, {len(versions)} versions")
    for one in found:
        if one["state"] != State.SUCCEEDED:
            print(f"  {one['id']} {one['state']}: {one['reason']}")
            assert one["reason"]
    assert by_run.keys() == succeeded
    assert set(by_run.values()) <= {1}, "an adaptation gave two versions"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    os.environ["REGRAFT_SCRATCH_SECONDS"] = (
        "0"  # of the servers: it would double what training takes
    )
    ids: list[str] = []
    with tempfile.TemporaryDirectory(prefix="rg") as scratch:
        home, data = Path(scratch) / "home", Path(scratch) / "few.csv"
        lines = tweets(Path(scratch)).read_text().splitlines(keepends=True)
        data.write_text("".join(lines[:201]))
        for number in range(given.kills):
            with running(home, "--replicas", "1") as (process, url), Client(url) as client:
                made = submit(client, spec(data, number))
                ids += [made] if made else []
                time.sleep(rng.uniform(0, SECONDS / 2))
                worker = kill_one(home, rng)
                time.sleep(rng.uniform(0, SECONDS / 2))
                process.kill()
            print(f"kill {number + 1}, before it {worker}", flush=True)
        with running(home, "--replicas", "1") as (_, url), Client(url) as client:
            report(client, finished(client, ids, 900), given.kills + 1)


if __name__ == "__main__":
    main()
