"""What nothing needs goes, a day after it was last touched; all else stays."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

from regraft.domain import AdaptationSpec, Upload
from regraft.features import FeatureCache
from regraft.registry.blobs import CorruptBlobError
from regraft.registry.cleaning import DAY, UNUSED_FEATURES, Retention, clean
from regraft.registry.home import Home
from regraft.registry.manifest import Manifest
from regraft.registry.schema import audit, datasets
from regraft.registry.store import Registry
from tests.registry.test_manifest import manifest as example


@pytest.fixture
def registry(tmp_path: Path, database: str | None) -> Registry:
    return Registry(tmp_path / "home", database)


def publish(registry: Registry) -> Manifest:
    """A version with blobs of its own."""
    number = len(registry.models.versions())
    blobs = [registry.blobs.put(f"{part} {number}".encode()) for part in ("b", "h", "r")]
    parts = dict(zip(("backbone", "head", "report"), blobs, strict=True))
    manifest = example(registry.blobs).model_copy(update=parts)
    registry.models.publish("m", manifest.store(registry.blobs), {}, True)
    return manifest


def age(root: Path, seconds: float = 2 * DAY) -> None:
    then = time.time() - seconds
    for path in root.rglob("*"):
        os.utime(path, (then, then))


def upload(registry: Registry) -> Upload:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"text,label\n"

    return asyncio.run(registry.uploads.receive("rows.csv", chunks(), 100))


def test_blobs_of_a_deleted_version_go_and_those_of_others_stay(
    tmp_path: Path, artifacts: str | None
) -> None:
    registry = Registry(tmp_path / "home", artifacts=artifacts)
    first, second = publish(registry), publish(registry)
    registry.removal.delete("m", 1)
    assert clean(registry, Retention()).counts == {}
    later = time.time() + 2 * DAY
    counted = clean(registry, Retention(), dry=True, now=later)
    assert counted.counts == {"blobs": 4}  # three of its own, and its manifest
    assert first.head.sha256 in registry.blobs
    removed = clean(registry, Retention(), now=later)
    assert (removed.counts, removed.size) == (counted.counts, counted.size)
    assert first.head.sha256 not in registry.blobs
    for blob in second.blobs():
        registry.blobs.verified(blob.sha256)
    assert clean(registry, Retention(), now=later).counts == {}


def test_what_is_young_stays_and_what_is_stored_again_is_young(registry: Registry) -> None:
    registry.blobs.put(b"new")
    old = registry.blobs.put(b"old")
    age(registry.home.root)
    registry.blobs.put(b"old")
    assert clean(registry, Retention()).counts == {"blobs": 1}
    assert registry.blobs.read(old.sha256) == b"old"


def test_a_blob_that_is_stored_again_at_this_moment_stays(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = registry.blobs.put(b"old")
    age(registry.home.root)
    real = os.replace

    def meanwhile(source: Path, target: Path) -> None:
        if Path(target).name.startswith(".old-"):
            registry.blobs.put(b"old")
        real(source, target)

    monkeypatch.setattr("os.replace", meanwhile)
    assert clean(registry, Retention()).counts == {}
    assert registry.blobs.read(blob.sha256) == b"old"


def test_an_export_is_kept_while_it_is_used(registry: Registry) -> None:
    folder = registry.home.cache / "exports"
    folder.mkdir(parents=True)
    blob = registry.blobs.put(b"graph")
    (folder / "a.json").write_text(json.dumps(blob.as_dict()))
    age(registry.home.root, 20 * DAY)
    assert clean(registry, Retention()).counts == {}
    age(registry.home.root, 40 * DAY)
    assert clean(registry, Retention()).counts == {"exports": 1, "blobs": 1}


def test_features_are_kept_while_they_are_used(registry: Registry) -> None:
    cache = FeatureCache(registry.home.features)
    for key in ("used", "unused"):
        cache.put(key, np.zeros((2, 3)))
    age(registry.home.root, UNUSED_FEATURES + DAY)
    assert cache.get("used") is not None
    assert clean(registry, Retention(), dry=True).counts == {"cached features": 1}
    assert clean(registry, Retention()).size > 0
    assert [path.stem for path in registry.home.features.iterdir()] == ["used"]


def test_an_optimised_copy_goes_with_its_graph(registry: Registry) -> None:
    manifest = publish(registry)
    for name in (manifest.backbone.sha256, "0" * 64):
        folder = registry.home.optimised / f"{name}-hardware"
        folder.mkdir(parents=True)
        (folder / "graph.onnx").write_bytes(b"12345")
    later = time.time() + 2 * DAY
    assert clean(registry, Retention(), now=later).counts == {"optimised copies": 1}
    (left,) = registry.home.optimised.iterdir()
    assert left.name.startswith(manifest.backbone.sha256)


def test_what_was_half_written_and_what_runs_left_go(registry: Registry) -> None:
    spec = AdaptationSpec(name="m", source="s", data="dataset:d-0")
    going = registry.runs.submit(spec)[0].id
    for folder in (registry.home.run(going), registry.home.run("a-gone")):
        folder.mkdir(parents=True)
        (folder / "checkpoint").write_bytes(b"12345")
    part = registry.blobs.root / "ab" / ".part-1"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"123")
    age(registry.home.root)
    found = clean(registry, Retention())
    assert found.counts == {"half-written files": 1, "working directories": 1}
    assert found.size == 8
    assert registry.home.run(going).is_dir()


def test_uploads_go_once_they_are_old_and_no_adaptation_needs_them(registry: Registry) -> None:
    needed, old, young = (upload(registry) for _ in range(3))
    run = registry.runs.submit(AdaptationSpec(name="m", source="s", data=needed.reference))[0]
    with registry.engine.begin() as connection:
        then = datetime.now(UTC) - timedelta(days=8)
        aged = update(datasets).where(datasets.c.id.in_([needed.id, old.id]))
        connection.execute(aged.values(created=then))
    assert clean(registry, Retention()).counts == {}
    assert clean(registry, Retention(uploads=7)).counts == {"uploads": 1}
    assert {one.id for one in registry.uploads.all()} == {needed.id, young.id}
    registry.runs.request_cancel(run.id)
    assert clean(registry, Retention(uploads=7)).counts == {"uploads": 1}


def test_audit_records_go_after_their_time(registry: Registry) -> None:
    for _ in range(3):
        registry.audit.record(None, "POST /v1/keys", 401)
    with registry.engine.begin() as connection:
        then = datetime.now(UTC) - timedelta(days=366)
        connection.execute(update(audit).where(audit.c.number < 3).values(time=then))
    assert clean(registry, Retention(audit=None)).counts == {}
    assert clean(registry, Retention()).counts == {"audit records": 2}
    assert len(registry.audit.newest()) == 1


def test_nothing_goes_where_it_is_not_known_what_is_needed(registry: Registry) -> None:
    manifest = publish(registry)
    registry.blobs.put(b"unneeded")
    (stored,) = registry.models.versions()
    registry.blobs.path(stored.manifest.sha256).write_bytes(b"damaged")
    age(registry.home.root)
    with pytest.raises(CorruptBlobError):
        clean(registry, Retention())
    assert len(list(registry.blobs.entries())) == 5 + len(manifest.inputs.files)


def test_a_home_that_nothing_was_done_in_has_nothing_to_clean(tmp_path: Path) -> None:
    assert clean(Registry(Home(tmp_path / "new").root), Retention()).counts == {}
