"""`regraft demo`: the main job on real data, from the file to the answering endpoint."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from regraft.adaptations.request import parse_spec
from regraft.cli.backend import open_backend
from regraft.cli.demo_data import tweets
from regraft.cli.options import settings_from
from regraft.cli.output import print_json, reserve_stdout, stderr, stdout
from regraft.cli.predict import print_predictions
from regraft.cli.progress import ProgressBar
from regraft.cli.report import print_result
from regraft.client import Client
from regraft.domain import JSON, AdaptationSpec
from regraft.registry.home import Home
from regraft.settings import Settings

NAME = "demo-tweets"
ASKED = (
    "What a wonderful morning, the kids made me breakfast!",
    "My flight is late again and nobody tells us anything.",
)


@click.command()
@click.argument("kind", type=click.Choice(["text"]), default="text")
@click.option("--exit", "leave", is_flag=True, help="Show the answer and stop.")
@click.option("--home", envvar="REGRAFT_HOME", help="The home directory [~/.regraft].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def demo(kind: str, leave: bool, home: str | None, as_json: bool) -> None:
    """Adapt MiniLM to real tweets, say how much that helped, and let the endpoint answer."""
    from regraft.reconcile.signals import wait_for_signal

    reserve_stdout()
    settings, console = settings_from(home=home), stderr()
    result = _adapt(settings)
    if not as_json:
        print_result(result)
    with suppress(KeyboardInterrupt), _server(settings) as url, Client(url) as client:
        answer = client.predict(NAME, list(ASKED))
        endpoint = f"{url}/v2/models/{NAME}"
        if as_json:
            print_json({**result, "endpoint": endpoint, "answer": answer})
        else:
            print_predictions(ASKED, answer)
            stdout().print(f"the endpoint answers at {endpoint}/predict", soft_wrap=True)
        if not leave:
            console.print("Ctrl-C ends it", style="dim")
            wait_for_signal()


def _adapt(settings: Settings) -> JSON:
    with open_backend(settings) as backend, ProgressBar() as bar:
        return backend.adapt(_spec(settings), False, bar.show)


def _spec(settings: Settings) -> AdaptationSpec:
    data = tweets(settings.resolved_home / "cache")
    values = {"name": NAME, "data": str(data), "source": "minilm-l6"}
    return parse_spec({**values, "limit_rows": 1000, "split": (0.4, 0.1, 0.5)})


@contextmanager
def _server(settings: Settings) -> Iterator[str]:
    """The server at `settings.url`, else the one that owns the home, else one for as long as this
    lasts, on a free port."""
    known = settings.url or Home(settings.resolved_home).server_url()
    if known is not None:
        yield known.rstrip("/")
        return
    from regraft.api.control_plane import ControlPlane
    from regraft.reconcile.server import running

    chosen: dict[str, Any] = {**settings.model_dump(), "port": 0}
    with running(Settings(**chosen), ControlPlane, stderr().print) as url:
        yield url
