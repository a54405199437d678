"""What a caller may be allowed to do."""

from enum import StrEnum


class Scope(StrEnum):
    """One kind of action; `admin` is allowed everything, in every project."""

    DATASETS_READ = "datasets:read"
    DATASETS_WRITE = "datasets:write"
    ADAPTATIONS_SUBMIT = "adaptations:submit"
    ADAPTATIONS_CANCEL = "adaptations:cancel"
    ADAPTATIONS_READ = "adaptations:read"
    MODELS_READ = "models:read"
    MODELS_PROMOTE = "models:promote"
    MODELS_DELETE = "models:delete"
    PREDICT = "predict"
    METRICS_READ = "metrics:read"
    ADMIN = "admin"


ALL = frozenset(Scope)
