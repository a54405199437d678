"""Where a version comes from, so that it can be made again."""

import platform
from importlib.metadata import PackageNotFoundError, version

from regraft.adaptations.request import Request
from regraft.contract import Feature
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


def lineage(request: Request, feature: Feature, data: DataSet, adaptation: str) -> JSON:
    """Source and its hash, data fingerprint, strategy and options, seed, package versions."""
    spec = request.spec
    return {
        "adaptation": adaptation,
        "source": {
            "reference": spec.source,
            "sha256": request.source.fingerprint(),
            "feature": feature.name,
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
        "seed": spec.seed,
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
