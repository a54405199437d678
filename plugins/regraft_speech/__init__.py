"""Tasks of sound."""

from regraft import Task, hookimpl
from regraft_speech.classification import AudioClassification


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [AudioClassification]
