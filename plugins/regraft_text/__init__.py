"""Text tasks."""

from regraft import Task, hookimpl
from regraft_text.classification import TextClassification


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [TextClassification]
