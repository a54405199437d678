"""Where a version comes from, so that it can be made again."""

import platform
from importlib.metadata import PackageNotFoundError, version

from regraft.adaptations.learning import Learnt
from regraft.adaptations.request import Request
from regraft.domain import JSON, DataSet

PACKAGES = (
    "regraft",
    "torch",
    "transformers",
    "tokenizers",
    "onnx",
    "onnxscript",
    "onnxruntime-gpu",
    "onnxruntime",
    "numpy",
    "scikit-learn",
    "ray",
)


def lineage(request: Request, learnt: Learnt, data: DataSet, adaptation: str) -> JSON:
    """Source and its hash, data fingerprint, strategy and options, the parts whose labels backbone
    and head learnt from, seed, package versions."""
    spec = request.spec
    return {
        "adaptation": adaptation,
        "source": {
            "reference": spec.source,
            "sha256": request.source.fingerprint(),
            "feature": learnt.feature.name,
        },
        "data": {
            "reference": spec.data or spec.source_data,
            "references": spec.references(),
            "fingerprint": data.fingerprint,
            "rows": data.counts(),
        },
        "task": spec.task,
        "strategy": {
            "name": spec.strategy,
            "kind": request.strategy.kind,
            "options": request.strategy.options.model_dump(mode="json"),
        },
        "learnt_from": _learnt_from(request, learnt),
        "seed": spec.seed,
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _learnt_from(request: Request, learnt: Learnt) -> JSON:
    train, both = ["train"], ["train", "validation"]
    if request.own is not None:
        return {"backbone": [], "head": []}
    if request.strategy.freezes_backbone:
        return {"backbone": [], "head": both}
    again = learnt.fair is not None
    return {
        "backbone": both if again else train,
        "head": both if again or request.strategy.fits_head else train,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
