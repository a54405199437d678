"""Many adaptations at once by two projects of one server: whether all end, once, and in turn.

`python -m benchmarks.crowd --each 25`: both submit theirs at the same moment, with API keys of
their own; what is over the quota is refused and tried again. Fair is that neither project is ever
far ahead of the other while both have some left.
"""

import argparse
import os
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.server import served
from regraft.cli.demo_data import tweets
from regraft.client import Client, RemoteError
from regraft.domain import AdaptationSpec, State
from regraft.identity.new_key import NewKey
from regraft.identity.scopes import Scope
from regraft.registry.store import Registry

PROJECTS = ("red", "blue")
TOO_MANY = 429
JSON = dict[str, Any]


def submitted(client: Client, spec: AdaptationSpec) -> tuple[str, int]:
    """The id, and how often it was refused before."""
    refused = 0
    while True:
        try:
            return str(client.adapt(spec, True, lambda kind, data: None)["id"]), refused
        except RemoteError as error:
            if error.status != TOO_MANY:
                raise
            refused += 1
            time.sleep(2)


def crowd(url: str, keys: dict[str, str], data: Path, each: int) -> dict[str, list[JSON]]:
    """The adaptations of each project once all have ended."""
    clients = {project: Client(url, key=key) for project, key in keys.items()}

    def one(job: tuple[str, int]) -> tuple[str, str, int]:
        project, number = job
        spec = AdaptationSpec(
            name=f"{project}-{number % 5}",
            data=str(data),
            source="minilm-l6",
            limit_rows=100,
            seed=number,
            force=True,
        )
        return project, *submitted(clients[project], spec)

    jobs = [(project, number) for number in range(each) for project in PROJECTS]
    with ThreadPoolExecutor(len(jobs)) as pool:
        made = list(pool.map(one, jobs))
    print(f"{len(made)} submitted, refused by quota {sum(refused for *_, refused in made)} times")
    while True:
        found = {project: client.listing("adaptations") for project, client in clients.items()}
        left = [r for rows in found.values() for r in rows if not State(r["state"]).final]
        if not left:
            ids = {identifier for _, identifier, _ in made}
            assert {row["id"] for rows in found.values() for row in rows} == ids
            return found
        time.sleep(2)


def report(found: dict[str, list[JSON]], versions: list[JSON]) -> None:
    states = Counter(row["state"] for rows in found.values() for row in rows)
    by_run = Counter(row["adaptation"] for row in versions)
    succeeded = {
        row["id"] for rows in found.values() for row in rows if row["state"] == State.SUCCEEDED
    }
    print(f"  {dict(states)}; {len(versions)} versions of {len(by_run)} adaptations")
    assert by_run.keys() == succeeded
    assert set(by_run.values()) == {1}, "an adaptation gave two versions"
    ends = sorted((row["finished"], project) for project, rows in found.items() for row in rows)
    ahead = Counter({PROJECTS[0]: 0, PROJECTS[1]: 0})
    widest = 0
    for _, project in ends[: -2 * len(ends) // 10]:
        ahead[project] += 1
        widest = max(widest, abs(ahead[PROJECTS[0]] - ahead[PROJECTS[1]]))
    print(f"  one project was at most {widest} ahead of the other")
    assert widest <= 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=25)
    parser.add_argument("--most", type=int, default=20, help="of one project that wait or run")
    given = parser.parse_args()
    os.environ |= {"REGRAFT_AUTH": "true", "REGRAFT_SCRATCH_SECONDS": "0"}
    os.environ["REGRAFT_MAX_WAITING"] = str(given.most)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        registry = Registry(root / "home")
        scopes = [Scope.ADAPTATIONS_SUBMIT, Scope.ADAPTATIONS_READ, Scope.DATASETS_WRITE]
        keys = {
            project: str(
                registry.keys.create(NewKey(name="crowd", project=project, scopes=scopes))["key"]
            )
            for project in PROJECTS
        }
        begin = time.monotonic()
        with served(root / "home") as url:
            found = crowd(url, keys, tweets(root), given.each)
            versions = [version.as_dict() for version in registry.models.versions()]
        print(f"  {time.monotonic() - begin:.0f} s")
        report(found, versions)


if __name__ == "__main__":
    main()
