"""Image tasks."""

from regraft import Task, hookimpl
from regraft_image.classification import ImageClassification
from regraft_image.segmentation import ImageSegmentation


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [ImageClassification, ImageSegmentation]
