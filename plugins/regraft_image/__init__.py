"""Image tasks."""

from regraft import Task, hookimpl
from regraft_image.classification import ImageClassification


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [ImageClassification]
