"""The registry of one home, opened."""

from functools import cached_property
from pathlib import Path

from sqlalchemy import Engine

from regraft.registry.blobs import BlobStore
from regraft.registry.feedback import FeedbackRegistry
from regraft.registry.home import Home
from regraft.registry.models import ModelRegistry
from regraft.registry.rollouts import RolloutRegistry
from regraft.registry.runs import RunRegistry
from regraft.registry.schema import connect
from regraft.registry.uploads import UploadRegistry


class Registry:
    """Models, runs, uploads and blobs of a home directory and its database."""

    def __init__(self, root: Path, database: str | None = None) -> None:
        self.home = Home(root).create()
        self.database = database

    @cached_property
    def engine(self) -> Engine:
        return connect(self.database or self.home.database_url)

    @cached_property
    def models(self) -> ModelRegistry:
        return ModelRegistry(self.engine, self.home.tables)

    @cached_property
    def rollouts(self) -> RolloutRegistry:
        return RolloutRegistry(self.engine, self.home.tables)

    @cached_property
    def feedback(self) -> FeedbackRegistry:
        return FeedbackRegistry(self.engine, self.home.predictions)

    @cached_property
    def runs(self) -> RunRegistry:
        return RunRegistry(self.engine)

    @cached_property
    def uploads(self) -> UploadRegistry:
        return UploadRegistry(self.engine, self.home.uploads)

    @property
    def blobs(self) -> BlobStore:
        return self.home.blobs
