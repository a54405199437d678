"""A steady rate of requests from several clients, whatever happens meanwhile."""

import threading
import time
from collections.abc import Callable

import httpx

NAME = "tweets"
RATE = 20.0
CLIENTS = 3


class Load:
    """Requests at a steady rate from clients that each open a connection a request."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = f"{url}/v2/models/{NAME}/predict"
        self.headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.stopped = threading.Event()
        self.versions: list[str] = []
        self.seconds: list[float] = []
        self.failures: list[str] = []
        self.threads = [threading.Thread(target=self._work) for _ in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def _work(self) -> None:
        pause = CLIENTS / RATE
        while not self.stopped.is_set():
            begin = time.monotonic()
            try:
                answer = httpx.post(
                    self.url, json={"inputs": ["what a day"]}, headers=self.headers, timeout=60
                )
            except httpx.HTTPError as error:
                self.failures.append(repr(error))
            else:
                self._count(answer)
            self.seconds.append(time.monotonic() - begin)
            self.stopped.wait(max(0.0, pause - (time.monotonic() - begin)))

    def _count(self, answer: httpx.Response) -> None:
        if answer.status_code == 200:
            self.versions.append(answer.json()["version"])
        else:
            self.failures.append(f"{answer.status_code} {answer.text[:100]}")


def under_load(url: str, what: str, change: Callable[[], object], key: str | None = None) -> int:
    """One change in the midst of load, and what callers saw of it; how many requests failed."""
    with Load(url, key) as load:
        time.sleep(2)
        begin = time.monotonic()
        told = change()
        took = time.monotonic() - begin
        time.sleep(4)
    shares = {v: load.versions.count(v) / len(load.versions) for v in sorted(set(load.versions))}
    answered = ", ".join(f"version {version} {share:.0%}" for version, share in shares.items())
    print(
        f"{what:34} {len(load.versions):5} answered ({answered}), {len(load.failures)} failed, "
        f"slowest {max(load.seconds):.2f} s, {took:.1f} s{f': {told}' if told else ''}",
        flush=True,
    )
    for failure in sorted(set(load.failures)):
        print(f"    {failure}")
    return len(load.failures)
