"""Tasks of sound."""

from regraft import Task, hookimpl
from regraft_speech.classification import AudioClassification
from regraft_speech.recognition import SpeechRecognition


@hookimpl
def register_tasks() -> list[type[Task]]:
    return [AudioClassification, SpeechRecognition]
