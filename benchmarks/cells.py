"""Cells of the tables on transfer: data with so many labelled rows of each class, and a seed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from regraft.adaptations.context import Context
from regraft.adaptations.request import check_request
from regraft.adaptations.work import Work, begin
from regraft.cli.demo_data import sentiment, stamps, tones
from regraft.data.load import load_dataset
from regraft.domain import AdaptationSpec, DataSet, Examples
from regraft.plugins import Plugins
from regraft.registry.store import Registry
from regraft.settings import Settings

MOST_TEST = 500
LEAST_VALIDATION = 4
SHARE = 0.25
"""Validation rows a class, as a share of the training rows a class."""


@dataclass(frozen=True)
class Known:
    """What one of the data sets is."""

    file: Any
    spec: dict[str, Any]


DATA = {
    "tweets": Known(lambda cache: sentiment(cache, "tweets"), {"source": "minilm-l6"}),
    "movies": Known(lambda cache: sentiment(cache, "movies"), {"source": "minilm-l6"}),
    "products": Known(lambda cache: sentiment(cache, "products"), {"source": "minilm-l6"}),
    "stamps": Known(
        stamps,
        {
            "source": "efficientnet-lite0",
            "task": "image-classification",
            "split": (0.6, 0.05, 0.35),
        },
    ),
    "tones": Known(
        tones,
        {
            "source": "whisper-tiny-en",
            "task": "audio-classification",
            "group_column": "syllable",
            "split": (0.6, 0.05, 0.35),
        },
    ),
}


@dataclass(frozen=True)
class Bench:
    """A home, with plugins and settings, in which trials are run."""

    registry: Registry
    plugins: Plugins
    settings: Settings
    cache: Path

    @classmethod
    def at(cls, home: Path, threads: int | None = None) -> "Bench":
        settings = Settings(home=home, threads=threads, scratch_seconds=0)
        return cls(Registry(settings.resolved_home), Plugins.load(), settings, home / "cache")

    def path(self, name: str) -> str:
        return str(DATA[name].file(self.cache))

    @contextmanager
    def work(self, spec: AdaptationSpec, data: DataSet) -> Iterator[Work]:
        """The request with this data, in progress."""
        adaptation, _ = self.registry.runs.submit(spec)
        context = Context(adaptation, self.registry, self.plugins, self.settings)
        request = check_request(spec, self.plugins)
        yield begin(request, data, context)


def spec_of(bench: Bench, name: str, seed: int, **more: Any) -> AdaptationSpec:
    given = {"name": name, "data": bench.path(name), "seed": seed, **DATA[name].spec, **more}
    return AdaptationSpec(**given)


def cell(bench: Bench, name: str, rows: int, seed: int) -> DataSet | None:
    """So many rows of each class to train on, a quarter as many to validate, all others of the test
    part, at most 500; None where the data has fewer."""
    spec = spec_of(bench, name, seed)
    data = load_dataset(spec, bench.plugins.task(spec.task), bench.settings)
    rng = np.random.default_rng(seed)
    pool = data.train.joined(data.validation)
    more = max(LEAST_VALIDATION, round(SHARE * rows))
    train, validation = _balanced(pool, (rows, more), rng)
    if train is None or validation is None:
        return None
    test = data.test.take(rng.permutation(len(data.test))[:MOST_TEST])
    return replace(data, train=train, validation=validation, test=test)


def _balanced(
    pool: Examples, counts: tuple[int, int], rng: np.random.Generator
) -> tuple[Examples | None, Examples | None]:
    """Rows a class for each part; as far as the data goes, but then for all classes alike."""
    labels = np.array(pool.labels)
    of = [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    if min(map(len, of)) < sum(counts):
        return None, None
    first, both = counts[0], sum(counts)
    parts = [np.concatenate([rows[a:b] for rows in of]) for a, b in ((0, first), (first, both))]
    train, validation = (pool.take(rng.permutation(part)) for part in parts)
    return train, validation
