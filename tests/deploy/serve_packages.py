"""The packages of the image that only answers: what the project depends on, without what only
adaptations import, and what those depend on in turn."""

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from unittest import mock

from packaging.requirements import Requirement

from tests.deploy.chart import DEPLOY

LIST = DEPLOY / "docker/serve.txt"
ROOT = DEPLOY.parent
ADAPTING = frozenset({"torch", "transformers", "peft", "onnxscript", "scipy", "scikit-learn"})
# Of tokenizers, which asks it only for what is on a hub.
UNUSED = frozenset({"huggingface-hub"})
EXTRA = "traces"


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(path: Path = ROOT / "constraints.txt") -> dict[str, str]:
    pairs = (line.split("==") for line in path.read_text().splitlines() if "==" in line)
    return {canonical(name): version for name, version in pairs}


def roots() -> Iterator[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in (*project["dependencies"], *project["optional-dependencies"][EXTRA]):
        found = Requirement(text)
        if found.name in ADAPTING or (found.marker and not found.marker.evaluate()):
            continue
        if found.name == "ray":
            found.extras = {"serve"}
        yield found


def closure(todo: Iterable[Requirement]) -> set[str]:
    """By what the packages say that are installed here."""
    rest, seen = list(todo), set()
    while rest:
        one = rest.pop()
        key = (canonical(one.name), frozenset(one.extras))
        if key in seen or key[0] in UNUSED:
            continue
        seen.add(key)
        for text in requires(one.name) or ():
            further = Requirement(text)
            marker = further.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in ("", *one.extras)):
                rest.append(further)
    return {name for name, _ in seen}


def text() -> str:
    """Lines of `name==version`, without CUDA."""
    versions, names = pinned(), closure(roots())
    lines = sorted(f"{name}=={versions[name]}" for name in names)
    return "".join(f"{line}\n" for line in lines).replace("onnxruntime-gpu==", "onnxruntime==")


def missing_modules() -> list[str]:
    """The modules that are installed here and are not in the image."""
    listed = {line.split("==")[0] for line in LIST.read_text().splitlines()}
    kept = listed | {"regraft", "onnxruntime-gpu"}
    # Ray, once imported, adds a folder with packages of its own.
    paths = [path for path in sys.path if "thirdparty_files" not in path]
    with mock.patch.object(sys, "path", paths):
        found = packages_distributions()
    return sorted(m for m, by in found.items() if not kept & {canonical(name) for name in by})
