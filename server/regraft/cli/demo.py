"""`regraft demo`: the main job on real data, from the file to the answering endpoint."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from regraft.adaptations.request import parse_spec
from regraft.cli.backend import open_backend
from regraft.cli.demo_data import stamps, tones, tweets
from regraft.cli.options import settings_from
from regraft.cli.output import print_json, reserve_stdout, stderr, stdout
from regraft.cli.predict import print_predictions
from regraft.cli.progress import ProgressBar
from regraft.cli.report import print_result
from regraft.client import Client
from regraft.domain import JSON, AdaptationSpec
from regraft.registry.home import Home
from regraft.settings import Settings


@dataclass(frozen=True)
class Demo:
    """What one demo adapts to what; `asked` gives the inputs of its endpoint, and their names."""

    data: Callable[[Path], Path]
    spec: JSON
    asked: Callable[[Path], dict[str, Any]]


def _texts(data: Path) -> dict[str, Any]:
    texts = (
        "What a wonderful morning, the kids made me breakfast!",
        "My flight is late again and nobody tells us anything.",
    )
    return {text: text for text in texts}


def _two_of(data: Path) -> dict[str, Any]:
    """The contents of two files."""
    files = sorted(path for path in data.parent.rglob("*") if path.suffix in (".png", ".ogg"))
    return {path.name: path.read_bytes() for path in (files[0], files[-1])}


DEMOS = {
    "text": Demo(
        tweets,
        {
            "name": "demo-tweets",
            "source": "minilm-l6",
            "limit_rows": 1000,
            "split": (0.4, 0.1, 0.5),
        },
        _texts,
    ),
    "image": Demo(
        stamps,
        {
            "name": "demo-stamps",
            "source": "efficientnet-lite0",
            "task": "image-classification",
            "split": (0.6, 0.05, 0.35),
        },
        lambda data: _two_of(data / "any"),
    ),
    "speech": Demo(
        tones,
        {
            "name": "demo-tones",
            "source": "whisper-tiny-en",
            "task": "audio-classification",
            "group_column": "syllable",
            "limit_rows": 900,
            "split": (0.45, 0.05, 0.5),
        },
        _two_of,
    ),
}


@click.command()
@click.argument("kind", type=click.Choice(list(DEMOS)), default="text")
@click.option("--exit", "leave", is_flag=True, help="Show the answer and stop.")
@click.option("--home", envvar="REGRAFT_HOME", help="The home directory [~/.regraft].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def demo(kind: str, leave: bool, home: str | None, as_json: bool) -> None:
    """Adapt a model to real tweets, drawings or syllables, say how much that helped, and answer."""
    from regraft.reconcile.signals import wait_for_signal

    reserve_stdout()
    settings, console, chosen = settings_from(home=home), stderr(), DEMOS[kind]
    data = chosen.data(settings.resolved_home / "cache")
    asked, name = chosen.asked(data), chosen.spec["name"]
    result = _adapt(settings, parse_spec({**chosen.spec, "data": str(data)}))
    if not as_json:
        print_result(result)
    with suppress(KeyboardInterrupt), _server(settings) as url, Client(url) as client:
        answer = client.predict(name, list(asked.values()))
        endpoint = f"{url}/v2/models/{name}"
        if as_json:
            print_json({**result, "endpoint": endpoint, "answer": answer})
        else:
            print_predictions(list(asked), answer)
            stdout().print(f"the endpoint answers at {endpoint}/predict", soft_wrap=True)
        if not leave:
            console.print("Ctrl-C ends it", style="dim")
            wait_for_signal()


def _adapt(settings: Settings, spec: AdaptationSpec) -> JSON:
    with open_backend(settings) as backend, ProgressBar() as bar:
        return backend.adapt(spec, False, bar.show)


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
    with running(Settings(**chosen), ControlPlane, stderr().print) as at:
        yield at.url
